"""Folding the log of a sweep: what every figure of the map is drawn from.

The browser folds the same in ``assets/map/fold.js``; ``tests/components/test_map_js.py`` holds the two together.

The state of a sweep
    last, t             number of the last record, seconds since the start
    status              queued, running, finished, failed, cancelled or interrupted
    spec, refusals      as in SweepStarted
    members             of each run: label, sparsity, control, settings, run (its id), status ("waiting" before it
                        starts), reused, summary (its figures), message (why it failed)
    seconds, failure    of a sweep that is over
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

State = dict[str, Any]
Record = dict[str, Any]


def empty_sweep() -> State:
    """The state before the first event."""
    return {
        "last": 0, "t": 0, "status": "queued", "spec": {}, "refusals": [], "members": [], "started_at": "",
        "seconds": None, "failure": "",
    }  # fmt: skip


def fold_sweep(state: State, record: Record) -> State:
    """Fold one record into ``state``, in place, and return it; numbers folded already and unknown kinds change
    nothing."""
    if record["n"] <= state["last"]:
        return state
    state["last"], state["t"] = record["n"], record["t"]
    handler = _HANDLERS.get(record["kind"])
    if handler is not None:
        handler(state, record)
    return state


def fold_sweep_all(records: Iterable[Record]) -> State:
    """The state after all of ``records``, oldest first."""
    state = empty_sweep()
    for record in records:
        fold_sweep(state, record)
    return state


def counts(state: State) -> dict[str, int]:
    """How many runs there are, and how many of them are finished, failed (or cancelled) and reused."""
    members = state["members"]
    return {
        "runs": len(members),
        "finished": sum(m["status"] == "finished" for m in members),
        "failed": sum(m["status"] in ("failed", "cancelled", "interrupted") for m in members),
        "reused": sum(m["reused"] for m in members),
    }


def _started(state: State, record: Record) -> None:
    fresh = {"run": "", "status": "waiting", "reused": False, "summary": {}, "message": ""}
    state.update(status="running", spec=record["spec"], refusals=list(record["refusals"]))
    state["started_at"] = record["started_at"]
    state["members"] = [{**member, **fresh} for member in record["members"]]


def _member_started(state: State, record: Record) -> None:
    if record["index"] < len(state["members"]):
        state["members"][record["index"]].update(run=record["run"], status="running", message="")


def _member_finished(state: State, record: Record) -> None:
    if record["index"] < len(state["members"]):
        names = ("run", "status", "reused", "summary", "message")
        state["members"][record["index"]].update({name: record[name] for name in names})


_HANDLERS: dict[str, Callable[[State, Record], None]] = {
    "Queued": lambda s, r: s.update(status="queued"),
    "SweepStarted": _started,
    "MemberStarted": _member_started,
    "MemberFinished": _member_finished,
    "RunResumed": lambda s, r: s.update(status="running"),
    "RunFinished": lambda s, r: s.update(status="finished", seconds=r["seconds"]),
    "RunFailed": lambda s, r: s.update(status="failed", failure=r["message"]),
    "RunCancelled": lambda s, r: s.update(status="cancelled"),
    "RunInterrupted": lambda s, r: s.update(status="interrupted"),
}
