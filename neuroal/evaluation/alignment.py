"""The alignment score of any pruned model: what NeuroAL's search minimises, whoever chose the sparsity ratios."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from neuroal.evaluation.base import EVALUATIONS, Evaluation, Ground
from neuroal.pruners import PRUNERS
from neuroal.runs.events import Evaluated, Event

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neuroal.runs.plan import Shape
    from neuroal.runs.spec import RunSpec

METRIC = "alignment"


def iter_alignment(
    dense: nn.Module, pruned: nn.Module, tokens: Tensor, *, norms: Callable[[], Any] | None = None, variant: str = ""
) -> Generator[Evaluated, None, list[float]]:
    """Walks the blocks as a search does: each dense block on the inputs that the pruned one gets.

    Args:
        dense, pruned: the same architecture; neither is written to.
        tokens: int64 [samples, length], the calibration sequences.
        norms: makes what gathers activation norms; as ``Pruner.norms``.
        variant: names the model in the events.

    Yields:
        Evaluated after each block.

    Returns:
        the term of each block; their sum is the score, and lower is better. Equal to that of a search's candidate with
        the same ratios and tokens, where pruning moved no weights afterwards.

    Raises:
        UserError: as ``DecoderStack.capture``.
    """
    from neuroal.alignment import walk
    from neuroal.blocks import DecoderStack
    from neuroal.statistics import InputNorm

    stack, terms = DecoderStack(dense), []
    with closing(walk(stack, pruned, tokens, norms or InputNorm)) as blocks:
        for found in blocks:
            terms.append(sum(found.terms.values()))
            yield Evaluated(variant, found.block + 1, len(stack), METRIC)
    return terms


@EVALUATIONS.register
class AlignmentScore(Evaluation):
    """How far the activations of every block are from the dense ones."""

    name = METRIC
    label = "Alignment score"
    summary = "how far the activations of every block drift: what NeuroAL's search minimises, for any top-up"
    rank = 15
    sentence = "Comparing the activations of the dense model and the {}, block by block."
    variants = ("chosen", "uniform")

    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """Two passes through every block."""
        return shape.blocks, 2 * spec.samples * spec.length

    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """One figure; the terms of the blocks with it."""
        started, tokens = time.perf_counter(), ground.tokens[: ground.spec.samples]
        norms = PRUNERS.get(ground.spec.pruner)().norms
        terms = yield from iter_alignment(ground.lm.model, model, tokens, norms=norms, variant=variant)
        count, length = tokens.numel(), tokens.shape[1]
        figure = self.measured(ground, variant, started, sum(terms), 0.0, count, length, blocks=terms)
        yield dataclasses.replace(figure, source=ground.spec.source)
