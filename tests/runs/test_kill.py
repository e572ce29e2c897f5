"""kill -9: what a page has shown is still there, and what was going goes on to the same result."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop
from tests.runs import doomed
from tests.runs.doomed import HALF_OF_THE_MASKS
from tests.runs.helpers import PATIENCE, SMALL, Script, kinds, wait_for, weights_digest

Doom = Callable[..., tuple[BaseProcess, Connection]]

# Seconds until a process has imported torch, on a busy machine.
IMPORTING = 120.0


@pytest.fixture
def doom() -> Iterator[Doom]:
    """Starts what is to be killed; nothing of it outlives the test."""
    children: list[tuple[BaseProcess, Connection]] = []

    def start(*arguments: Any) -> tuple[BaseProcess, Connection]:
        children.append(doomed.doomed(*arguments))
        return children[-1]

    yield start
    for child, connection in children:
        child.kill()
        child.join(PATIENCE)
        connection.close()


def heard(connection: Connection) -> Any:
    assert connection.poll(IMPORTING), "nothing was heard of it"
    return connection.recv()


def kill(child: BaseProcess) -> None:
    child.kill()
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL


def rest(connection: Connection) -> list[Any]:
    """What it had said before it was killed."""
    said = []
    while connection.poll():
        try:
            said.append(connection.recv())
        except (EOFError, OSError):
            break
    return said


@pytest.mark.parametrize("after", [1, 60])
def test_every_event_that_was_shown_survives(doom: Doom, tmp_path: Path, after: int) -> None:
    """Killed at full speed, at whatever instruction it happens to be."""
    child, connection = doom(doomed.append, tmp_path)
    shown = [heard(connection) for _ in range(after)]
    kill(child)
    shown += rest(connection)
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


# Where a run is killed: after which event of a kind. Two candidates of three blocks each: the 4th scored block is the
# second candidate's, the 11th a row's; the 5th pruned one the control's.
PHASES: dict[str, tuple[str, int]] = {
    "in the queue": ("Queued", 1),
    "while the model loads": ("StageStarted", 1),
    "while text is drawn": ("ModelReady", 1),
    "before the search": ("CalibrationReady", 1),
    "in the block search": ("BlockScored", 4),
    "in the row search": ("BlockScored", 11),
    "before pruning": ("AllocationReady", 1),
    "while it prunes": ("BlockPruned", 2),
    "while the dense model is measured": ("Evaluated", 1),
    "while the control is pruned": ("BlockPruned", 5),
    "while the control is measured": ("Measured", 2),
    "while the masks are written": (HALF_OF_THE_MASKS, 0),
}


@pytest.mark.parametrize(("kind", "nth"), PHASES.values(), ids=PHASES.keys())
def test_a_killed_run_is_interrupted_and_goes_on_to_the_same_result(
    doom: Doom, open_workshop: Callable[[], Workshop], tmp_path: Path, model_folder: Path, kind: str, nth: int
) -> None:
    import torch

    torch.set_num_threads(1)
    child, connection = doom(doomed.run, tmp_path, str(model_folder), kind, nth, SMALL)
    run_id = heard(connection)
    kill(child)
    assert not list(tmp_path.glob("pruned/*.safetensors")), "no half file is called a whole one"

    workshop = open_workshop()
    jobs = workshop.jobs
    assert jobs.status(run_id) == "interrupted"
    found = kinds(jobs, run_id)
    assert found[-1] == "RunInterrupted"
    if kind != HALF_OF_THE_MASKS:
        assert found[-2] == kind and found.count(kind) == nth
    with jobs.store.engine.connect() as connection:
        ids = connection.exec_driver_sql("SELECT id, status FROM runs").fetchall()
    expected = ["interrupted"] * (1 if kind == "Queued" else 2)
    assert sorted(status for _, status in ids) == expected, "the one that was waiting as well"

    jobs.resume(run_id)
    assert wait_for(jobs, run_id) == "finished"
    whole = jobs.start(RunSpec(model=str(model_folder), **SMALL), again=True)
    assert wait_for(jobs, whole) == "finished"
    assert figures(workshop, run_id) == figures(workshop, whole)
    assert weights_digest(workshop.pair(run_id)[1]) == weights_digest(workshop.pair(whole)[1])
    finished = [(r["step"], r["lam"]) for r in jobs.read(run_id)[0] if r["kind"] == "CandidateFinished"]
    assert len(finished) == len(set(finished)) == 4, "what was finished before the kill is not done again"
    left = {path.name for path in (tmp_path / "pruned").iterdir()}
    assert left == {f"{run_id}.safetensors", f"{whole}.safetensors"}


def test_killed_between_two_calibrations_it_goes_on_with_the_second(
    doom: Doom,
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
    child, connection = doom(doomed.run, tmp_path, str(model_folder), "Measured", 4, settings)
    run_id = heard(connection)
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


def test_killed_while_more_is_measured_the_run_is_still_finished(
    doom: Doom, open_workshop: Callable[[], Workshop], tmp_path: Path, model_folder: Path
) -> None:
    import torch

    torch.set_num_threads(1)
    more = {"evaluations": ("perplexity", "divergence")}
    child, connection = doom(doomed.measure, tmp_path, str(model_folder), SMALL, more)
    run_id = heard(connection)
    kill(child)

    workshop = open_workshop()
    jobs = workshop.jobs
    assert jobs.status(run_id) == "finished"
    notice, end = jobs.read(run_id)[0][-2:]
    assert notice["message"].endswith("press Measure to go on.") and end["kind"] == "RunFinished"
    wider = RunSpec(model=str(model_folder), **SMALL, **more)
    workshop.measure(run_id, wider)
    assert wait_for(jobs, run_id) == "finished"
    whole = jobs.start(wider, again=True)
    assert wait_for(jobs, whole) == "finished"
    found, expected = (
        {(r["metric"], r["variant"]): r["value"] for r in jobs.read(i)[0] if r["kind"] == "Measured"}
        for i in (run_id, whole)
    )
    assert found == expected and ("divergence", "chosen") in found


def test_a_killed_sweep_goes_on_with_the_run_at_hand(
    doom: Doom, open_workshop: Callable[[], Workshop], tmp_path: Path, model_folder: Path
) -> None:
    import torch

    torch.set_num_threads(1)
    child, connection = doom(doomed.sweep, tmp_path, str(model_folder), SMALL)
    sweep_id = heard(connection)
    kill(child)

    workshop = open_workshop()
    sweeps = workshop.sweeps.jobs
    assert sweeps.status(sweep_id) == "interrupted"
    started = [r["run"] for r in sweeps.read(sweep_id)[0] if r["kind"] == "MemberStarted"]
    assert [workshop.jobs.status(run) for run in started] == ["finished", "interrupted"]
    workshop.sweeps.resume(sweep_id)
    assert wait_for(sweeps, sweep_id) == "finished"
    over = [r for r in sweeps.read(sweep_id)[0] if r["kind"] == "MemberFinished"]
    assert [r["status"] for r in over] == ["finished"] * 3 and not any(r["reused"] for r in over)
    assert [r["run"] for r in over][:2] == started, "neither was asked again"
    for member, record in zip(doomed.three(str(model_folder), SMALL).members, over, strict=True):
        whole = workshop.jobs.start(member.spec, again=True)
        assert wait_for(workshop.jobs, whole) == "finished"
        assert figures(workshop, whole) == figures(workshop, record["run"])


def figures(workshop: Workshop, run_id: str) -> dict[tuple[str, object], object]:
    """Scores by candidate, the chosen lambdas, and perplexities by variant."""
    found: dict[tuple[str, object], object] = {}
    for r in workshop.jobs.read(run_id)[0]:
        if r["kind"] in ("CandidateFinished", "LambdaChosen"):
            found[r["kind"] + r["step"], r["lam"]] = r["score"]
        elif r["kind"] == "Measured":
            found["Measured", r["variant"]] = r["value"]
    return found
