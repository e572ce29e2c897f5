"""Logs of sweeps for the tests of the map: small, each with something that a fold or a figure could stumble over."""

from __future__ import annotations

import json
from typing import Any

from neuroal.runs.events import Event, Queued, RunCancelled, RunFailed, RunFinished, RunInterrupted, RunResumed
from neuroal.sweeps.events import MemberFinished, MemberStarted, SweepStarted

Record = dict[str, Any]


def numbered(events: list[Event]) -> list[Record]:
    return [{"n": n, "t": 2.0 * n, **json.loads(json.dumps(e.to_dict()))} for n, e in enumerate(events, 1)]


def member(label: str, sparsity: float, control: bool = False) -> dict[str, Any]:
    return {"settings": {"sparsity": sparsity}, "label": label, "sparsity": sparsity, "control": control}


def figures(perplexity: float | None, uniform: float | None = None, **more: Any) -> dict[str, Any]:
    return {"perplexity": perplexity, "perplexity_uniform": uniform, "perplexity_dense": 20.0, "achieved": None, **more}


MEMBERS = tuple(
    member(label, s, label == "Uniform") for label in ("Uniform", "OWL", "NeuroAL both") for s in (0.5, 0.6)
)
START = SweepStarted({"base": {}, "axes": [], "control": True}, MEMBERS, ("One was not possible.",), "2026-01-15")


def done(index: int, summary: dict[str, Any], **more: Any) -> MemberFinished:
    return MemberFinished(index, f"run-{index}", "finished", False, summary, **more)


WHOLE: list[Event] = [
    Queued(1),
    START,
    MemberFinished(0, "old", "finished", True, figures(40.0, achieved=0.5, zeroshot=0.45, zeroshot_dense=0.5)),
    MemberStarted(1, "run-1"),
    done(1, figures(80.0, achieved=0.6004, zeroshot=0.41, zeroshot_dense=0.5)),
    MemberStarted(2, "run-2"),
    done(2, figures(36.0, 40.0, achieved=0.5, search_seconds=3.0, kl=0.4, encoded=0.5)),
    MemberStarted(3, "run-3"),
    done(3, figures(90.0, 80.0, achieved=0.6, search_seconds=5.0, kl=0.9, encoded=0.41)),
    MemberStarted(4, "run-4"),
    done(4, figures(34.0, 40.0, achieved=0.5, search_seconds=30.0, kl=0.35, encoded=0.5)),
    MemberStarted(5, "run-5"),
    done(5, figures(64.0, 80.0, achieved=0.6, search_seconds=34.0, kl=0.7, encoded=0.4)),
    RunFinished(77.0, 0),
]

REPEATED = tuple({**member("OWL", s), "settings": {"seed": seed}} for s in (0.5, 0.6) for seed in (0, 1))

TABLE: dict[str, list[Record]] = {
    "nothing": [],
    "waiting": numbered([Queued(3)]),
    "just started": numbered(WHOLE[:2]),
    "one run": numbered(WHOLE[:3]),
    "under way": numbered(WHOLE[:9]),
    "whole": numbered(WHOLE),
    "cancelled": numbered([*WHOLE[:6], RunCancelled()]),
    "interrupted and resumed": numbered([*WHOLE[:6], RunInterrupted(), Queued(1), RunResumed(), *WHOLE[6:8]]),
    "failed": numbered([*WHOLE[:4], RunFailed("The disk is full.")]),
    "a run failed": numbered(
        [*WHOLE[:4], MemberFinished(1, "run-1", "failed", False, {}, "Out of memory."), *WHOLE[5:]]
    ),
    "figures missing": numbered([START, done(0, {}), done(2, figures(None, 40.0)), done(4, figures(30.0))]),
    "two models": numbered([START, done(0, figures(40.0)), done(1, {**figures(50.0), "perplexity_dense": 12.0})]),
    "collapsed": numbered([START, done(0, figures(40.0)), done(2, figures(4.0e7, 40.0)), done(3, figures(1e5, 40.0))]),
    "repeated": numbered(
        [
            SweepStarted({}, REPEATED, (), "2026"),
            *(done(i, figures(30.0 + i, 40.0, achieved=0.5 + i / 100)) for i in range(4)),
        ]
    ),
    "an index that is not there": numbered([START, MemberStarted(9, "x"), done(17, figures(1.0))]),
    "read twice": [*numbered(WHOLE), *numbered(WHOLE[:5])],
}
