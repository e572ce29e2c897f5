"""How much of the planned work is done: the plan's units, counted in what a state knows.

The same counting exists in the browser (``assets/live/fold.js``). Nothing is counted event by event, so a record that
comes twice, or work that a resumed run does again, counts once.
"""

from __future__ import annotations

from typing import Any

State = dict[str, Any]
Record = dict[str, Any]

# What a unit of the plan is the end of.
COUNTED = ("BlockRated", "BlockScored", "BlockPruned", "Evaluated")


def work(state: State) -> tuple[float, float]:
    """Planned and finished work, in the units of the plan."""
    total, done = 0.0, 0.0
    for stage, unit in state["units"].items():
        total += unit["units"] * unit["weight"]
        done += min(_counted(state, stage, unit["units"]), unit["units"]) * unit["weight"]
    return total, done


def keep_pace(state: State, record: Record) -> None:
    """Start the clock of the pace at the first work of a run or of its resumption: loading a model is none."""
    if state["pace"] is None and (record["kind"] in COUNTED or record.get("stage") in state["units"]):
        state["pace"] = {"t": record["t"], "work": work(state)[1]}


def _counted(state: State, stage: str, planned: float) -> float:
    """Countable events of ``stage`` so far."""
    name, _, variant = stage.partition(":")
    if name == "prune":
        return _known(state["pruned"].get(variant, {"achieved": []})["achieved"])
    if name == "evaluate":
        of, _, metric = variant.partition(":")
        # A figure may be remembered from another run and come without any batch.
        if of in state["measured"].get(metric or "perplexity", {}):
            return planned
        seen = state["evaluated"].get(variant)
        return planned * seen["done"] / seen["total"] if seen else 0
    if name == "rate":  # blocks are rated in order, and one without weights has no figure
        return len(state["ratings"]["values"]) if state["ratings"] else 0
    step = state["steps"].get(name)
    if step is not None and step["chosen"] is not None:
        return planned  # not every candidate need be scored
    return sum(_known(row) for row in step["scores"]) if step else 0


def _known(values: list[Any]) -> int:
    return sum(value is not None for value in values)
