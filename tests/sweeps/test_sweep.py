"""The generator of a sweep, with runs that a test ends by hand."""

from __future__ import annotations

from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.runs.events import Event, RunFinished
from neuroal.runs.jobs import NotResumable
from neuroal.runs.spec import RunSpec
from neuroal.sweeps import sweep as sweeps
from neuroal.sweeps.events import MemberFinished, MemberStarted, SweepStarted
from neuroal.sweeps.spec import SweepSpec
from neuroal.sweeps.sweep import sweep
from tests.runs.helpers import records_of

SPEC = SweepSpec({"top_up": "uniform"}, ([{"sparsity": 0.5}, {"sparsity": 0.6}, {"sparsity": 0.7}],))


class FakeRuns:
    """Runs are named by their sparsity; each ends as ``ends`` says when it is looked at."""

    def __init__(self) -> None:
        self.answers: dict[float, str] = {}
        self.ends: dict[str, str] = {}
        self.refuses: set[float] = set()
        self.started: list[str] = []
        self.resumed: list[str] = []
        self.gone: set[str] = set()

    def answered(self, spec: RunSpec) -> str | None:
        return self.answers.get(spec.sparsity)

    def start(self, spec: RunSpec, owner: str) -> str:
        assert owner == "me"
        if spec.sparsity in self.refuses:
            raise UserError("Not here.")
        self.started.append(f"run {spec.sparsity}")
        return self.started[-1]

    def resume(self, run_id: str, owner: str) -> None:
        self.resumed.append(run_id)
        self.ends[run_id] = "finished"

    def status(self, run_id: str) -> str:
        if run_id in self.gone:
            raise KeyError(run_id)
        return self.ends.get(run_id, "running")

    def outcome(self, run_id: str) -> tuple[dict[str, Any], str]:
        failed = self.ends.get(run_id) == "failed"
        return {"perplexity": 7.0}, "The disk is full." if failed else ""


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    monkeypatch.setattr(sweeps, "PAUSE", 0.0)
    return FakeRuns()


def drained(runs: FakeRuns, **settings: Any) -> list[Event]:
    return [event for event in sweep(SPEC, runs, owner="me", **settings) if event is not None]


def test_one_run_after_the_other(runs: FakeRuns) -> None:
    events, generator = [], sweep(SPEC, runs, owner="me")
    for event in generator:
        if event is not None:
            events.append(event)
        elif runs.started:
            assert len(runs.started) == 1 + sum(status == "finished" for status in runs.ends.values())
            runs.ends[runs.started[-1]] = "finished"
    assert [type(e) for e in events] == [SweepStarted, *[MemberStarted, MemberFinished] * 3, RunFinished]
    assert events[0].members == tuple(
        {"settings": {"sparsity": s}, "label": "Uniform", "sparsity": s, "control": True} for s in (0.5, 0.6, 0.7)
    )
    assert events[2] == MemberFinished(0, "run 0.5", "finished", False, {"perplexity": 7.0})


def test_several_at_a_time(runs: FakeRuns) -> None:
    seen = []
    for event in sweep(SPEC, runs, owner="me", together=2):
        if event is None:
            seen.append(list(runs.started))
            runs.ends |= dict.fromkeys(runs.started, "finished")
    assert seen[0] == ["run 0.5", "run 0.6"] and runs.started == ["run 0.5", "run 0.6", "run 0.7"]


def test_what_was_answered_before_is_not_started(runs: FakeRuns) -> None:
    runs.answers = {0.6: "old"}
    runs.ends = {"run 0.5": "finished", "run 0.7": "finished"}
    events = drained(runs)
    assert runs.started == ["run 0.5", "run 0.7"]
    assert events[1] == MemberFinished(1, "old", "finished", True, {"perplexity": 7.0})


def test_a_run_that_fails_or_is_refused_or_removed_does_not_stop_the_sweep(runs: FakeRuns) -> None:
    runs.refuses = {0.5}
    runs.ends = {"run 0.6": "failed"}
    runs.gone = {"run 0.7"}
    ends = [e for e in drained(runs) if isinstance(e, MemberFinished)]
    assert [(e.index, e.status, e.message) for e in ends] == [
        (0, "failed", "Not here."), (1, "failed", "The disk is full."), (2, "failed", "The run was removed."),
    ]  # fmt: skip


def test_a_resumed_sweep_goes_on_with_what_is_left(runs: FakeRuns) -> None:
    records = records_of(
        [
            SweepStarted({}, ({}, {}, {}), (), "2026"),
            MemberFinished(0, "run 0.5", "finished", False, {}),
            MemberStarted(1, "run 0.6"),
        ]
    )
    records[-1]["t"] = 90.0
    runs.ends = {"run 0.6": "interrupted", "run 0.7": "finished"}
    events = drained(runs, records=records)
    assert runs.resumed == ["run 0.6"] and runs.started == ["run 0.7"]
    assert [type(e) for e in events] == [MemberStarted, MemberFinished, MemberStarted, MemberFinished, RunFinished]
    assert 90.0 <= events[-1].seconds < 95.0


def test_one_that_went_on_meanwhile_is_waited_for_and_one_that_was_removed_is_asked_again(runs: FakeRuns) -> None:
    records = records_of(
        [SweepStarted({}, ({}, {}, {}), (), "2026"), MemberStarted(0, "other"), MemberStarted(1, "lost")]
    )
    runs.gone = {"lost"}
    runs.ends = {"other": "finished", "run 0.6": "finished", "run 0.7": "finished"}
    events = drained(runs, records=records)
    assert runs.resumed == [] and runs.started == ["run 0.6", "run 0.7"]
    assert [e.run for e in events if isinstance(e, MemberFinished)] == ["other", "run 0.6", "run 0.7"]


def test_a_run_of_its_own_that_ended_meanwhile_was_not_there_before(runs: FakeRuns) -> None:
    records = records_of([SweepStarted({}, ({}, {}, {}), (), "2026"), MemberStarted(0, "mine")])
    runs.answers = {0.5: "mine", 0.6: "other"}
    runs.ends = {"run 0.7": "finished"}
    ends = [e for e in drained(runs, records=records) if isinstance(e, MemberFinished)]
    assert [(e.run, e.reused) for e in ends] == [("mine", False), ("other", True), ("run 0.7", False)]


def test_closing_it_starts_nothing_more(runs: FakeRuns) -> None:
    generator = sweep(SPEC, runs, owner="me")
    while next(generator) is not None:
        pass
    generator.close()
    assert runs.started == ["run 0.5"]


def test_a_run_whose_process_goes_is_resumed_once(runs: FakeRuns) -> None:
    records = records_of([SweepStarted({}, ({}, {}, {}), (), "2026"), MemberStarted(0, "run 0.5")])
    runs.ends = {"run 0.6": "interrupted", "run 0.7": "finished"}
    runs.resume = lambda run_id, owner: runs.resumed.append(run_id)
    events = []
    for event in sweep(SPEC, runs, owner="me", records=records):
        events.append(event)
        if not runs.resumed:  # the run of a process that is gone is still said to be going
            runs.ends["run 0.5"] = "interrupted"
        elif runs.resumed == ["run 0.5"]:
            runs.ends["run 0.5"] = "finished"
    assert runs.resumed == ["run 0.5", "run 0.6"]
    ends = [(e.index, e.status) for e in events if isinstance(e, MemberFinished)]
    assert ends == [(0, "finished"), (1, "interrupted"), (2, "finished")]


@pytest.mark.parametrize("begun", [True, False])
def test_a_run_that_another_process_was_faster_to_resume_is_waited_for(runs: FakeRuns, begun: bool) -> None:
    """Its log is read from the store now and then only, so for a moment it still says that the run is interrupted."""
    member = [MemberStarted(0, "run 0.5")] if begun else []
    records = records_of([SweepStarted({}, ({}, {}, {}), (), "2026"), *member])
    runs.ends = {"run 0.5": "interrupted", "run 0.6": "finished", "run 0.7": "finished"}

    def resume(run_id: str, owner: str) -> None:
        runs.resumed.append(run_id)
        if len(runs.resumed) == 3:
            runs.ends[run_id] = "finished"
        raise NotResumable("run")

    runs.resume = resume
    ends = [e for e in drained(runs, records=records) if isinstance(e, MemberFinished)]
    assert runs.resumed == ["run 0.5"] * 3
    assert [(e.run, e.status) for e in ends] == [(f"run 0.{i}", "finished") for i in (5, 6, 7)]
