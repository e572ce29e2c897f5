"""The Compare tab: one prompt, answered by the dense and the pruned model side by side.

What the models write is untrusted text. It travels in the display's value, which no template touches, and
``assets/compare/compare.js`` writes it to the page as text.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from neuroal.errors import UserError
from neuroal.importing import import_engine

if TYPE_CHECKING:
    from neuroal.generation import Pair, Settings, Side
    from neuroal.runs.workshop import Workshop

log = logging.getLogger(__name__)

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "compare"

# Two at a time: each answers on two threads, and more would only slow all of them down.
ANSWERS_AT_ONCE = 2

EXAMPLES = (
    "What is the capital of France?",
    "List three things to pack for a day at the beach.",
    "Explain in two sentences why the sky is blue.",
    "Once upon a time, in a village by the sea,",
    "Roses are red, violets are blue,",
)
GREEDY, SAMPLED = "Greedy", "Sampled"

# Tokens after the parting from which on their agreement is told.
ENOUGH = 10

NO_RUN = "Run a pruning first, or open the link of a finished run."
NO_TEMPLATE = "This model has no chat template, so the prompt is continued as plain text."
PREPARING = "Preparing the two models…"
FAULT = "Something went wrong on the server; try again, or choose another run."

_PANE = (
    "<article class='na-pane' data-side='{side}' aria-label='{title} answer'><h3>{title}</h3>"
    "<div class='na-text' data-empty='{empty}'></div>"
    "<p class='na-error'></p><p class='na-stats'></p></article>"
)
# A constant, see above.
_TEMPLATE = (
    "<section class='na-compare' aria-label='Answers'><p class='na-note'></p><div class='na-panes'>"
    + _PANE.format(side="dense", title="Dense", empty="What the model answers as it came.")
    + _PANE.format(side="pruned", title="Pruned", empty="What it answers after pruning.")
    + "</div><p class='na-verdict'></p><p class='na-spoken' role='status' aria-live='polite'></p></section>"
)

# Runs in the browser before the request is sent, so that a place in the queue can be shown at once.
_TELL_ASKED = "(...values) => { document.dispatchEvent(new Event('na-asked')); return values; }"
_TELL_STOPPED = "(...values) => { document.dispatchEvent(new Event('na-stopped')); return values; }"


class AnswerPair(gr.HTML):
    """Both answers. The value is what ``shown`` returns: strings and nothing to evaluate."""

    def __init__(self, value: dict[str, Any] | None = None, **kwargs: Any) -> None:
        style = json.dumps((ASSETS / "compare.css").read_text(encoding="utf-8"))
        script = (ASSETS / "compare.js").read_text(encoding="utf-8")
        super().__init__(
            value or shown("idle", NO_RUN),
            html_template=_TEMPLATE,
            js_on_load=f"const STYLE = {style};\n{script}",
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        """An object, for the page's own API documentation."""
        return {"type": "object"}


@dataclass(frozen=True)
class Compare:
    """The components of the tab. ``sampling`` holds what only a sampled answer needs."""

    prompt: gr.Textbox
    generate: gr.Button
    stop: gr.Button
    chat: gr.Checkbox
    mode: gr.Radio
    sampling: gr.Row
    temperature: gr.Slider
    top_p: gr.Slider
    seed: gr.Number
    max_tokens: gr.Slider
    display: AnswerPair


def build_compare() -> Compare:
    """The tab's components, created where the caller is; ``wire_compare`` brings them to life."""
    # One line for Gradio, because only then does Enter submit; the style sheet makes it two lines high.
    prompt = gr.Textbox(
        label="Prompt", placeholder="Ask something, or begin a text", lines=1, max_lines=8, elem_id="na-compare-prompt"
    )
    gr.Examples([[text] for text in EXAMPLES], prompt, label="Examples", api_visibility="private")
    with gr.Row():
        generate = gr.Button("Generate", variant="primary", scale=0, min_width=140)
        stop = gr.Button("Stop", variant="secondary", scale=0, min_width=140)
    with gr.Accordion("How to answer", open=False):
        with gr.Row():
            chat = gr.Checkbox(True, label="Use the chat template", info="No effect on a model that has none.")
            mode = gr.Radio([GREEDY, SAMPLED], value=GREEDY, label="Choice of tokens")
            max_tokens = gr.Slider(16, 512, value=96, step=1, label="Max new tokens")
        with gr.Row(visible=False) as sampling:
            temperature = gr.Slider(0.1, 2, value=0.8, step=0.05, label="Temperature")
            top_p = gr.Slider(0.05, 1, value=0.95, step=0.05, label="Top-p")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, info="The same noise for both models.")
    display = AnswerPair(elem_id="na-compare-display")
    return Compare(prompt, generate, stop, chat, mode, sampling, temperature, top_p, seed, max_tokens, display)


def wire_compare(compare: Compare, workshop: Workshop, run_id: gr.components.Component, live: Any = None) -> None:
    """Connects the tab.

    Args:
        workshop: answers ``pair(run_id)`` with a loaded model and its pruned twin.
        run_id: holds the id of the run that is looked at; its ``change`` clears what an earlier run answered.
        live: the live view; its event ``finished`` takes back a remark that the run is not ready.
    """
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def answer(
        prompt: str,
        chat: bool,
        mode: str,
        temperature: float,
        top_p: float,
        seed: int | None,
        max_tokens: int,
        run: str,
    ) -> Iterator[dict[str, Any]]:
        given = {"temperature": temperature, "top_p": top_p, "seed": seed or 0} if mode == SAMPLED else {}
        yield from answers(workshop, run, prompt, chat=chat, max_tokens=int(max_tokens), **given)

    asked = [compare.prompt, compare.chat, compare.mode, compare.temperature, compare.top_p, compare.seed]
    answering = gr.on(
        [compare.generate.click, compare.prompt.submit],
        answer,
        [*asked, compare.max_tokens, run_id],
        compare.display,
        js=_TELL_ASKED,
        concurrency_id="generate",
        concurrency_limit=ANSWERS_AT_ONCE,
        **quiet,
    )
    compare.stop.click(
        stopped, compare.display, compare.display, js=_TELL_STOPPED, cancels=[answering], queue=False, **quiet
    )
    compare.mode.change(
        lambda mode: gr.Row(visible=mode == SAMPLED), compare.mode, compare.sampling, queue=False, **quiet
    )
    run_id.change(cleared, run_id, compare.display, cancels=[answering], queue=False, **quiet)
    if live is not None:
        live.finished(ready, compare.display, compare.display, queue=False, **quiet)


def answers(workshop: Workshop, run: str, prompt: str, *, chat: bool, **given: Any) -> Iterator[dict[str, Any]]:
    """Values for the display, about ten a second; whatever goes wrong ends in one sentence.

    Args:
        given: the fields of ``neuroal.generation.Settings``.
    """
    value = shown("preparing", PREPARING)
    try:
        if not run:
            raise UserError(NO_RUN)
        yield value
        with closing(_stream(workshop, run, prompt, chat, given)) as values:
            for value in values:
                yield value
    except UserError as refusal:
        yield {**value, "phase": "refused", "note": str(refusal)}
    except Exception:
        log.exception("Comparing the models of a run failed")
        yield {**value, "phase": "refused", "note": FAULT}


def _stream(
    workshop: Workshop, run: str, prompt: str, chat: bool, given: dict[str, Any]
) -> Generator[dict[str, Any], None, None]:
    import_engine()  # torch and transformers: only once they are needed
    from neuroal.generation import Settings, generate_pair

    settings: Settings = Settings(**given)
    lm, twin = workshop.pair(run)
    note = NO_TEMPLATE if chat and not lm.tokenizer.chat_template else ""
    with closing(generate_pair(lm.model, twin, lm.tokenizer, prompt, settings, chat=chat)) as pairs:
        for pair in pairs:
            done = pair.dense.done and pair.pruned.done
            yield shown("finished" if done else "answering", note, pair)


def shown(phase: str, note: str = "", pair: Pair | None = None) -> dict[str, Any]:
    """A value of the display.

    Args:
        phase: idle, preparing, answering, finished, stopped or refused.
        note: a sentence above the answers; empty for none.
    """
    dense, pruned = (_pane(getattr(pair, side, None), pair) for side in ("dense", "pruned"))
    said = verdict(pair) if pair else ""
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


def verdict(pair: Pair) -> str:
    """Where the two answers part, in one sentence; empty before there is anything to compare."""
    sides = (pair.dense, pair.pruned)
    if pair.diverged is None:
        if not all(side.ids for side in sides):
            return ""
        to_the_end = all(side.done and not side.error for side in sides)
        return "Identical to the end." if to_the_end else "Identical so far."
    dense, pruned = (_said(side, pair.diverged) for side in sides)
    if all(side.at.strip() for side in sides):
        pruned = pruned.removeprefix("says ")
    parting = f"They part at token {pair.diverged + 1}: the dense model {dense}, the pruned one {pruned}."
    return parting + _agreement(pair) if all(side.done for side in sides) else parting


def _agreement(pair: Pair) -> str:
    """How much the answers have in common after they parted; empty where too little is left to tell."""
    from neuroal.evaluation.divergence import agreement

    if min(len(pair.dense.ids), len(pair.pruned.ids)) - (pair.diverged or 0) < ENOUGH:
        return ""
    share = agreement(pair.dense.ids, pair.pruned.ids)
    return f" From there on {share:.0%} of their tokens agree, place by place."


def _said(side: Side, index: int) -> str:
    """What a side does at the token where it parts."""
    if word := side.at.strip():
        return f"says '{word}'"
    if side.at:
        return "begins a new line" if "\n" in side.at else "writes a space"
    if side.done and index == len(side.ids) - 1:
        return "ends its answer"
    return "goes on differently"


def stopped(value: dict[str, Any]) -> dict[str, Any]:
    """What is on the page, with the remark that it was stopped; only an answer still going on can be."""
    going = value["phase"] in ("preparing", "answering")
    return {**value, "phase": "stopped", "note": "Stopped."} if going else value


def cleared(run: str) -> dict[str, Any]:
    """The empty display for a run, or for none."""
    return shown("idle", "" if run else NO_RUN)


def ready(value: dict[str, Any]) -> dict[str, Any]:
    """Takes back a refusal once the run has finished; answers stay as they are."""
    return shown("idle") if value["phase"] in ("idle", "refused") else value
