"""What a worker of the cluster does: it drains one run, and tells each event to the bus."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroal.cluster.packed import Packed, unpack
from neuroal.importing import import_engine
from neuroal.models.loading import LanguageModel
from neuroal.runs.events import Event
from neuroal.runs.pool import Key, ModelPool
from neuroal.runs.spec import RunSpec
from neuroal.threads import stand_back

if TYPE_CHECKING:
    from neuroal.runs.run import Known, Outcome


@dataclasses.dataclass(frozen=True)
class Question:
    """A run as it is sent to a worker.

    Attributes:
        known: what an earlier attempt, or an interrupted run, had finished.
        masks: of a run that had finished and is to be measured further, its pruned model; else None.
        spent: seconds that such a run had taken.
    """

    spec: RunSpec
    known: Known
    masks: bytes | None = None
    spent: float = 0.0


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


def work(bus: Any, key: str, question: Question, packed: Packed | None) -> bytes | None:
    """Drains a run until nobody listens any longer.

    Args:
        bus: handle of the actor.
        key: under which the events are told.
        packed: the model; None where the worker is to load it itself.

    Returns:
        what distinguishes the pruned model from the dense one, as a file of masks; None where that was known, or where
        the run was given up.
    """
    import_engine()
    stand_back()
    kept: list[bytes] = []
    spec, pool = question.spec, _pool()
    pool.offer((spec.model, spec.revision, spec.dtype), packed)
    events = _events(question, pool, lambda outcome: kept.append(_masks_of(outcome)))
    with closing(events):
        _tell(bus, key, events)
    return kept[0] if kept else None


def _tell(bus: Any, key: str, events: Generator[Event, None, Any]) -> None:
    """In order, one on its way while the next is made; ends early when nobody listens."""
    import ray

    sent = None
    for event in events:
        if sent is not None and not ray.get(sent):
            return
        sent = bus.put.remote(key, event)
    if sent is not None:
        ray.get(sent)


def _events(question: Question, pool: ModelPool, keep: Callable[[Outcome], None]) -> Generator[Event, None, Any]:
    from neuroal.runs.run import measure, run

    if question.masks is None:
        return run(question.spec, pool=pool, known=question.known, keep=keep)
    twin = _twin_of(question, pool)
    return measure(question.spec, twin, pool=pool, known=question.known, spent=question.spent)


def _twin_of(question: Question, pool: ModelPool) -> Any:
    from neuroal.runs.masks_file import rebuilt_twin

    spec = question.spec
    lm = pool.get(spec.model, revision=spec.revision, dtype=spec.dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masks.safetensors"
        path.write_bytes(question.masks or b"")
        return rebuilt_twin(path, lm)


def _masks_of(outcome: Outcome) -> bytes:
    from neuroal.runs.masks_file import save_masks

    lm = outcome.language_model
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masks.safetensors"
        save_masks(path, outcome.twin, lm.model, [linear.path for linear in lm.stack.all_linears()])
        return path.read_bytes()
