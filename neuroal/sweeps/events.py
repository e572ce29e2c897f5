"""The events of a sweep. Like a run it is its spec and its log; it ends with the closing events of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neuroal.runs.events import Event


@dataclass(frozen=True)
class SweepStarted(Event):
    """What is asked: ``spec`` is ``SweepSpec.card()``. ``members``: of each run "settings" (those that it does not have
    from the base), "label" (what it is called; equal along a line of the map), "sparsity" (asked for) and "control"
    (whether it is pruned uniformly); ``refusals``: why combinations were left out, a sentence each."""

    spec: dict[str, Any]
    members: tuple[dict[str, Any], ...]
    refusals: tuple[str, ...]
    started_at: str


@dataclass(frozen=True)
class MemberStarted(Event):
    """A run of the sweep is queued, or goes on after an interruption. ``index``: its place in ``members``."""

    index: int
    run: str


@dataclass(frozen=True)
class MemberFinished(Event):
    """A run of the sweep is over, or was there before. ``status``: as of a run; ``reused``: it was not started for this
    sweep; ``summary``: its figures (``neuroal.runs.summary``); ``message``: why it failed."""

    index: int
    run: str
    status: str
    reused: bool
    summary: dict[str, Any]
    message: str = ""
