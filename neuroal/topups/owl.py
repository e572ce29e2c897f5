"""OWL: blocks with more outlying weights are kept denser (arXiv 2310.05175)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from neuroal.topups.base import TOP_UPS, TopUp

if TYPE_CHECKING:
    from neuroal.allocation import Allocation
    from neuroal.runs.events import Event
    from neuroal.scoring import Problem


@TOP_UPS.register
class OWL(TopUp):
    """A block's figure is the percentage of its weights whose ``|W_ij| a_j`` exceeds M times the block's mean, seen in
    one pass through the dense model; ratios fall with it over a range of 2 lambda. It does not depend on the pruner."""

    name = "owl"
    label = "OWL: denser where outliers are"
    summary = "blocks with more outlying weights are kept denser ([2310.05175](https://arxiv.org/abs/2310.05175))"
    rates = True
    settings = ("owl_m", "owl_lambda")
    rank = 30

    def allocate(self, problem: Problem) -> Generator[Event, None, Allocation]:
        """Rates every block, then spreads."""
        from neuroal.closing import clipping_notice, closing, restored
        from neuroal.runs.events import BlockRated
        from neuroal.schedules import value_schedule
        from neuroal.statistics import InputNorm

        stack, hidden, outliers = problem.stack, problem.captured.hidden, []
        for b in range(len(stack)):
            with stack.resident(b):
                gathered, hidden = stack.gather(b, hidden, problem.captured, InputNorm)
                outliers.append(self._outliers(problem, b, gathered))
            yield BlockRated("outliers", "weights beyond M times the mean, %", b, outliers[-1])
        ratios, replaced = value_schedule(outliers, problem.sparsity, problem.options.owl_lambda, problem.weights)
        yield from clipping_notice(problem, ratios, replaced)
        return (yield from closing(problem, problem.spread(restored(problem, ratios, replaced))))

    def _outliers(self, problem: Problem, b: int, gathered: list[object]) -> float:
        """Percentage of the block's weights that are outliers; all its linears that are called form one pool."""
        import torch

        products = [
            (linear.weight.abs().float() * stat.norm).flatten()
            for group, stat in zip(problem.stack.groups[b], gathered, strict=True)
            for linear in group
            if stat.sequences
        ]
        if not products:
            return 0.0  # a block without linears, or with none that a token reached, has no outliers
        saliency = torch.cat(products)
        beyond = int((saliency > problem.options.owl_m * saliency.mean()).sum())
        return 100 * beyond / saliency.numel()
