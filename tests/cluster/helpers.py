"""What the tests of the cluster share: questions, waiting for their answers, and what must be equal of two."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from tests.runs.helpers import SMALL

# A node starts a process and imports torch before it does its first run.
PATIENCE = 120.0

QUICK: dict[str, Any] = {**SMALL, "mode": "exact", "eval_windows": 3}

# Long enough for a worker to be found in the middle of it.
LONG: dict[str, Any] = {**QUICK, "lambdas": tuple(i / 100 for i in range(1, 31)), "samples": 4, "length": 128}

# The same, where there is but one try.
LONGER = {**LONG, "samples": 16}

# What differs between two runs of the same question.
PASSING = ("n", "t", "seconds", "started_at", "peak_memory", "hardware")


def eventually(condition: Callable[[], object]) -> None:
    """As of the helpers of runs, with more patience, and more rests: to look for processes takes a processor."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.03)


def wait_for(workshop: Workshop, run_id: str, *statuses: str) -> str:
    eventually(lambda: workshop.jobs.status(run_id) in (statuses or ("finished", "failed", "cancelled")))
    return workshop.jobs.status(run_id)


def records(workshop: Workshop, run_id: str, kind: str = "") -> list[dict[str, Any]]:
    """Without what passes."""
    found = [r for r in workshop.jobs.read(run_id)[0] if r["kind"] != "Queued" and kind in ("", r["kind"])]
    return [{key: value for key, value in r.items() if key not in PASSING} for r in found]


def masks(workshop: Workshop, run_id: str) -> bytes:
    return workshop._masks(run_id).read_bytes()


def done(workshop: Workshop, spec: RunSpec) -> str:
    run_id = workshop.jobs.start(spec, again=True)
    assert wait_for(workshop, run_id) == "finished", workshop.jobs.read(run_id)[0][-1]
    return run_id


def answer(workshop: Workshop, spec: RunSpec) -> str:
    """The same, but for a question that was asked before."""
    run_id = workshop.jobs.start(spec)
    assert wait_for(workshop, run_id) == "finished", workshop.jobs.read(run_id)[0][-1]
    return run_id
