"""AlphaPruning: blocks whose weight spectra have heavier tails are kept denser (arXiv 2410.10912)."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING

from neuroal.errors import UserError
from neuroal.topups.base import TOP_UPS, TopUp

if TYPE_CHECKING:
    from torch import Tensor

    from neuroal.allocation import Allocation
    from neuroal.blocks import Linear
    from neuroal.runs.events import Event
    from neuroal.scoring import Problem

# The range in which the cut-off of the power law is looked for, as shares of the histogram's peak.
LOWER, UPPER, BINS = 0.95, 1.5, 100


@TOP_UPS.register
class AlphaPruning(TopUp):
    """A block's figure is the mean power-law exponent of its linears' spectra; ratios rise with it. Needs no data."""

    name = "alphapruning"
    label = "AlphaPruning: denser where spectra are heavy-tailed"
    summary = "blocks whose weight spectra have heavier tails are kept denser ([2410.10912](https://arxiv.org/abs/2410.10912))"
    needs_data = False
    rates = True
    settings = ("alpha_epsilon",)
    rank = 40

    def allocate(self, problem: Problem) -> Generator[Event, None, Allocation]:
        """Rates every block, then spreads."""
        from neuroal.closing import closing
        from neuroal.runs.events import BlockRated, Notice

        alphas = []
        for b, linears in enumerate(problem.stack.linears):
            with problem.stack.resident(b):
                own = [self._exponent(b, linear) for linear in linears]
            alphas.append(sum(own) / len(own) if own else math.nan)
            yield BlockRated("alpha", "power-law exponent of the spectra", b, alphas[-1])
        ratios = self._ratios(problem, alphas)
        beyond = sum(r >= 1 for r in ratios)
        if beyond and problem.options.renormalise:
            from neuroal.budget import renormalised

            ratios = [float(r) for r in renormalised(ratios, problem.sparsity, problem.sizes)]
        elif beyond and problem.of is None:
            yield Notice(
                f"{beyond} block ratios came out at 100 % or more: all their weights are pruned. The option 'Restore "
                "the mean' keeps them at 99 % and shifts the others."
            )
        return (yield from closing(problem, problem.spread(ratios)))

    def _exponent(self, b: int, linear: Linear) -> float:
        import torch

        if not bool(torch.isfinite(linear.weight).all()):
            raise UserError(
                f"The weights of {linear.path} (block {b}) are not finite numbers, so they have no spectrum; "
                "try another precision, or check the checkpoint."
            )
        return exponent(linear.weight)

    def _ratios(self, problem: Problem, alphas: list[float]) -> list[float]:
        """Between 1 - epsilon and 1 + epsilon by exponent, then scaled so that the weighted mean is the target."""
        epsilon, known = problem.options.alpha_epsilon, [a for a in alphas if not math.isnan(a)]
        low, spread = min(known), max(known) - min(known)
        if not spread > 0:
            return [problem.sparsity] * len(alphas)
        s1, s2 = 1.0 - epsilon, 1.0 + epsilon
        relative = [0.0 if math.isnan(a) else (a - low) / spread * (s2 - s1) + s1 for a in alphas]
        sizes = problem.sizes
        scale = sum(n * problem.sparsity for n in sizes) / sum(n * r for n, r in zip(sizes, relative, strict=True))
        return [r * scale for r in relative]


def exponent(weight: Tensor) -> float:
    """Power-law exponent of the upper tail of the squared singular values of a weight.

    The cut-off is looked for near the peak of the histogram of their logarithms, and is the one at which the tail is
    nearest to a power law (Kolmogorov-Smirnov distance). As the reference does, the lower bound of the search is a
    logarithm compared with the value itself, so it seldom bites.

    Args:
        weight: [out, in], any float dtype; float32 inside.
    """
    import numpy as np
    import torch

    values = torch.linalg.svdvals(weight.float()).square().sort().values.cpu()
    logs, count = torch.log(values), len(values)
    tiny = torch.finfo(values.dtype).tiny
    decades = torch.log10(values.clamp_min(tiny))
    peak = 10 ** _peak(decades)
    suffix = np.append(np.cumsum(logs.double().numpy()[::-1])[::-1], 0.0)
    best, alpha_best = math.inf, 1.0
    for i in range(count - 1):
        cut = float(values[i])
        if cut < math.log10(LOWER * peak):
            continue
        if cut > UPPER * peak:
            break
        tail = count - i
        spread = suffix[i] - tail * float(logs[i]) if cut > 0 else 0.0
        if not spread > 0:  # all equal from here on, or zeros: no tail, so no exponent
            continue
        alpha = float(1 + tail / spread)
        distance = _distance(values[i:], cut, alpha)
        if distance < best:
            best, alpha_best = distance, alpha
    return alpha_best


def _peak(decades: Tensor) -> float:
    """Left edge of the first fullest of 100 bins."""
    import torch

    counts = torch.histc(decades, BINS, float(decades.min()), float(decades.max()))
    edges = torch.linspace(float(decades.min()), float(decades.max()), BINS + 1)
    return float(edges[int(counts.argmax())])


def _distance(tail: Tensor, cut: float, alpha: float) -> float:
    """Largest distance of the tail's distribution from the power law."""
    import torch

    n = len(tail)
    expected = 1 - (tail / cut) ** (1 - alpha)
    return float((expected - torch.arange(n) / n).abs().max())
