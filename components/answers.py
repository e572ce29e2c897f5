"""What the two sides of the Compare tab answer, as values of its display: strings, and nothing to evaluate."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import gradio as gr

from components.sides import DENSE, OPEN, USUAL, label_of
from components.verdict import WORDS, verdict
from neuroal.errors import UserError
from neuroal.importing import import_engine

if TYPE_CHECKING:
    from components.listing import Listing
    from neuroal.generation import Pair, Settings, Side
    from neuroal.runs.turns import Ticket
    from neuroal.runs.workshop import Workshop

log = logging.getLogger(__name__)

NO_RUN = "Run a pruning first, or open the link of a finished run."
NO_TEMPLATE = "This model has no chat template, so the prompt is continued as plain text."
PREPARING = "Preparing the two models…"
FAULT = "Something went wrong on the server; try again, or choose another run."

# Between two looks whether it is one's turn.
LOOK_SECONDS = 0.1

# What stands above the answers, and in them while they are empty; a run is called by its own name.
TITLES = {DENSE: "Dense", OPEN: "Pruned"}
EMPTY = {DENSE: "What the model answers as it came.", OPEN: "What it answers after pruning."}


def answers(
    workshop: Workshop,
    run: str,
    prompt: str,
    *,
    chat: bool,
    sides: tuple[str, str] = USUAL,
    titles: tuple[str, str] | None = None,
    owner: str = "",
    address: str = "",
    **given: Any,
) -> Iterator[dict[str, Any]]:
    """Values for the display, about ten a second; whatever goes wrong ends in one sentence.

    Args:
        run: the open run.
        sides: who answers, see ``components/sides.py``.
        titles: what they are called; None for the usual.
        owner: who asks; people take turns.
        address: from where, empty for this machine itself; whoever asks very often comes after the others.
        given: the fields of ``neuroal.generation.Settings``.
    """
    value = shown("preparing", PREPARING, titles=titles)
    try:
        if OPEN in sides and not run:
            raise UserError(NO_RUN)
        yield value
        asked = tuple(run if side == OPEN else side for side in sides)
        with closing(paired(workshop, asked, prompt, chat=chat, owner=owner, address=address, **given)) as found:
            for note, pair in found:
                if pair is None:
                    yield {**value, "note": note or PREPARING}
                    continue
                done = pair.dense.done and pair.pruned.done
                value = shown("finished" if done else "answering", note, pair, titles)
                yield value
    except UserError as refusal:
        yield {**value, "phase": "refused", "note": str(refusal)}
    except Exception:
        log.exception("Comparing two models failed")
        yield {**value, "phase": "refused", "note": FAULT}


def paired(
    workshop: Workshop, sides: tuple[str, ...], prompt: str, *, chat: bool, owner: str, address: str, **given: Any
) -> Generator[tuple[str, Pair | None], None, None]:
    """What there is to say, and both answers so far; None in their place while others are answered first.

    Args:
        sides: two runs, or the dense model and a run.
        owner, address, given: as of :func:`answers`.

    Raises:
        UserError: it cannot be answered, or this person is being answered already.
    """
    import_engine()  # torch and transformers: only once they are needed
    from neuroal.generation import Settings, generate_pair

    settings: Settings = Settings(**given)
    with workshop.answering.ticket(owner) as ticket:
        for before in until_its_turn(ticket):
            yield waiting_words(before), None
        lm, left, right = models_of(workshop, *sides)
        note = NO_TEMPLATE if chat and not lm.tokenizer.chat_template else ""
        aside = workshop.answered.is_fast(address)
        with closing(generate_pair(left, right, lm.tokenizer, prompt, settings, chat=chat, aside=aside)) as pairs:
            for pair in pairs:
                yield note, pair


def until_its_turn(ticket: Ticket) -> Iterator[int]:
    """How many questions come before this one, now and again until none does; nothing where none did."""
    waited = False
    while before := ticket.place():
        waited = True
        yield before
        time.sleep(LOOK_SECONDS)
    if waited:
        yield 0


def waiting_words(before: int) -> str:
    """What somebody is told who waits; nothing any more where none comes before."""
    if not before:
        return ""
    return f"Waiting: {before} {'question' if before == 1 else 'questions'} of others before yours."


def models_of(workshop: Workshop, left: str, right: str) -> tuple[Any, Any, Any]:
    """The language model that both sides are of, and the two modules."""
    if left == DENSE and right != DENSE:
        lm, twin = workshop.pair(right)
        return lm, lm.model, twin
    return workshop.sides(left, right)


def titles(listing: Listing | None, *sides: str) -> tuple[str, str] | None:
    """What two sides are called; None for the usual ones."""
    if sides == USUAL:
        return None
    rows = {row["id"]: label_of(row) for row in listing.named(sides)} if listing else {}
    left, right = (TITLES.get(side) or rows.get(side, "A run that is gone") for side in sides)
    return left, right


def shown(
    phase: str, note: str = "", pair: Pair | None = None, titles: tuple[str, str] | None = None
) -> dict[str, Any]:
    """A value of the display.

    Args:
        phase: idle, preparing, answering, finished, stopped or refused.
        note: a sentence above the answers; empty for none.
        titles: what the two sides are called; None for the usual.
    """
    dense, pruned = (_pane(getattr(pair, side, None), pair) for side in ("dense", "pruned"))
    for pane, usual, title in zip((dense, pruned), USUAL, titles or TITLES.values(), strict=True):
        pane |= {"title": title, "empty": EMPTY[usual] if titles is None else "What it answers."}
    said = verdict(pair, WORDS if titles is None else ("the left one", "the right one")) if pair else ""
    return {"phase": phase, "note": note, "verdict": said, "dense": dense, "pruned": pruned}


def _pane(side: Side | None, pair: Pair | None) -> dict[str, Any]:
    """One pane's part of the value. ``parted`` says that ``at`` is to be marked, even where it is empty."""
    if side is None or pair is None:
        return {"before": "", "at": "", "after": "", "parted": False, "stats": "", "error": "", "done": False}
    rate = f"{side.rate:.0f}" if side.rate >= 100 else f"{side.rate:.1f}"
    count = len(side.ids)
    return {
        "before": side.before,
        "at": side.at,
        "after": side.after,
        "parted": pair.diverged is not None,
        "stats": f"{count} token{'' if count == 1 else 's'}, {rate} tokens/s" if count else "",
        "error": side.error,
        "done": side.done,
    }


def stopped(value: dict[str, Any]) -> dict[str, Any]:
    """What is on the page, with the remark that it was stopped; only an answer still going on can be."""
    going = value["phase"] in ("preparing", "answering")
    return {**value, "phase": "stopped", "note": "Stopped."} if going else value


def cleared(run: str, titles: tuple[str, str] | None = None) -> dict[str, Any]:
    """The empty display for a run, or for none."""
    return shown("idle", "" if run or titles else NO_RUN, titles=titles)


def ready(value: dict[str, Any]) -> dict[str, Any]:
    """Takes back a refusal once the run has finished. Anything else is not touched: this may come late, and what was
    sent with the question must not take the place of an answer that has begun since."""
    if value["phase"] != "refused":
        return gr.skip()
    left, right = value["dense"]["title"], value["pruned"]["title"]
    return shown("idle", titles=None if (left, right) == tuple(TITLES.values()) else (left, right))
