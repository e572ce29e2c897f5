"""The evaluations that a run can be asked for; what each does is in the module of its name."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from neuroal.evaluation.base import EVALUATIONS, Evaluation, Ground, reading
from neuroal.runs.events import Event, Notice, TokensCompared

if TYPE_CHECKING:
    from torch import nn

    from neuroal.runs.plan import Shape
    from neuroal.runs.spec import RunSpec


# Tokens of the text that is shown token by token.
SHOWN_TOKENS = 128


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


@EVALUATIONS.register
class Divergence(Evaluation):
    """How far predictions are from the dense model's on the same text; and one text token by token."""

    name = "divergence"
    label = "Divergence from the dense model"
    summary = "how often, and how far, its predictions differ from the dense model's on held-out text"
    rank = 20
    sentence = "Comparing the predictions of the dense model and the {}."
    variants = ("chosen", "uniform")

    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """Batches of windows, each read by two models."""
        return reading(spec, shape, models=2)

    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """The figures; then, of the pruned model, a text."""
        from neuroal.evaluation.divergence import iter_divergence
        from neuroal.evaluation.tokenwise import iter_compared
        from neuroal.heap import working_heap

        started, windows, dense = time.perf_counter(), ground.windows, ground.lm.model
        with working_heap():
            found = yield from self.told(iter_divergence(dense, model, windows, variant=variant))
        figures = dataclasses.asdict(found)
        value, stderr, count = (figures.pop(name) for name in ("kl", "kl_stderr", "predictions"))
        for notice in figures.pop("notices"):
            yield Notice(notice)
        yield self.measured(ground, variant, started, value, stderr, count, windows.shape[1], **figures)
        if variant == "chosen":
            for piece in iter_compared(dense, model, ground.lm.tokenizer, windows[:1, :SHOWN_TOKENS]):
                yield TokensCompared(variant, **dataclasses.asdict(piece))
