"""The evaluations that a run can be asked for; what each does is in the module of its name."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from neuroal.evaluation.base import EVALUATIONS, Evaluation, Ground, reading
from neuroal.runs.events import Event

if TYPE_CHECKING:
    from torch import nn

    from neuroal.runs.plan import Shape
    from neuroal.runs.spec import RunSpec


@EVALUATIONS.register
class Perplexity(Evaluation):
    """exp of the mean cross-entropy on held-out windows; of the dense model, the control and the pruned one."""

    name = "perplexity"
    label = "Perplexity"
    summary = "how surprised the model is by each next token of held-out text"
    rank = 10
    sentence = "Reading held-out text with the {}."

    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """Batches of windows."""
        return reading(spec, shape)

    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """The dense model's figure is remembered by the pool."""
        from neuroal.evaluation.perplexity import iter_perplexity

        started, dense = time.perf_counter(), variant == "dense"
        figure = ground.pool.dense_figure(ground.lm, ground.windows) if dense else None
        figure = figure or (yield from iter_perplexity(model, ground.windows, variant=variant))
        if dense:
            ground.pool.remember_dense(ground.lm, ground.windows, figure)
        length = ground.windows.shape[1]
        yield self.measured(ground, variant, started, figure.value, figure.stderr, figure.predictions, length)
