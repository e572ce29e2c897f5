"""kill -9: what a page has shown is still there, and what was going goes on to the same result."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop
from tests.runs.helpers import SMALL, Script, kinds, wait_for, weights_digest

ROOT = Path(__file__).resolve().parents[2]

Doomed = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def doomed() -> Iterator[Doomed]:
    """Starts one of the programs of doomed.py; none outlives the test."""
    children: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.runs.doomed", *map(str, arguments)]
        children.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def kill(child: subprocess.Popen[str]) -> None:
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


@pytest.mark.parametrize("after", [1, 60])
def test_every_event_that_was_shown_survives(doomed: Doomed, tmp_path: Path, after: int) -> None:
    """Killed at full speed, at whatever instruction it happens to be."""
    child = doomed("append", tmp_path)
    assert child.stdout is not None
    shown = [int(child.stdout.readline()) for _ in range(after)]
    kill(child)
    shown += [int(line) for line in child.stdout.read().split("\n")[:-1]]
    store = Store(tmp_path)
    numbers = [record["n"] for record in store.events("doomed")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= shown[-1] >= after
    assert [r["message"] for r in store.events("doomed")[1:]] == [str(n) for n in numbers[1:]]
    store.close()

    jobs = Jobs(Store(tmp_path), Script())
    assert jobs.status("doomed") == "interrupted"
    assert [r["n"] for r in jobs.read("doomed", len(numbers))[0]] == [len(numbers) + 1]
    jobs.close()
    jobs.store.close()
    with sqlite3.connect(tmp_path / "runs.sqlite") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


@pytest.mark.parametrize("nth", [4, 11], ids=["in the block search", "in the row search"])
def test_a_killed_run_is_interrupted_and_goes_on_to_the_same_result(
    doomed: Doomed, open_workshop: Callable[[], Workshop], tmp_path: Path, model_folder: Path, nth: int
) -> None:
    """Two candidates of three blocks each: the 4th scored block is the second candidate's, the 11th a row's."""
    import torch

    torch.set_num_threads(1)
    child = doomed("run", tmp_path, model_folder, "BlockScored", nth, json.dumps(SMALL))
    assert child.stdout is not None
    run_id = child.stdout.readline().strip()
    kill(child)

    workshop = open_workshop()
    jobs = workshop.jobs
    assert jobs.status(run_id) == "interrupted"
    found = kinds(jobs, run_id)
    assert found[-2:] == ["BlockScored", "RunInterrupted"] and found.count("BlockScored") == nth
    with jobs.store.engine.connect() as connection:
        ids = connection.exec_driver_sql("SELECT id, status FROM runs").fetchall()
    assert sorted(status for _, status in ids) == ["interrupted"] * 2, "the one that was waiting as well"

    jobs.resume(run_id)
    assert wait_for(jobs, run_id) == "finished"
    whole = jobs.start(RunSpec(model=str(model_folder), **SMALL), again=True)
    assert wait_for(jobs, whole) == "finished"
    assert figures(workshop, run_id) == figures(workshop, whole)
    assert weights_digest(workshop.pair(run_id)[1]) == weights_digest(workshop.pair(whole)[1])
    finished = [(r["step"], r["lam"]) for r in jobs.read(run_id)[0] if r["kind"] == "CandidateFinished"]
    assert len(finished) == len(set(finished)) == 4, "what was finished before the kill is not done again"


def test_killed_between_two_calibrations_it_goes_on_with_the_second(
    doomed: Doomed,
    open_workshop: Callable[[], Workshop],
    tmp_path: Path,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The 4th figure, after two perplexities and that of this run, is that of seed 1."""
    import torch

    torch.set_num_threads(1)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "no texts"))  # whoever runs this may have some
    settings = {**SMALL, "evaluations": ("perplexity", "sensitivity"), "sensitivity_seeds": 1}
    child = doomed("run", tmp_path, model_folder, "Measured", 4, json.dumps(settings))
    assert child.stdout is not None
    run_id = child.stdout.readline().strip()
    kill(child)

    workshop = open_workshop()
    jobs = workshop.jobs
    before = [r["metric"] for r in jobs.read(run_id)[0] if r["kind"] == "Measured"]
    assert before[2:] == ["sensitivity/this run", "sensitivity/seed 1"]
    jobs.resume(run_id)
    assert wait_for(jobs, run_id) == "finished"
    whole = jobs.start(RunSpec(model=str(model_folder), **settings), again=True)
    assert wait_for(jobs, whole) == "finished"
    found, expected = (
        [(r["metric"], r["variant"], r["value"], r["details"]) for r in jobs.read(i)[0] if r["kind"] == "Measured"]
        for i in (run_id, whole)
    )
    assert found == expected
    rest = ["sensitivity/1 sample", "sensitivity/4 samples", "sensitivity", "perplexity"]
    assert [metric for metric, *_ in found[4:]] == rest


def figures(workshop: Workshop, run_id: str) -> dict[tuple[str, object], object]:
    """Scores by candidate, the chosen lambdas, and perplexities by variant."""
    found: dict[tuple[str, object], object] = {}
    for r in workshop.jobs.read(run_id)[0]:
        if r["kind"] in ("CandidateFinished", "LambdaChosen"):
            found[r["kind"] + r["step"], r["lam"]] = r["score"]
        elif r["kind"] == "Measured":
            found["Measured", r["variant"]] = r["value"]
    return found
