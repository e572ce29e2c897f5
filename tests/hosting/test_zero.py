"""Runs in parts: what a part finished is not done again, and the figures are those of an undivided run."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from neuroal.cluster.choice import chosen
from neuroal.errors import UserError
from neuroal.hosting import gpu, lent
from neuroal.hosting.lent import Broken, OutOfTime, Part, Told, part
from neuroal.hosting.zero import IN_PARTS, ZeroEngine, engine
from neuroal.models.precision import has_cuda, pick_device
from neuroal.runs.events import BlockScored, CandidateFinished, Event, Measured, Notice, RunFinished, RunStarted
from neuroal.runs.jobs import Jobs
from neuroal.runs.masks_file import rebuilt_twin
from neuroal.runs.pool import ModelPool
from neuroal.runs.run import Known
from neuroal.runs.run import run as whole_run
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import known
from tests.runs.helpers import SMALL, kinds, wait_for, weights_digest

SPEC = RunSpec(model="tiny", **{**SMALL, "lambdas": (0.02, 0.1, 0.2)})


class Clock:
    """Time that passes by one second with each look at it; nothing waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


class Lender:
    """In place of ``spaces.GPU``: each call in this process, but with everything that crosses pickled."""

    def __init__(self) -> None:
        self.asked: list[Part] = []
        self.closed = 0

    def __call__(self, task: Callable[[Part], Generator[Told, None, None]]) -> Callable[[Part], Any]:
        def call(asked: Part) -> Generator[Told, None, None]:
            self.asked.append(pickle.loads(pickle.dumps(asked)))
            told = task(self.asked[-1])
            try:
                for each in told:
                    yield pickle.loads(pickle.dumps(each))
            finally:
                told.close()
                self.closed += 1

        return call


@pytest.fixture(autouse=True)
def _not_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part takes the GPU of its process, which here is that of the tests."""
    monkeypatch.setattr(gpu, "_lent", False)


@pytest.fixture
def lender() -> Lender:
    return Lender()


def over(folder: Path, lender: Any, seconds: int = 60) -> ZeroEngine:
    return ZeroEngine(lambda run_id: folder / f"{run_id}.safetensors", seconds, lender)


def shown(events: Iterator[Event | None]) -> list[Event]:
    return [event for event in events if event is not None]


def figures(events: list[Event]) -> dict[Any, float]:
    scores = {(e.step, e.lam): e.score for e in events if isinstance(e, CandidateFinished)}
    return scores | {(e.metric, e.variant): e.value for e in events if isinstance(e, Measured)}


DENSE = Measured("dense", "perplexity", "prose", 30.0, 1.0, 100, 64, 0.1)


# --- a run in parts ---------------------------------------------------------------------------------------------------


def test_a_run_that_fits_is_one_call(tmp_path: Path, lender: Lender) -> None:
    events = shown(over(tmp_path, lender)("a", SPEC, []))
    assert len(lender.asked) == lender.closed == 1 and isinstance(events[-1], RunFinished)
    assert lender.asked[0].seconds == 60 and lender.asked[0].known == Known()
    assert not [event for event in events if isinstance(event, Notice) and "parts" in event.message]


def test_a_run_in_parts_finds_what_a_whole_one_finds(
    tmp_path: Path, lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: dict[str, Any] = {}
    reference = list(whole_run(SPEC, keep=lambda outcome: whole.update(twin=outcome.twin)))
    monkeypatch.setattr(lent, "time", Clock())
    events = shown(over(tmp_path, lender, 40)("a", SPEC, []))
    assert len(lender.asked) > 2, "it was done in parts"
    assert figures(events) == figures(reference)
    pruned = rebuilt_twin(tmp_path / "a.safetensors", ModelPool().get("tiny"))
    assert weights_digest(pruned) == weights_digest(whole["twin"])
    named = [event.to_dict()["kind"] for event in events]
    assert named.count("RunResumed") == len(lender.asked) - 1 and named[-1] == "RunFinished"
    assert [e.message for e in events if isinstance(e, Notice)].count(IN_PARTS.format(40)) == 1
    scored = [(e.step, e.lam) for e in events if isinstance(e, CandidateFinished)]
    assert len(scored) == len(set(scored)), "no candidate is finished twice"
    done = [len(asked.known.scores) + len(asked.known.measured) for asked in lender.asked]
    assert done == sorted(done) and done[-1] > 0


def test_a_part_stops_where_another_candidate_would_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lent, "time", Clock())
    *_, before, last = part(Part(SPEC, Known(), str(tmp_path / "a"), None, 40))
    assert isinstance(before, CandidateFinished) and last == OutOfTime()


def patient(needed: int) -> tuple[list[int], Any]:
    """A lender whose calls finish nothing in fewer than ``needed`` seconds, and what they were given."""
    given: list[int] = []

    def lend(task: Any) -> Any:
        def call(asked: Part) -> Generator[Told, None, None]:
            given.append(asked.seconds)
            yield OutOfTime() if asked.seconds < needed else RunFinished(1.0, 1)

        return call

    return given, lend


def test_a_candidate_that_does_not_fit_is_given_more_time(tmp_path: Path) -> None:
    given, lend = patient(100)
    assert isinstance(shown(over(tmp_path, lend, 30)("a", SPEC, []))[-1], RunFinished) and given == [30, 60, 120]
    given, lend = patient(200)
    with pytest.raises(
        UserError, match=r"^One step of this run takes longer than the 120 s for which the GPU is lent;"
    ):
        shown(over(tmp_path, lend, 30)("b", SPEC, []))
    assert given == [30, 60, 120]


def test_events_are_told_at_every_block(tmp_path: Path) -> None:
    told = part(Part(SPEC, Known(), str(tmp_path / "a"), None, 600))
    blocks = [event.block for event in told if isinstance(event, BlockScored) and event.step == "block"]
    assert blocks == list(range(8)) * 3


def test_an_interrupted_run_goes_on_from_its_log(tmp_path: Path, lender: Lender) -> None:
    events = shown(over(tmp_path, lender)("a", SPEC, []))
    cut = next(i for i, event in enumerate(events) if isinstance(event, CandidateFinished)) + 1
    records = [event.to_dict() for event in events[:cut]]
    again = shown(over(tmp_path, lender)("b", SPEC, records))
    assert lender.asked[1].known.scores == known(records).scores != {}
    assert figures(again) == {k: v for k, v in figures(events).items() if k not in known(records).scores}


def test_a_finished_run_is_measured_further_from_its_masks(tmp_path: Path, lender: Lender) -> None:
    events = shown(over(tmp_path, lender)("a", SPEC, []))
    wider = RunSpec(model="tiny", **{**SMALL, "lambdas": SPEC.lambdas}, evaluations=("perplexity", "divergence"))
    more = shown(over(tmp_path, lender)("a", wider, [event.to_dict() for event in events]))
    assert lender.asked[1].spent == events[-1].seconds <= more[-1].seconds
    assert {e.metric for e in more if isinstance(e, Measured)} == {"divergence"}


def test_the_seconds_of_all_parts_are_told(tmp_path: Path) -> None:
    def lend(task: Any) -> Any:
        def call(asked: Part) -> Generator[Told, None, None]:
            time.sleep(0.05)
            yield DENSE if not asked.known.measured else RunFinished(1.0, 1)
            yield OutOfTime()

        return call

    *_, last = shown(over(tmp_path, lend)("a", SPEC, []))
    assert 1.05 < last.seconds < 6


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_what_the_run_refuses_crosses_as_a_sentence(tmp_path: Path, lender: Lender) -> None:
    excluding = RunSpec(model="tiny", **SMALL, exclude=("nothing.like.this",))
    with pytest.raises(UserError, match="nothing.like.this"):
        shown(over(tmp_path, lender)("a", excluding, []))


def test_a_fault_of_the_process_is_told_and_logged(
    tmp_path: Path, lender: Lender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def out_of_memory(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(ModelPool, "get", out_of_memory)
    monkeypatch.setattr("neuroal.models.locate.locate", lambda *_, **__: None)
    with pytest.raises(UserError, match=r"^The machine ran out of memory, also with half as many"):
        shown(over(tmp_path, lender)("a", SPEC, []))
    assert "A part of a run failed" in caplog.text


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("You have exceeded your free ZeroGPU quota (60s requested vs. 12s left).", "(60s requested vs. 12s left). "),
        ("GPU task aborted", "GPU task aborted. "),
        ("", "Refusal. "),
    ],
)
def test_a_refusal_of_the_platform_ends_the_run_and_it_can_be_resumed(tmp_path: Path, message: str, told: str) -> None:
    class Refusal(Exception):
        pass

    def lend(task: Any) -> Any:
        def call(asked: Part) -> Generator[Told, None, None]:
            error = Refusal(message)
            error.message = message
            yield RunStarted(SPEC.card(), SPEC.key(), {}, {}, "")
            raise error

        return call

    store = Store(tmp_path / "store")
    jobs = Jobs(store, over(tmp_path, lend))
    try:
        run = jobs.start(SPEC)
        assert wait_for(jobs, run) == "failed"
        said = jobs.read(run)[0][-1]["message"]
        assert said.startswith("The GPU could not be had: ") and told in said
        assert said.endswith("What was finished is kept; resume the run later.")
        jobs.engine = over(tmp_path, Lender())
        jobs.resume(run)
        assert wait_for(jobs, run) == "finished"
    finally:
        jobs.close()
        store.close()


def test_closing_a_run_closes_the_call(tmp_path: Path, lender: Lender) -> None:
    events = over(tmp_path, lender)("a", SPEC, [])
    while not isinstance(next(events), BlockScored):
        pass
    events.close()
    assert lender.closed == 1


def test_a_part_never_raises(tmp_path: Path) -> None:
    """Of an exception the app would learn the name of its class only."""
    *_, last = part(Part(RunSpec(model="no-such-model"), Known(), str(tmp_path / "a"), None, 60))
    assert isinstance(last, Broken) and "no-such-model" in last.sentence


# --- where there is a GPU ---------------------------------------------------------------------------------------------


def test_on_zerogpu_the_app_itself_computes_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although torch, as ``spaces`` has changed it, says that there is a GPU."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert has_cuda()
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert not has_cuda() and pick_device().type == "cpu"
    gpu.take()
    assert has_cuda() and pick_device().type == "cuda"


def test_elsewhere_nothing_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu.prepare()
    assert not gpu.is_prepared() and engine(lambda run_id: tmp_path / run_id, 60) is None
    with pytest.raises(UserError, match='NEUROAL_ENGINE is "zerogpu", but this is no ZeroGPU Space'):
        chosen({"NEUROAL_ENGINE": "zerogpu"})
    assert chosen({"SPACES_ZERO_GPU": "true", "SPACE_ID": "a/b"}).engine == "zerogpu"
    assert chosen({"SPACES_ZERO_GPU": "true", "NEUROAL_ENGINE": "thread"}).engine == "thread"


def test_a_zerogpu_space_without_its_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="the package that lends its GPU is missing: pip install spaces"):
        gpu.prepare()


def test_kinds_of_a_run_in_parts_are_those_that_a_log_knows(tmp_path: Path, lender: Lender) -> None:
    store = Store(tmp_path / "store")
    jobs = Jobs(store, over(tmp_path, lender))
    try:
        run = jobs.start(SPEC)
        assert wait_for(jobs, run) == "finished" and kinds(jobs, run)[:2] == ["Queued", "StageStarted"]
    finally:
        jobs.close()
        store.close()
