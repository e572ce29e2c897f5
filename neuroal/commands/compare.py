"""``compare``: two to four runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from neuroal.commands.completion import run_names
from neuroal.commands.output import Code, Misuse, Output
from neuroal.evaluation.card import incomparable, perplexity_card
from neuroal.folding.status import fixed, lambda_text
from neuroal.folding.titles import title
from neuroal.runs.summary import summary

FEWEST, MOST = 2, 4

# What is compared, beside the settings: the name in a run's summary, what a person calls it, and how it is shown.
FIGURES = {
    "block_lambda": "block lambda",
    "row_lambda": "row lambda",
    "achieved": "zeros, %",
    "perplexity": "perplexity",
    "perplexity_uniform": "perplexity, uniform",
    "perplexity_dense": "perplexity, dense",
    "alignment": "alignment score",
    "kl": "KL divergence, nats",
    "zeroshot": "zero-shot accuracy, %",
    "seconds": "seconds",
}

COMPARE_EXAMPLES = ("compare last RUN", "compare RUN RUN RUN --json")


def compare(
    out: Output,
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN", autocompletion=run_names, help="Two to four runs.")],
) -> Code | None:
    """Sets two to four finished runs beside each other: settings that differ, lambdas, figures."""
    from neuroal.commands.workplace import reading

    if not FEWEST <= len(runs) <= MOST:
        raise Misuse(f"Between {FEWEST} and {MOST} runs can be compared; these are {len(runs)}.")
    with reading() as shelf:
        ids = [shelf.find(said, "run") for said in runs]
        if len(set(ids)) < len(ids):
            raise Misuse("The same run is named twice; name different ones.")
        cards = [shelf.runs.spec(run_id).card() for run_id in ids]
        summaries = [summary(shelf.runs.read(run_id)[0]) for run_id in ids]
    differing = {name: [card.get(name) for card in cards] for name in cards[0] if _differ(name, cards)}
    reasons = _reasons(summaries)
    out.document = {
        "runs": [
            {"run": run_id, "title": title(card), "spec": card, "summary": figures}
            for run_id, card, figures in zip(ids, cards, summaries, strict=True)
        ],
        "differing": differing,
        "incomparable": reasons,
    }
    names = [chr(ord("A") + i) for i in range(len(ids))]
    for name, run_id, card in zip(names, ids, cards, strict=True):
        out.line(f"{name}: {title(card)} (run {run_id})")
    rows = [[name, *map(_shown, values)] for name, values in differing.items()]
    rows += [[label, *(_figure(name, each.get(name)) for each in summaries)] for name, label in FIGURES.items()]
    out.table(["", *names], [row for row in rows if any(cell != "–" for cell in row[1:])])
    for reason in reasons:
        out.say(f"Their perplexities may not be compared. {reason}")


def _differ(name: str, cards: Sequence[dict[str, Any]]) -> bool:
    return any(card.get(name) != cards[0].get(name) for card in cards[1:])


def _reasons(summaries: Sequence[dict[str, Any]]) -> list[str]:
    """Why their perplexities are not on one scale, a sentence each."""
    cards = [card for each in summaries if (card := perplexity_card(each))]
    return list(dict.fromkeys(reason for card in cards[1:] for reason in incomparable(cards[0], card)))


def _shown(value: Any) -> str:
    if value in (None, "", []):
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name.endswith("lambda"):
        return lambda_text(value)
    if name in ("achieved", "zeroshot"):
        return fixed(100 * value, 2)
    if name == "seconds":
        return fixed(value, 1)
    return f"{value:.6g}" if abs(value) >= 1e6 else fixed(value, 4 if name in ("alignment", "kl") else 2)
