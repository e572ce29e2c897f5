"""What a host allows of jobs: the time of a run, and whose question it is while it goes."""

from __future__ import annotations

import contextvars
from collections.abc import Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from neuroal.folding.fold import fold_all
from neuroal.folding.status import sentence
from neuroal.runs import job
from neuroal.runs.events import Event, RunFinished
from neuroal.runs.jobs import Jobs
from neuroal.runs.rules import Rules
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.sweeps.sweep import _Going
from tests.runs.helpers import Script, kinds, wait_for

OVER = (
    "This run has taken the 15 min that one may go here at a time, so it made way for others. What it had finished "
    "is kept; Resume goes on from there."
)
WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the clock by which runs are timed, as the test sets them."""
    seconds = [0.0]
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    return seconds


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[tuple[Jobs, Script]]:
    """Jobs of which each may go for a quarter of an hour."""
    script, store = Script(), Store(tmp_path)
    jobs = Jobs(store, script, rules=Rules(seconds=900.0))
    yield jobs, script
    script.release()
    jobs.close()
    store.close()


def over_time(jobs: Jobs, script: Script, spec: RunSpec, now: list[float]) -> str:
    """A run that has been held until its time was over."""
    script.hold(spec.model)
    run = jobs.start(spec, again=True)
    script.wait_inside(spec.model)
    now[0] += 901
    script.release()
    return run


def test_a_run_over_its_time_ends_with_a_sentence_and_can_be_resumed(
    hurried: tuple[Jobs, Script], now: list[float]
) -> None:
    jobs, script = hurried
    run = over_time(jobs, script, RunSpec(model="a"), now)
    assert wait_for(jobs, run) == "interrupted"
    records, _ = jobs.read(run)
    assert records[-1]["message"] == OVER and sentence(fold_all(records)) == OVER
    assert script.closed == ["a"], "the generator was closed"
    jobs.rules = Rules()
    jobs.resume(run)
    assert wait_for(jobs, run) == "finished"
    assert "RunResumed" in kinds(jobs, run) and script.calls[1][1], "it goes on from its own records"
    assert sentence(fold_all(jobs.read(run)[0])).startswith("Finished in")


def test_a_finished_run_that_is_measured_for_too_long_stays_finished(
    hurried: tuple[Jobs, Script], now: list[float]
) -> None:
    jobs, script = hurried
    jobs.rules, spec = Rules(), RunSpec(model="a")
    run = jobs.start(spec)
    assert wait_for(jobs, run) == "finished"
    jobs.rules = Rules(seconds=900.0)
    script.hold("a")
    jobs.measure(run, spec)
    script.wait_inside("a")
    now[0] += 901
    script.release()
    assert wait_for(jobs, run) == "finished" and kinds(jobs, run)[-2:] == ["Notice", "RunFinished"]
    assert jobs.read(run)[0][-2]["message"].startswith("Measuring took as long as a run may go here at a time;")


def test_a_sweep_does_not_resume_what_was_over_time() -> None:
    """Unlike a run whose process is gone."""

    class Runs:
        resumed: list[str] = []

        def outcome(self, run_id: str) -> tuple[dict[str, Any], str]:
            return {}, OVER if run_id == "late" else ""

        def resume(self, run_id: str, owner: str) -> None:
            self.resumed.append(run_id)

    going = _Going(Runs(), "someone", {})
    assert not going._goes_on(0, "late", "interrupted")
    assert going._goes_on(1, "lost", "interrupted") and Runs.resumed == ["lost"]


def test_a_run_is_done_in_the_context_in_which_it_was_asked(tmp_path: Path) -> None:
    """So the engine knows whose question it is: what is theirs to fetch, or to have computed."""
    seen: list[str] = []

    def engine(run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
        seen.append(WHO.get())
        yield RunFinished(0.0, 0)

    store = Store(tmp_path)
    jobs = Jobs(store, engine)
    try:
        for who in ("Ann", "Ben"):
            context = contextvars.copy_context()
            context.run(WHO.set, who)
            wait_for(jobs, context.run(jobs.start, RunSpec(model=who)))
        assert seen == ["Ann", "Ben"] and WHO.get() == "nobody"
    finally:
        jobs.close()
        store.close()
