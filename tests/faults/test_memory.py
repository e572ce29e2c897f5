"""Out of memory: a run goes on once with half as many sequences at once, then says what to choose instead."""

from __future__ import annotations

import types
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from neuroal.batches import HALVED, at_once, sparing
from neuroal.errors import UserError, is_out_of_memory
from neuroal.models.loading import LanguageModel
from neuroal.runs.events import (
    CandidateFinished,
    Evaluated,
    Event,
    LambdaChosen,
    Measured,
    Notice,
    RunFinished,
    RunPlanned,
)
from neuroal.runs.pool import ModelPool
from neuroal.runs.run import Outcome, examine, measure, run
from neuroal.runs.spec import RunSpec
from neuroal.search import _wanted
from tests.runs.helpers import weights_digest

# Four sequences of 32 tokens are one batch, and so are four windows of 64.
SPEC = RunSpec(
    model="tiny", step="block", lambdas=(0.05, 0.1), samples=4, length=32, eval_windows=8, eval_length=64, sparsity=0.5
)

ERRORS: dict[str, Callable[[], Exception]] = {
    "cpu": lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes. Error 12"),
    "windows": lambda: RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes."),
    "gpu": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "mps": lambda: RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    "numpy": lambda: MemoryError("Unable to allocate 512. TiB for an array"),
}


class Memory(TorchDispatchMode):
    """Refuses activations of more than so many sequences of this length, as torch's allocator does."""

    def __init__(self, sequences: int, length: int, error: Callable[[], Exception] = ERRORS["cpu"]) -> None:
        super().__init__()
        self.sequences, self.length, self.error, self.refused = sequences, length, error, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        batch = isinstance(made, Tensor) and made.dim() == 3 and made.shape[1] == self.length
        if batch and made.shape[0] > self.sequences:
            self.refused += 1
            raise self.error()
        return made


@pytest.fixture(autouse=True)
def _four_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroal.blocks.MICRO_BATCH_TOKENS", 4 * SPEC.length)
    for module in ("base", "perplexity"):
        monkeypatch.setattr(f"neuroal.evaluation.{module}.BATCH_TOKENS", 4 * SPEC.eval_length)


@pytest.fixture
def pool(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> ModelPool:
    monkeypatch.setattr("neuroal.runs.pool.load", lambda name, **_: tiny)
    return ModelPool()


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def figures(events: list[Event]) -> dict[Any, float]:
    found: dict[Any, float] = {e.lam: e.score for e in of(events, CandidateFinished)}
    return found | {e.variant: e.value for e in of(events, Measured)}


@pytest.fixture(scope="module")
def whole(tiny: LanguageModel) -> dict[Any, float]:
    """The figures of the run that has memory enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroal.runs.pool.load", lambda name, **_: tiny)
        return figures(list(run(SPEC, pool=ModelPool())))


@pytest.mark.parametrize("allocate", [torch.empty, np.empty], ids=["torch", "numpy"])
def test_a_real_allocator_is_understood(allocate: Callable[[int], Any]) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as refused:
        allocate(2**46)
    assert is_out_of_memory(refused.value)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
def test_every_allocator_is_understood(error: Callable[[], Exception]) -> None:
    assert is_out_of_memory(error())
    assert not is_out_of_memory(UserError("There is not enough memory for it; choose another."))
    assert not is_out_of_memory(RuntimeError("The size of tensor a must match"))


@pytest.mark.parametrize("length", [SPEC.length, SPEC.eval_length], ids=["in the search", "in the evaluation"])
def test_a_run_goes_on_with_half_the_batch_to_the_same_figures(
    pool: ModelPool, whole: dict[Any, float], tiny: LanguageModel, length: int
) -> None:
    before = weights_digest(tiny.model)
    with Memory(2, length) as memory:
        events = list(run(SPEC, pool=pool))
    assert memory.refused == 1, "the second time it fits"
    assert [e.message for e in of(events, Notice) if "memory" in e.message] == [HALVED]
    assert figures(events) == pytest.approx(whole, rel=1e-4)
    assert len(of(events, RunFinished)) == 1 and isinstance(events[-1], RunFinished)
    scored = Counter(e.lam for e in of(events, CandidateFinished))
    assert set(scored.values()) == {1}, "what was finished before is not done again"
    assert len(of(events, LambdaChosen)) == (1 if length == SPEC.length else 2)
    planned = of(events, RunPlanned)[-1].units["evaluate:chosen"]
    assert planned["units"] == len([e for e in of(events, Evaluated) if e.variant == "chosen"]), "the plan knows of it"
    assert weights_digest(tiny.model) == before
    assert at_once(8) == 8, "others keep whole batches"


@pytest.mark.parametrize("length", [SPEC.length, SPEC.eval_length], ids=["in the search", "in the evaluation"])
def test_a_second_time_is_a_sentence_that_says_what_to_choose(pool: ModelPool, length: int) -> None:
    said: list[Event] = []
    with Memory(1, length) as memory, pytest.raises(UserError) as caught:
        said.extend(run(SPEC, pool=pool))
    assert memory.refused == 2
    for choice in ("fewer or shorter samples", "a smaller model", "half precision"):
        assert choice in str(caught.value)


def test_measuring_later_and_examining_go_on_as_well(pool: ModelPool) -> None:
    kept: list[Outcome] = []
    list(run(SPEC, pool=pool, keep=kept.append))
    for again in (lambda: measure(SPEC, kept[0].twin, pool=ModelPool(), known=_nothing()), lambda: _examined()):
        with Memory(2, SPEC.eval_length) as memory:
            events = list(again())
        assert memory.refused == 1 and isinstance(events[-1], RunFinished)
        assert HALVED in [e.message for e in of(events, Notice)]


def _nothing() -> Any:
    from neuroal.runs.run import Known

    return Known()


def _examined() -> Any:
    return examine(SPEC, pool=ModelPool())


def test_other_faults_are_raised_as_they_are(pool: ModelPool) -> None:
    with Memory(2, SPEC.length, lambda: ZeroDivisionError("a fault")) as memory, pytest.raises(ZeroDivisionError):
        list(run(SPEC, pool=pool))
    assert memory.refused == 1


def test_what_the_first_attempt_held_is_let_go_before_the_second(pool: ModelPool) -> None:
    """An error holds the frames it came through, and these the activations that did not fit."""

    class Refused(MemoryError):
        pass

    held: list[weakref.ref[Exception]] = []

    def refuse() -> Exception:
        error = Refused("out of memory")
        held.append(weakref.ref(error))
        return error

    with Memory(2, SPEC.length, refuse):
        for event in run(SPEC, pool=pool):
            if isinstance(event, Notice) and event.message == HALVED:
                assert held[0]() is None
    assert len(held) == 1


def test_two_that_go_by_turns_in_one_thread_have_batches_of_their_own() -> None:
    def attempt() -> Any:
        if not tried:
            tried.append(True)
            raise MemoryError
        yield at_once(8)
        yield at_once(8)

    tried: list[bool] = []
    halved = sparing(attempt, lambda _: 0)
    assert next(halved) == 0 and next(halved) == 4
    assert at_once(8) == 8
    assert list(sparing(attempt, lambda _: 0)) == [8, 8]
    assert list(halved) == [4]


def test_candidates_that_go_side_by_side_are_half_as_many_too() -> None:
    """Of a model on disk: each has hidden states of its own."""
    problem = types.SimpleNamespace(every=True, together=True)
    grid = (0.01, 0.02, 0.03, 0.04)

    def attempt() -> Any:
        if not tried:
            tried.append(True)
            raise MemoryError
        yield _wanted(problem, "block", grid, {}, None)

    tried: list[bool] = []
    assert list(sparing(attempt, lambda _: ())) == [(), [0.01, 0.02]]
    assert list(sparing(attempt, lambda _: ())) == [list(grid)]
