"""A node that stops, and a whole cluster that does: nothing is lost, nothing hangs, and the server lives on."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroal.cluster import attempt
from neuroal.cluster.engine import WORKER_LOST
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from tests.cluster.helpers import LONG, eventually, masks, records, wait_for
from tests.cluster.local import LocalCluster

LOST = {"kind": "Notice", "message": WORKER_LOST}


def begun(workshop: Workshop, model_folder: Path, seed: int) -> str:
    """A run that has some candidates behind it."""
    run_id = workshop.jobs.start(RunSpec(model=str(model_folder), **LONG, seed=seed), again=True)
    eventually(lambda: len(records(workshop, run_id, "CandidateFinished")) >= 3)
    return run_id


def test_runs_of_a_stopped_node_go_on_elsewhere_and_those_of_a_stopped_cluster_once_it_is_back(
    workshop: Workshop,
    on_threads: Workshop,
    cluster: LocalCluster,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One after the other, for the start of a cluster is what takes the time here."""
    runs = [begun(workshop, model_folder, seed) for seed in (1, 2)]
    cluster.kill(cluster.nodes[1])
    for run_id in runs:
        assert wait_for(workshop, run_id) == "finished", workshop.jobs.read(run_id)[0][-1]
    assert sorted(LOST in records(workshop, run_id) for run_id in runs) == [False, True]

    monkeypatch.setattr(attempt, "PATIENCE", 2.0)
    monkeypatch.setattr(attempt, "START_PATIENCE", 2.0)
    third = begun(workshop, model_folder, 3)
    cluster.kill()
    assert wait_for(workshop, third) == "failed"
    assert records(workshop, third)[-1]["message"] == attempt.LOST
    workshop.jobs.resume(third)
    assert wait_for(workshop, third) == "failed"
    assert "does not answer; start it" in records(workshop, third)[-1]["message"]
    monkeypatch.undo()

    cluster.add_node()
    workshop.jobs.resume(third)
    assert wait_for(workshop, third) == "finished", workshop.jobs.read(third)[0][-1]
    whole = on_threads.jobs.start(workshop.jobs.spec(third))
    assert wait_for(on_threads, whole) == "finished"
    candidates = records(on_threads, whole, "CandidateFinished")
    assert records(workshop, third, "CandidateFinished") == candidates, "each was scored once"
    assert masks(workshop, third) == masks(on_threads, whole)
