"""Sweeps on a real workshop: their runs take turns, are reused, and survive a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from neuroal.errors import UserError
from neuroal.runs.spec import RunSpec
from neuroal.sweeps.spec import SweepSpec
from tests.runs.helpers import SMALL, eventually, wait_for

if TYPE_CHECKING:
    from neuroal.runs.workshop import Workshop

Open = Callable[..., "Workshop"]

BASE: dict[str, Any] = {**{k: v for k, v in SMALL.items() if k != "lambdas"}, "pruner": "magnitude"}
AXES = ([{"top_up": "owl"}, {"top_up": "uniform"}], [{"sparsity": 0.4}, {"sparsity": 0.6}])


@pytest.fixture
def spec(model_folder: Any) -> SweepSpec:
    return SweepSpec({**BASE, "model": str(model_folder)}, AXES)


def of(workshop: Workshop, sweep_id: str, kind: str) -> list[dict[str, Any]]:
    return [r for r in workshop.sweeps.jobs.read(sweep_id)[0] if r["kind"] == kind]


def test_a_sweep_runs_to_its_end(open_workshop: Open, spec: SweepSpec) -> None:
    workshop = open_workshop()
    sweep_id = workshop.sweeps.start(spec)
    assert sweep_id.startswith("sweep-")
    assert wait_for(workshop.sweeps.jobs, sweep_id) == "finished"
    ends = of(workshop, sweep_id, "MemberFinished")
    assert sorted(r["index"] for r in ends) == [0, 1, 2, 3] and not any(r["reused"] for r in ends)
    for record in ends:
        alone = workshop.jobs.read(record["run"])[0]
        measured = {r["variant"]: r["value"] for r in alone if r["kind"] == "Measured"}
        assert record["summary"]["perplexity"] == measured["chosen"]
        assert record["status"] == workshop.jobs.status(record["run"]) == "finished"
    asked = {r["index"]: r["summary"]["sparsity"] for r in ends}
    assert asked == {m.index: m.spec.sparsity for m in spec.members}


def test_what_was_asked_before_is_reused_and_the_other_way_round(open_workshop: Open, spec: SweepSpec) -> None:
    workshop = open_workshop()
    alone = workshop.start(spec.members[1].spec)
    wait_for(workshop.jobs, alone)
    sweep_id = workshop.sweeps.start(spec)
    wait_for(workshop.sweeps.jobs, sweep_id)
    reused = {r["run"] for r in of(workshop, sweep_id, "MemberFinished") if r["reused"]}
    assert reused == {alone}
    again = workshop.sweeps.start(spec)
    wait_for(workshop.sweeps.jobs, again)
    assert len([r for r in of(workshop, again, "MemberFinished") if r["reused"]]) == 4
    assert not of(workshop, again, "MemberStarted")
    other = of(workshop, sweep_id, "MemberFinished")[-1]
    assert workshop.start(spec.members[other["index"]].spec) == other["run"]


def test_the_ids_of_one_kind_are_unknown_to_the_other(open_workshop: Open, spec: SweepSpec) -> None:
    workshop = open_workshop()
    sweep_id = workshop.sweeps.start(spec)
    wait_for(workshop.sweeps.jobs, sweep_id)
    run = of(workshop, sweep_id, "MemberFinished")[0]["run"]
    workshop.close()
    workshop = open_workshop()  # nothing in memory
    with pytest.raises(KeyError):
        workshop.jobs.status(sweep_id)
    with pytest.raises(KeyError):
        workshop.sweeps.jobs.status(run)


@pytest.mark.parametrize("stop", ["pause", "cancel"])
def test_it_can_be_stopped_and_goes_on(open_workshop: Open, spec: SweepSpec, stop: str) -> None:
    workshop = open_workshop()
    sweep_id = workshop.sweeps.start(spec)
    eventually(lambda: of(workshop, sweep_id, "MemberStarted"))
    assert getattr(workshop.sweeps, stop)(sweep_id)
    assert wait_for(workshop.sweeps.jobs, sweep_id) == "cancelled"
    assert not getattr(workshop.sweeps, stop)(sweep_id)
    run = of(workshop, sweep_id, "MemberStarted")[0]["run"]
    ended = wait_for(workshop.jobs, run)
    assert ended == "finished" or stop == "cancel"
    workshop.sweeps.resume(sweep_id)
    assert wait_for(workshop.sweeps.jobs, sweep_id) == "finished"
    ends = of(workshop, sweep_id, "MemberFinished")
    assert {r["index"] for r in ends if r["status"] == "finished"} == {0, 1, 2, 3}
    with pytest.raises(UserError, match="Only a sweep that was interrupted"):
        workshop.sweeps.resume(sweep_id)


def test_a_restart_in_the_middle(open_workshop: Open, spec: SweepSpec) -> None:
    workshop = open_workshop()
    sweep_id = workshop.sweeps.start(spec)
    eventually(lambda: of(workshop, sweep_id, "MemberStarted"))
    workshop.close()
    workshop = open_workshop()
    assert workshop.sweeps.jobs.status(sweep_id) == "interrupted"
    workshop.sweeps.resume(sweep_id)
    assert wait_for(workshop.sweeps.jobs, sweep_id) == "finished"
    ends = [r for r in of(workshop, sweep_id, "MemberFinished") if r["status"] == "finished"]
    assert sorted(r["index"] for r in ends) == [0, 1, 2, 3]
    assert len({r["run"] for r in ends}) == 4


def test_a_sweep_does_not_hold_up_a_single_run(open_workshop: Open, spec: SweepSpec) -> None:
    """It queues one run at a time, and people take turns."""
    workshop = open_workshop()
    sweep_id = workshop.sweeps.start(spec)
    eventually(lambda: of(workshop, sweep_id, "MemberStarted"))
    alone = workshop.start(RunSpec(model=spec.base["model"], **BASE, top_up="alphapruning"), owner="someone")
    wait_for(workshop.jobs, alone)
    assert len(of(workshop, sweep_id, "MemberFinished")) < 4
    wait_for(workshop.sweeps.jobs, sweep_id)


def test_a_run_that_is_not_possible_here_is_told_and_the_others_are_done(open_workshop: Open, spec: SweepSpec) -> None:
    workshop = open_workshop()
    base = {name: value for name, value in spec.base.items() if name != "length"}
    lengths = SweepSpec({**base, "top_up": "uniform"}, ([{"length": 32}, {"length": 8192}],))
    sweep_id = workshop.sweeps.start(lengths)
    assert wait_for(workshop.sweeps.jobs, sweep_id) == "finished"
    ends = {r["index"]: r for r in of(workshop, sweep_id, "MemberFinished")}
    assert ends[0]["status"] == "finished" and ends[1]["status"] == "failed"
    assert "context" in ends[1]["message"]
