"""What a worker of the cluster does: it drains a run, or scores a candidate of one, and tells each event to the bus."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

from neuroal.api import posed
from neuroal.cluster.packed import Packed, unpack
from neuroal.cluster.shared import SharedByBus
from neuroal.cluster.spread import Asked, Found, Helpers, SpreadScorer
from neuroal.heap import working_heap
from neuroal.importing import import_engine
from neuroal.method import Method
from neuroal.models.loading import LanguageModel
from neuroal.options import Options
from neuroal.runs.events import Event, LambdaChosen, Notice
from neuroal.runs.pool import Key, ModelPool
from neuroal.runs.spec import RunSpec
from neuroal.scoring import Problem, Scorer
from neuroal.threads import stand_back

if TYPE_CHECKING:
    from neuroal.runs.run import Known, Outcome

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Question:
    """A run as it is sent to a worker.

    Attributes:
        known: what an earlier attempt, or an interrupted run, had finished.
        masks: of a run that had finished and is to be measured further, its pruned model; else None.
        spent: seconds that such a run had taken.
        helpers: processors and GPUs of each, as Ray counts them, where candidates may be spread over helpers.
    """

    spec: RunSpec
    known: Known
    masks: bytes | None = None
    spent: float = 0.0
    helpers: dict[str, float] | None = None


class WorkerPool(ModelPool):
    """Models of a worker: built from the arrays that came with the run, or loaded here where none did."""

    def __init__(self) -> None:
        super().__init__()
        self._packed: Packed | None = None
        self._ids: dict[Key, str] = {}

    def offer(self, key: Key, packed: Packed | None) -> None:
        """What the run at hand brought for the model called ``key``; another than before replaces it."""
        self._packed = packed
        if self._ids.get(key) != (packed.id if packed else ""):
            self._ids[key] = packed.id if packed else ""
            self.forget(key)

    def load(self, key: Key, say: Callable[[str], None]) -> LanguageModel:
        import torch

        if self._packed is None:
            return super().load(key, say)
        return unpack(self._packed, "cuda" if torch.cuda.is_available() else "cpu")


@functools.cache
def _pool() -> WorkerPool:
    """One in each process, for Ray gives a process several runs, one after another."""
    return WorkerPool()


def work(bus: Any, key: str, question: Question, packed: list[Any]) -> bytes | None:
    """Drains a run until nobody listens any longer.

    Args:
        bus: handle of the actor.
        key: under which the events are told.
        packed: the reference to the model; empty where the worker is to load it itself.

    Returns:
        what distinguishes the pruned model from the dense one, as a file of masks; None where that was known, or where
        the run was given up.
    """
    # Ray takes a worker's main thread that waits for an answer for one that leaves its processor to another task.
    with ThreadPoolExecutor(1, "neuroal-run") as thread:
        return thread.submit(_work, bus, key, question, packed).result()


def _work(bus: Any, key: str, question: Question, packed: list[Any]) -> bytes | None:
    kept: list[bytes] = []
    _problems.clear()  # another run's, from when this process was its helper
    pool = _ready(question.spec, packed)
    pool.shared = SharedByBus(bus)
    _told(bus, key, _events(question, pool, bus, key, packed, lambda outcome: kept.append(_masks_of(outcome))))
    return kept[0] if kept else None


def assist(bus: Any, key: str, asked: Asked, packed: list[Any]) -> tuple[Found, list[str], str] | None:
    """Scores one candidate of another worker's run.

    Args:
        bus, key, packed: as of :func:`work`.

    Returns:
        what was found, what was troublesome, and a name of this process; None where nobody listened any longer.
    """
    import ray

    if not ray.get(bus.begin.remote(key)):
        return None
    problem = _problem(asked, packed)
    with working_heap():
        found = _told(bus, key, Scorer(problem).score(asked.step, [asked.candidate]))
    ray.get(bus.rest.remote(key))
    if found is None:
        return None
    return found[0], list(problem.method.troubles()), ray.get_runtime_context().get_worker_id()


_problems: dict[str, Problem] = {}  # the last one, for the next candidate


def _problem(asked: Asked, packed: list[Any]) -> Problem:
    """What the other worker's search asks, posed here to the same model."""
    if asked.id not in _problems:
        spec = asked.spec
        lm = _ready(spec, packed).get(spec.model, revision=spec.revision, dtype=spec.dtype)
        _problems.clear()
        method = Method(spec.pruner, spec.top_up, Options.of(spec))
        _problems[asked.id] = posed(lm.model, asked.tokens, method, spec.step, spec.sparsity, spec.mode)
    return _problems[asked.id]


def _ready(spec: RunSpec, packed: list[Any]) -> WorkerPool:
    """This process's models, with the one that was brought."""
    import ray

    import_engine()
    stand_back()
    pool = _pool()
    pool.offer((spec.model, spec.revision, spec.dtype), ray.get(packed[0]) if packed else None)
    return pool


def _told(bus: Any, key: str, events: Generator[Event, None, Result]) -> Result | None:
    """Tells events in order, one on its way while the next is made; their result, or None where nobody listened."""
    import ray

    sent = None
    with closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return end.value if sent is None or ray.get(sent) else None
            if sent is not None and not ray.get(sent):
                return None
            sent = bus.put.remote(key, event)


def _events(
    question: Question, pool: ModelPool, bus: Any, key: str, packed: list[Any], keep: Callable[[Outcome], None]
) -> Generator[Event, None, Any]:
    from neuroal.runs.run import measure, run

    spec, known = question.spec, question.known
    if question.masks is not None:
        return measure(spec, _twin_of(question, pool), pool=pool, known=known, spent=question.spent)
    if question.helpers is None or not packed:
        return run(spec, pool=pool, known=known, keep=keep)
    scorers: list[SpreadScorer] = []

    def scorer(tokens: Tensor, problem: Problem) -> SpreadScorer:
        helpers = Helpers(bus, key, assist, packed, question.helpers or {})
        scorers.append(SpreadScorer(helpers, spec, tokens, problem))
        return scorers[-1]

    return _reporting(run(spec, pool=pool, known=known, keep=keep, scorer=scorer), scorers)


def _reporting(events: Generator[Event, None, Result], scorers: list[SpreadScorer]) -> Generator[Event, None, Result]:
    """The same generator, which says after each step of a search what helpers did, and lets go of them at the end."""
    try:
        with closing(events):
            while True:
                try:
                    event = next(events)
                except StopIteration as end:
                    return end.value
                yield event
                if isinstance(event, LambdaChosen):
                    yield from (Notice(said) for scorer in scorers if (said := scorer.report()))
    finally:
        for scorer in scorers:
            scorer.close()


def _twin_of(question: Question, pool: ModelPool) -> Any:
    from neuroal.runs.masks_file import rebuilt_twin

    spec = question.spec
    lm = pool.get(spec.model, revision=spec.revision, dtype=spec.dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masks.safetensors"
        path.write_bytes(question.masks or b"")
        return rebuilt_twin(path, lm)


def _masks_of(outcome: Outcome) -> bytes:
    from neuroal.runs.masks_file import keep_twin

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masks.safetensors"
        keep_twin(path, outcome)
        return path.read_bytes()
