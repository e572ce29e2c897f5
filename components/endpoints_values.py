"""What other programs are told of runs: JSON objects, folded from the same logs as the page's charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from components.comparison import comparison
from components.plotting import LIGHT
from components.sides import label_of
from components.verdict import verdict
from neuroal.evaluation.card import incomparable, perplexity_card
from neuroal.folding.fold import State, fold_all
from neuroal.folding.status import progress, sentence
from neuroal.folding.titles import title
from neuroal.runs.summary import summary

if TYPE_CHECKING:
    from neuroal.generation import Pair, Side

Record = dict[str, Any]
Told = dict[str, Any]

# Of a folded state: what a result tells beside the summary.
RESULT = (
    "spec", "key", "started_at", "versions", "hardware", "model", "calibration", "allocation", "pruned", "measured",
    "notices", "seconds", "peak_memory",
)  # fmt: skip

# What two sides are called in a sentence: two runs, or a run and the dense model.
TWO_RUNS = ("the other run", "this run")


def status(
    run: str, records: Sequence[Record], done: bool, after: int = 0, *, events: bool = False, state: bool = False
) -> Told:
    """How far a run is, and what happened.

    Args:
        done: no more will come.
        events: whether those after the number ``after``, which the caller knows, are wanted.
        state: whether the folded state is wanted.
    """
    folded = fold_all(records)
    share, left = progress(folded)
    told = {
        "run": run, "status": folded["status"], "sentence": sentence(folded), "progress": share, "seconds_left": left,
        "done": done, "last": folded["last"],
    }  # fmt: skip
    if events:
        told["events"] = [record for record in records if record["n"] > after]
    return {**told, "state": folded} if state else told


def result(run: str, records: Sequence[Record]) -> Told:
    """What came of a finished run: RESULT, its figures in short, and the scores of every lambda that was tried."""
    state, figures = fold_all(records), summary(records)
    searched = {
        name: {"lambdas": step["lambdas"], "scores": step["totals"], "chosen": step["chosen"]}
        for name, step in state["steps"].items()
    }
    told = {name: state[name] for name in RESULT}
    return {"run": run, "title": title(figures), "summary": figures, "searched": searched, **told}


def compared(runs: Sequence[str], logs: Sequence[Sequence[Record]], rows: Sequence[Told]) -> Told:
    """Runs beside each other.

    Args:
        logs: of each run, its records.
        rows: what the list of runs says of those that are in it.
    """
    states, figures = [fold_all(log) for log in logs], [summary(log) for log in logs]
    names = {row["id"]: label_of(row) for row in rows}
    called = [names.get(run) or title(known) for run, known in zip(runs, figures, strict=True)]
    return {
        "runs": [{"run": i, "title": t, "status": s["status"], "summary": f}
                 for i, t, s, f in zip(runs, called, states, figures, strict=True)],
        "settings": _differing([state["spec"] for state in states]),
        "not_comparable": _reasons(states, figures),
        "figures": comparison(list(zip(called, states, strict=True)), palette=LIGHT),
    }  # fmt: skip


def answered(pair: Pair, note: str, against_dense: bool) -> Told:
    """Both answers to a prompt so far; the run is on the right of the pair."""
    done = pair.dense.done and pair.pruned.done
    said = verdict(pair) if against_dense else verdict(pair, TWO_RUNS)
    return {
        "run": _side(pair.pruned), "against": _side(pair.dense), "parted_at": pair.diverged, "verdict": said,
        "note": note, "done": done,
    }  # fmt: skip


def _side(side: Side) -> Told:
    return {
        "text": side.text, "tokens": list(side.ids), "seconds": side.seconds, "tokens_per_second": side.rate,
        "error": side.error,
    }  # fmt: skip


def _differing(specs: Sequence[Record]) -> dict[str, list[Any]]:
    """Settings of which the runs do not all have the same value: the values, in the order of the runs."""
    names = dict.fromkeys(name for spec in specs for name in spec)
    values = {name: [spec.get(name) for spec in specs] for name in names}
    return {name: given for name, given in values.items() if any(value != given[0] for value in given)}


def _reasons(states: Sequence[State], figures: Sequence[Told]) -> list[str]:
    """Why the perplexities are not on one scale, a sentence each; empty where they are."""
    known = [card for each in figures if (card := perplexity_card(each))]
    found = dict.fromkeys(reason for card in known[1:] for reason in incomparable(known[0], card))
    texts = {state["spec"].get("eval_text", "") for state in states if state["measured"].get("perplexity")}
    return [*found, *(["The held-out texts of one's own differ."] if len(texts) > 1 else [])]
