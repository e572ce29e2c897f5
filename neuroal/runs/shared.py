"""What one run finds out that another needs as well: figures of the dense model, and of the uniform control.

Neither depends on the top-up, so a comparison of ten of them measures these once. They are kept as the events that told
of them, and told again to the next run; how long they took is said as it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from neuroal.evaluation.base import EVALUATIONS
from neuroal.runs.events import BlockPruned, Event, Measured, Notice, PruningFinished
from neuroal.topups import TOP_UPS

if TYPE_CHECKING:
    from neuroal.evaluation.base import Evaluation
    from neuroal.models.loading import LanguageModel
    from neuroal.runs.spec import RunSpec

Result = TypeVar("Result")

# Of what is told, the part that still holds for another run; the rest is progress, or a text of this run's own.
LASTING = (BlockPruned, PruningFinished, Measured, Notice)

# Figures kept; each is a few kB, of a pruned control as many events as the model has blocks.
KEPT = 512


class Shared:
    """Figures by what they depend on. Safe to use from several threads; in memory only, for as long as the process."""

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self._told: OrderedDict[str, tuple[Event, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> tuple[Event, ...] | None:
        """What was told of it, None when nothing."""
        with self._lock:
            if key in self._told:
                self._told.move_to_end(key)
            return self._told.get(key)

    def put(self, key: str, events: Sequence[Event]) -> None:
        """Keeps what lasts of the events."""
        with self._lock:
            self._told[key] = tuple(event for event in events if isinstance(event, LASTING))
            while len(self._told) > self.kept:
                self._told.popitem(last=False)

    def recording(
        self,
        key: str,
        events: Generator[Event, None, Result],
        kept: Callable[[Sequence[Event]], Sequence[Event]] = lambda told: told,
    ) -> Generator[Event, None, Result]:
        """The same generator; once it has come to its end, what it told is kept, as ``kept`` makes it."""
        told: list[Event] = []
        result = yield from _passed_on(events, told)
        self.put(key, kept(told))
        return result


def _passed_on(events: Generator[Event, None, Result], told: list[Event]) -> Generator[Event, None, Result]:
    with closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return end.value
            told.append(event)
            yield event


def as_control(events: Sequence[Event]) -> list[Event]:
    """What a run of the uniform top-up told of its pruned model, as it would be told of another run's control."""
    return [dataclasses.replace(e, variant="uniform") if hasattr(e, "variant") else e for e in events]


def model_key(lm: LanguageModel) -> str:
    """What tells a loaded model from others."""
    return f"{lm.info.folder}|{lm.info.dtype}|{lm.info.device}"


def dense_key(model: str, windows: str, evaluation: Evaluation, spec: RunSpec) -> str:
    """Of a figure of the dense model.

    Args:
        model: as :func:`model_key` gives it.
        windows: digest of the held-out windows.
    """
    return _hash("dense", model, windows, _asked(evaluation, spec))


def control_key(model: str, tokens: str, target: float, spec: RunSpec) -> str:
    """Of the pruning of the uniform control.

    Args:
        tokens: digest of the calibration tokens.
        target: sparsity ratio of every block.
    """
    ours = {name for top_up in TOP_UPS.entries for name in top_up.settings} | {"top_up", "step", "mode", "sparsity"}
    ours |= {name for kind in EVALUATIONS.entries for name in kind.settings}
    ours |= {name for name in spec.card() if name.startswith("eval")}
    return _hash("control", model, tokens, target, {k: v for k, v in spec.card().items() if k not in ours})


def control_figure_key(control: str, windows: str, evaluation: Evaluation, spec: RunSpec) -> str:
    """Of a figure of the control that has the key ``control``."""
    return _hash(control, windows, _asked(evaluation, spec))


def _asked(evaluation: Evaluation, spec: RunSpec) -> list[Any]:
    return [evaluation.name, spec.eval_source, [getattr(spec, name) for name in evaluation.settings]]


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
