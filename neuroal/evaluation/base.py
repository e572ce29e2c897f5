"""What can be measured of a pruned model, as the form and a run see it: a name, a cost, and a generator of events.

Nothing heavy is imported here: the page is built from it before torch is there.
"""

from __future__ import annotations

import dataclasses
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from neuroal.background import mapped
from neuroal.batches import at_once
from neuroal.registry import Registry
from neuroal.runs.events import Evaluated, Event, Measured

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neuroal.models.loading import LanguageModel
    from neuroal.runs.plan import Shape
    from neuroal.runs.spec import RunSpec

Result = TypeVar("Result")

# Tokens per batch of an evaluation that reads held-out windows. Logits are float32 [tokens, vocabulary]: at a
# vocabulary of 50,000 these are 200 MB.
BATCH_TOKENS = 1024

# What is measured: the model as it came, the pruned one, and the control with the same sparsity everywhere.
VARIANTS = ("dense", "chosen", "uniform")


@dataclass(frozen=True)
class Ground:
    """What an evaluation stands on: the question, the dense model, the held-out windows, int64 [n, length], and of the
    run's own pruned model the sparsity that it was to reach and the lambda that each step chose, by step.

    ``known``: what an interrupted run had measured, by metric and variant, for an evaluation of many figures to go on.
    """

    spec: RunSpec
    lm: LanguageModel
    tokens: Tensor
    windows: Tensor
    target: float
    lambdas: Mapping[str, float]
    known: Mapping[tuple[str, str], Measured]


class Evaluation(ABC):
    """One kind of measurement.

    Attributes:
        name, label, summary, rank: as for every registered method.
        sentence: what happens meanwhile, with a place for the model that is measured.
        variants: the models that it looks at; the control is made only where someone wants it.
        settings: the settings of RunSpec that only this looks at.
        prunes_on: where it prunes the model again itself, one twin at a time: on at most how many times the samples.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str]
    rank: ClassVar[int]
    sentence: ClassVar[str]
    variants: ClassVar[tuple[str, ...]] = VARIANTS
    settings: ClassVar[tuple[str, ...]] = ()
    prunes_on: ClassVar[int] = 0

    @abstractmethod
    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """Units of work and the weight of each, as in ``neuroal.runs.plan``."""

    @abstractmethod
    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """Measures a model: progress as Evaluated, results as Measured, all with this evaluation's name."""

    def refuse(self, spec: RunSpec) -> None:  # noqa: B027 (most refuse nothing)
        """Raises UserError where this cannot be measured here, before a weight is loaded."""

    def stage(self, variant: str) -> str:
        """The name of its stage in plan and progress."""
        return f"evaluate:{variant}" if self.name == "perplexity" else f"evaluate:{variant}:{self.name}"

    def told(self, events: Generator[Evaluated, None, Result]) -> Generator[Evaluated, None, Result]:
        """Progress of a measurement under this evaluation's name."""
        return mapped(events, lambda event: dataclasses.replace(event, metric=self.name))

    def measured(
        self, ground: Ground, variant: str, started: float, value: float, stderr: float = 0.0, tokens: int = 0,
        length: int = 0, metric: str = "", **details: Any,
    ) -> Measured:  # fmt: skip
        """The result as an event.

        Args:
            started: ``time.perf_counter()`` at the beginning.
            metric: where one evaluation has several figures; by default its name.
            details: more figures, as JSON values.
        """
        return Measured(
            variant, metric or self.name, ground.spec.eval_source, value, stderr, tokens, length,
            time.perf_counter() - started, details,
        )  # fmt: skip


EVALUATIONS: Registry[type[Evaluation]] = Registry("Evaluation")


def reading(spec: RunSpec, shape: Shape, models: int = 1) -> tuple[float, float]:
    """The work of reading the held-out windows: batches, and tokens through one block for each.

    Args:
        models: that read each batch; it is as much smaller.
    """
    per_batch = at_once(BATCH_TOKENS // models, spec.eval_length)
    head = max(1.0, shape.parameters / shape.prunable)  # the output head is part of it
    batches = math.ceil(spec.eval_windows / per_batch)
    return batches, models * min(per_batch, spec.eval_windows) * spec.eval_length * shape.blocks * head
