"""What the tests of runs share: small specs, records as the store keeps them, and a scripted engine."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from neuroal.runs.events import Event, RunFinished, RunStarted, StageStarted
from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec

if TYPE_CHECKING:
    from torch import nn

# Nothing here takes longer than a second; a test that waits this long has failed.
PATIENCE = 20.0

CLOSING = {"RunFinished", "RunFailed", "RunCancelled", "RunInterrupted"}

# A run of a fraction of a second: 2 x 32 tokens, a grid of two, two batches of held-out text.
SMALL: dict[str, Any] = {
    "lambdas": (0.02, 0.2),
    "samples": 2,
    "length": 32,
    "eval_windows": 9,
    "eval_length": 128,
}


def records_of(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Events as they come back from the store: numbered, through JSON."""
    return [{"n": n, "t": 0.0, **json.loads(json.dumps(event.to_dict()))} for n, event in enumerate(events, 1)]


def started(spec: RunSpec) -> RunStarted:
    return RunStarted(spec.card(), spec.key(), {}, {}, "2026-01-15T10:00:00+00:00")


def weights_digest(module: nn.Module) -> str:
    """A hash of every parameter and buffer, bit by bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def eventually(condition: Callable[[], object]) -> None:
    """Returns once the condition holds, which other threads bring about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.002)


def wait_for(jobs: Jobs, run_id: str, *statuses: str) -> str:
    """The status of the run once it has ended, or is one of ``statuses``."""
    wanted = statuses or ("finished", "failed", "cancelled", "interrupted")
    eventually(lambda: jobs.status(run_id) in wanted)
    return jobs.status(run_id)


def kinds(jobs: Jobs, run_id: str) -> list[str]:
    return [record["kind"] for record in jobs.read(run_id)[0]]


class Script:
    """A fake engine. A run is named by its spec's model; what it does is set by that name.

    Attributes:
        calls: (name, records of the earlier part) of every run it began, in order.
        held: runs that wait in the middle until their event is set.
        inside: set once a held run has got there.
        faults: raised in the middle, or on closing.
        closed: names whose generator was closed or ran out.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[dict[str, Any]]]] = []
        self.held: dict[str, threading.Event] = {}
        self.inside: dict[str, threading.Event] = {}
        self.faults: dict[str, BaseException] = {}
        self.closing_faults: dict[str, Exception] = {}
        self.closed: list[str] = []
        self.steps = 3

    def hold(self, *names: str) -> None:
        for name in names:
            self.held[name], self.inside[name] = threading.Event(), threading.Event()

    def release(self, *names: str) -> None:
        for name in names or list(self.held):
            self.held[name].set()

    def wait_inside(self, name: str) -> None:
        assert self.inside[name].wait(PATIENCE)

    @property
    def order(self) -> list[str]:
        return [name for name, _ in self.calls]

    def __call__(self, run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
        name = spec.model
        self.calls.append((name, records))
        try:
            yield started(spec)
            if name in self.held:
                self.inside[name].set()
                assert self.held[name].wait(PATIENCE)
            if name in self.faults:
                raise self.faults[name]
            for step in range(self.steps):
                yield StageStarted("model", f"Step {step}.")
            yield RunFinished(0.5, 1000)
        finally:
            self.closed.append(name)
            if name in self.closing_faults:
                raise self.closing_faults[name]
