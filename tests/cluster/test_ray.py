"""Runs on a real cluster of two nodes: the same results as by threads, whatever happens to a worker, a node or all.

One file, for the start of a cluster is what takes the time here, and that of a worker: those that end one are last.

The mode is exact, for a quick pass depends on the processor. What earlier runs have measured is told to later ones by
both engines, so each test asks both of them the same.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from neuroal.cluster import attempt, spread
from neuroal.cluster.engine import WORKER_LOST
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from tests.cluster.helpers import LONG, LONGER, QUICK, answer, done, eventually, masks, records, wait_for
from tests.cluster.local import LocalCluster
from tests.runs.helpers import weights_digest

# On a busy machine a run may be over before one hears of it; then another one is tried.
SEEDS = range(40, 45)

LOST = {"kind": "Notice", "message": WORKER_LOST}


@pytest.fixture
def worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are spread although the model is small."""
    monkeypatch.setattr(spread, "is_worth", lambda seconds, size: True)


def spread_over(workshop: Workshop, run_id: str) -> list[dict[str, Any]]:
    """The notices that say so."""
    return [r for r in records(workshop, run_id, "Notice") if "were spread over" in r["message"]]


def helpers_seen(workshop: Workshop, cluster: LocalCluster, run_id: str) -> list[psutil.Process]:
    """Those that are at it now, where it is known that some have helped before."""
    return cluster.processes("ray::assist") if spread_over(workshop, run_id) else []


def begun(workshop: Workshop, spec: RunSpec) -> str:
    """A run that has some candidates behind it."""
    run_id = workshop.jobs.start(spec, again=True)
    eventually(lambda: len(records(workshop, run_id, "CandidateFinished")) >= 3)
    return run_id


def has_ended(workshop: Workshop, run_id: str) -> bool:
    return workshop.jobs.status(run_id) in ("finished", "failed", "cancelled")


@pytest.mark.parametrize(
    "settings", [{"step": "both"}, {"pruner": "sparsegpt", "top_up": "uniform", "eval_length": 96}], ids=str
)
def test_a_run_is_the_same_as_by_a_thread(
    workshop: Workshop, on_threads: Workshop, model_folder: Path, settings: dict[str, Any]
) -> None:
    spec = RunSpec(model=str(model_folder), **{**QUICK, **settings}, seed=len(settings))
    far, near = done(workshop, spec), done(on_threads, spec)
    assert records(workshop, far) == records(on_threads, near)
    assert masks(workshop, far) == masks(on_threads, near)
    (lm, twin), (_, other) = workshop.pair(far), on_threads.pair(near)
    assert weights_digest(twin) == weights_digest(other) != weights_digest(lm.model)


def test_what_one_worker_has_measured_another_is_told(
    workshop: Workshop, on_threads: Workshop, model_folder: Path
) -> None:
    """A uniform run is the control of the others, also where those are done by the other node, at the same time."""
    base = RunSpec(model=str(model_folder), **QUICK, seed=6, top_up="uniform", evaluations=("perplexity", "divergence"))
    others = [dataclasses.replace(base, top_up=name) for name in ("owl", "alphapruning")]
    told = []
    for each in (workshop, on_threads):
        done(each, base)
        runs = [each.jobs.start(spec, admitted=True) for spec in others]
        assert [wait_for(each, run_id) for run_id in runs] == ["finished"] * 2
        told.append([records(each, run_id) for run_id in runs])
    assert told[0] == told[1]
    stages = {record["stage"] for run in told[0] for record in run if record["kind"] == "StageStarted"}
    assert not {"prune:uniform", "evaluate:dense", "evaluate:uniform"} & stages and "evaluate:chosen" in stages


def test_what_a_run_refuses_is_said_as_it_was(workshop: Workshop, model_folder: Path) -> None:
    run_id = workshop.jobs.start(RunSpec(model=str(model_folder), **QUICK, exclude=("nothing.*",)))
    assert wait_for(workshop, run_id) == "failed"
    message = records(workshop, run_id, "RunFailed")[0]["message"]
    assert "nothing.*" in message and "Traceback" not in message


def test_a_finished_run_can_be_measured_further(workshop: Workshop, on_threads: Workshop, model_folder: Path) -> None:
    spec, figures = RunSpec(model=str(model_folder), **QUICK, seed=5), []
    for each in (workshop, on_threads):
        run_id = done(each, spec)
        each.measure(run_id, dataclasses.replace(spec, evaluations=("divergence",)))
        eventually(lambda each=each, run_id=run_id: len(records(each, run_id, "RunFinished")) == 2)
        figures.append(records(each, run_id, "Measured"))
    assert {f["metric"] for f in figures[0]} == {"perplexity", "divergence"}
    assert figures[0] == figures[1]


def test_runs_are_spread_over_the_nodes_and_candidates_while_there_is_one(
    worth: None, workshop: Workshop, cluster: LocalCluster, model_folder: Path
) -> None:
    """Also where the first run has helpers on all nodes when the second one comes, to which they make way."""
    assert workshop.jobs.workers == 2 and workshop.workers() == (2, 1.0)
    first = workshop.jobs.start(RunSpec(model=str(model_folder), **LONG, seed=1), admitted=True)
    eventually(lambda: cluster.processes("ray::assist"))
    second = workshop.jobs.start(RunSpec(model=str(model_folder), **LONG, seed=2), admitted=True)
    eventually(lambda: len(cluster.processes("ray::work")) == 2)
    assert workshop.jobs.status(first) == "running"
    for run_id in (first, second):
        workshop.jobs.cancel(run_id)
        assert wait_for(workshop, run_id) == "cancelled"


def test_a_cancelled_run_leaves_its_worker_and_helpers_free(
    worth: None, workshop: Workshop, cluster: LocalCluster, model_folder: Path
) -> None:
    run_id = workshop.jobs.start(RunSpec(model=str(model_folder), **LONG, seed=3))
    eventually(lambda: cluster.processes("ray::assist"))
    workshop.jobs.cancel(run_id)
    assert wait_for(workshop, run_id) == "cancelled"
    eventually(lambda: not cluster.processes("ray::work") and not cluster.processes("ray::assist"))
    before = len(records(workshop, run_id, "CandidateFinished"))
    workshop.jobs.resume(run_id)
    assert wait_for(workshop, run_id) == "finished"
    told = [(r["step"], r["lam"]) for r in records(workshop, run_id, "CandidateFinished")]
    assert before < len(told) == len(set(told)) == 2 * len(LONG["lambdas"])


def test_candidates_that_are_spread_are_told_and_chosen_as_ever(
    worth: None, workshop: Workshop, on_threads: Workshop, cluster: LocalCluster, model_folder: Path
) -> None:
    """Also where a helper is killed in the middle of one, which the run's own worker then scores."""
    for seed in SEEDS:
        spec = RunSpec(model=str(model_folder), **LONGER, seed=seed)
        run_id = workshop.jobs.start(spec)
        eventually(lambda run_id=run_id: helpers_seen(workshop, cluster, run_id) or has_ended(workshop, run_id))
        if killed := helpers_seen(workshop, cluster, run_id):
            break
    for helper in killed:
        helper.kill()
    assert wait_for(workshop, run_id) == "finished", workshop.jobs.read(run_id)[0][-1]
    assert "spread over 1 helper on the cluster" in spread_over(workshop, run_id)[0]["message"]
    found = [r for r in records(workshop, run_id) if r not in spread_over(workshop, run_id)]
    whole = answer(on_threads, spec)
    assert found == records(on_threads, whole)
    assert masks(workshop, run_id) == masks(on_threads, whole)


def test_a_killed_workers_run_goes_on_to_the_same_result(
    workshop: Workshop, on_threads: Workshop, cluster: LocalCluster, model_folder: Path
) -> None:
    for seed in SEEDS:
        spec = RunSpec(model=str(model_folder), **LONG, seed=seed)
        run_id = begun(workshop, spec)
        for worker in cluster.processes("ray::work"):
            worker.kill()
        assert wait_for(workshop, run_id) == "finished", workshop.jobs.read(run_id)[0][-1]
        if LOST in records(workshop, run_id):
            break
    assert LOST in records(workshop, run_id)
    assert not spread_over(workshop, run_id), "one so small is not worth a helper"
    whole = answer(on_threads, spec)
    for kind in ("CandidateFinished", "LambdaChosen", "Measured", "AllocationReady"):
        assert records(workshop, run_id, kind) == records(on_threads, whole, kind)
    assert masks(workshop, run_id) == masks(on_threads, whole)


def test_a_run_of_a_stopped_node_goes_on_elsewhere(
    workshop: Workshop, cluster: LocalCluster, model_folder: Path
) -> None:
    def has(title: str) -> bool:
        return any(os.getsid(process.pid) == node.pid for process in cluster.processes(title))

    node, runs = cluster.nodes[1], []
    while not has("ray::work"):
        runs.append(
            begun(workshop, RunSpec(model=str(model_folder), **LONGER, seed=len(runs)))
        )  # where the first one is not
    had_bus = has("ray::Bus")  # beside the app, unless that node has not heard of this one yet
    cluster.kill(node)
    for run_id in runs:
        assert wait_for(workshop, run_id) == "finished", workshop.jobs.read(run_id)[0][-1]
    *others, last = [LOST in records(workshop, run_id) for run_id in runs]
    assert last and (had_bus or not any(others))


def test_runs_of_a_stopped_cluster_go_on_once_it_is_back(
    workshop: Workshop,
    on_threads: Workshop,
    cluster: LocalCluster,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last one, for it starts another cluster."""
    monkeypatch.setattr(attempt, "PATIENCE", 2.0)
    monkeypatch.setattr(attempt, "START_PATIENCE", 2.0)
    run_id = begun(workshop, RunSpec(model=str(model_folder), **LONGER, seed=4))
    cluster.kill()
    assert wait_for(workshop, run_id) == "failed"
    assert records(workshop, run_id)[-1]["message"] == attempt.LOST
    workshop.jobs.resume(run_id)
    assert wait_for(workshop, run_id) == "failed"
    assert "does not answer; start it" in records(workshop, run_id)[-1]["message"]
    monkeypatch.undo()

    cluster.add_nodes()
    workshop.jobs.resume(run_id)
    assert wait_for(workshop, run_id) == "finished", workshop.jobs.read(run_id)[0][-1]
    whole = answer(on_threads, workshop.jobs.spec(run_id))
    candidates = records(on_threads, whole, "CandidateFinished")
    assert records(workshop, run_id, "CandidateFinished") == candidates, "each was scored once"
    assert masks(workshop, run_id) == masks(on_threads, whole)
