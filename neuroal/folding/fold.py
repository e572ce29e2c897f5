"""Folding: an event log becomes one plain state dict, which is all that the page ever knows about a run.

The same fold exists in the browser (``assets/live/fold.js``); ``tests/components/test_fold_js.py`` holds the two
together, so a change here needs its twin there. A state holds JSON values only:

    last, t              number and time (seconds since the start) of the last event folded
    status               queued, running, finished, failed, cancelled or interrupted
    position             place in the queue while waiting, 1 is next; else None
    stage, message       what happens now: its name and its sentence
    spec, key, versions, hardware, started_at     the config card
    model, calibration   facts, once ready
    units                the work ahead, as planned
    pace                 {"t", "work"} where the timing of the remaining work starts; None while unknown
    steps                {"alignment" | "block" | "row": step}, see ``_new_step``
    ratings              {"measure", "label", "values" [blocks]}: what a top-up without search goes by; else None
    allocation           {"top_up", "sparsity" [blocks]}
    rows                 {"edges" [51], "counts" [blocks][50], "linears"}
    pruned               {variant: {"requested" [blocks], "achieved" [blocks], "overall"}}
    evaluated            {stage without "evaluate:": {"done", "total"}}
    measured             {metric: {variant: the record's fields}}
    compared             {variant: {"total", "text", "kl", "dense", "pruned", "dense_top", "pruned_top" [tokens]}}
    notices, failure     sentences
    seconds, peak_memory figures of a finished run
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from neuroal.folding.work import Record, State, keep_pace, work

__all__ = ["Record", "State", "empty_state", "fold", "fold_all", "work"]


def empty_state() -> State:
    """The state before the first event."""
    return {
        "last": 0, "t": 0, "status": "queued", "position": None, "stage": "", "message": "",
        "spec": {}, "key": "", "versions": {}, "hardware": {}, "started_at": "",
        "model": None, "calibration": None, "units": {}, "pace": None,
        "steps": {}, "ratings": None, "allocation": None, "rows": None, "pruned": {}, "evaluated": {}, "measured": {},
        "compared": {},
        "notices": [], "failure": "", "seconds": None, "peak_memory": None,
    }  # fmt: skip


def fold(state: State, record: Record) -> State:
    """Fold one record into ``state``, in place, and return it.

    Records whose number was folded already are ignored, and kinds unknown to this version only move the clock, so that
    a log may be read twice, in overlapping pieces, or by an older page.
    """
    if record["n"] <= state["last"]:
        return state
    state["last"], state["t"] = record["n"], record["t"]
    keep_pace(state, record)
    handler = _HANDLERS.get(record["kind"])
    if handler is not None:
        handler(state, record)
    return state


def fold_all(records: Iterable[Record]) -> State:
    """The state after all of ``records``, oldest first."""
    state = empty_state()
    for record in records:
        fold(state, record)
    return state


def _plain(value: Any) -> Any:
    """JSON values only: tuples become lists, at any depth, and None stands for infinity and not-a-number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _put(values: list[Any], index: int, value: Any) -> None:
    """``values[index] = value``, growing the list with None where it is too short."""
    values.extend([None] * (index + 1 - len(values)))
    values[index] = value


def _fields(record: Record, names: str) -> Record:
    return {name: _plain(record[name]) for name in names.split()}


# --- the run as a whole ---------------------------------------------------------------------------------------------


def _queued(state: State, record: Record) -> None:
    state["status"], state["position"] = "queued", record["position"]


def _started(state: State, record: Record) -> None:
    state.update(_fields(record, "spec key versions hardware started_at"), status="running", position=None)


def _planned(state: State, record: Record) -> None:
    state["units"] = _plain(record["units"])


def _stage(state: State, record: Record) -> None:
    state["stage"], state["message"] = record["stage"], record["message"]


def _notice(state: State, record: Record) -> None:
    if record["message"] not in state["notices"]:
        state["notices"].append(record["message"])


def _finished(state: State, record: Record) -> None:
    state.update(_fields(record, "seconds peak_memory"), status="finished")


def _failed(state: State, record: Record) -> None:
    state["status"], state["failure"] = "failed", record["message"]


def _cancelled(state: State, record: Record) -> None:
    state["status"] = "cancelled"


def _interrupted(state: State, record: Record) -> None:
    state.update(status="interrupted", failure=record.get("message", ""))


def _resumed(state: State, record: Record) -> None:
    state.update(status="running", position=None, pace=None)


def _model(state: State, record: Record) -> None:
    names = "name source blocks parameters prunable linears dtype device seconds"
    state["model"] = _fields(record, names)


def _calibration(state: State, record: Record) -> None:
    state["calibration"] = _fields(record, "source samples length digest seconds")


# --- the search -----------------------------------------------------------------------------------------------------


def _new_step(lambdas: list[float], blocks: int, target: float | None) -> dict[str, Any]:
    """``scores[lambda][block]``, ``totals[lambda]``, ``sparsity[lambda][block]``: None until known."""
    return {
        "lambdas": lambdas, "blocks": blocks, "target": target,
        "scores": [[None] * blocks for _ in lambdas], "totals": [None] * len(lambdas),
        "sparsity": [None] * len(lambdas), "current": None, "block": None, "chosen": None,
    }  # fmt: skip


def _candidate(state: State, record: Record) -> dict[str, Any]:
    """The step of a record, with room for its candidate, which becomes the current one."""
    step = state["steps"].setdefault(record["step"], _new_step([], 0, None))
    index = record["index"]
    while len(step["scores"]) <= index:
        step["scores"].append([None] * step["blocks"])
        _put(step["totals"], len(step["scores"]) - 1, None)
        _put(step["sparsity"], len(step["scores"]) - 1, None)
    _put(step["lambdas"], index, record["lam"])
    step["current"] = index
    return step


def _search(state: State, record: Record) -> None:
    known = state["steps"].get(record["step"])
    lambdas = list(record["lambdas"])
    # A resumed run may announce its grid again: what was scored stays.
    if known is None or known["lambdas"] != lambdas or known["blocks"] != record["blocks"]:
        state["steps"][record["step"]] = _new_step(lambdas, record["blocks"], record["target"])


def _candidate_started(state: State, record: Record) -> None:
    step = _candidate(state, record)
    step["sparsity"][record["index"]] = list(record["sparsity"])
    step["block"] = None


def _block_scored(state: State, record: Record) -> None:
    step = _candidate(state, record)
    _put(step["scores"][record["index"]], record["block"], _plain(record["score"]))
    step["blocks"] = max(step["blocks"], record["block"] + 1)
    step["block"] = record["block"]


def _candidate_finished(state: State, record: Record) -> None:
    _candidate(state, record)["totals"][record["index"]] = _plain(record["score"])


def _chosen(state: State, record: Record) -> None:
    _candidate(state, record)["chosen"] = _fields(record, "index lam score near_ties")


# --- the allocation, the pruning, the damage ------------------------------------------------------------------------


def _rated(state: State, record: Record) -> None:
    ratings = state["ratings"]
    if ratings is None or ratings["measure"] != record["measure"]:
        ratings = state["ratings"] = {**_fields(record, "measure label"), "values": []}
    _put(ratings["values"], record["block"], _plain(record["value"]))


def _allocation(state: State, record: Record) -> None:
    state["allocation"] = _fields(record, "top_up sparsity")


def _rows(state: State, record: Record) -> None:
    state["rows"] = _fields(record, "edges counts linears")


def _variant(state: State, record: Record) -> dict[str, Any]:
    return state["pruned"].setdefault(record["variant"], {"requested": [], "achieved": [], "overall": None})


def _block_pruned(state: State, record: Record) -> None:
    variant = _variant(state, record)
    _put(variant["requested"], record["block"], record["requested"])
    _put(variant["achieved"], record["block"], record["achieved"])


def _pruned(state: State, record: Record) -> None:
    _variant(state, record)["overall"] = record["overall"]


def _evaluated(state: State, record: Record) -> None:
    metric = record.get("metric", "perplexity")  # the only one that there was at first
    key = record["variant"] if metric == "perplexity" else f"{record['variant']}:{metric}"
    state["evaluated"][key] = _fields(record, "done total")


def _measured(state: State, record: Record) -> None:
    metric = state["measured"].setdefault(record["metric"], {})
    figures = _fields(record, "source value stderr tokens length seconds")
    metric[record["variant"]] = {**figures, "details": _plain(record.get("details", {}))}


def _compared(state: State, record: Record) -> None:
    columns = ["text", "kl", "dense", "pruned", "dense_top", "pruned_top"]
    kept = state["compared"].setdefault(record["variant"], {"total": record["total"], **{c: [] for c in columns}})
    for column in columns:
        for i, value in enumerate(record[column]):
            _put(kept[column], record["start"] + i, _plain(value))


_HANDLERS: dict[str, Callable[[State, Record], None]] = {
    "Queued": _queued, "RunStarted": _started, "RunPlanned": _planned, "StageStarted": _stage, "Notice": _notice,
    "RunFinished": _finished, "RunFailed": _failed, "RunCancelled": _cancelled, "RunInterrupted": _interrupted,
    "RunResumed": _resumed, "ModelReady": _model, "CalibrationReady": _calibration, "SearchStarted": _search,
    "CandidateStarted": _candidate_started, "BlockScored": _block_scored, "CandidateFinished": _candidate_finished,
    "LambdaChosen": _chosen, "BlockRated": _rated, "AllocationReady": _allocation, "RowsAllocated": _rows,
    "BlockPruned": _block_pruned, "PruningFinished": _pruned, "Evaluated": _evaluated, "Measured": _measured,
    "TokensCompared": _compared,
}  # fmt: skip
