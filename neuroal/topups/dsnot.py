"""DSnoT: swap pruned and kept weights of a row until its expected output error is small (arXiv 2310.08915)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from neuroal.errors import UserError
from neuroal.topups.base import TOP_UPS, TopUp

if TYPE_CHECKING:
    from torch import Tensor

    from neuroal.allocation import Allocation
    from neuroal.blocks import DecoderStack, Linear
    from neuroal.pruners import Pruner
    from neuroal.runs.events import Event
    from neuroal.scoring import Problem


@TOP_UPS.register
class DSnoT(TopUp):
    """Uniform ratios. Each cycle of a row regrows the weight that cancels most of its error and prunes a kept one with
    a small Wanda metric whose contribution has the helpful sign. Only the linears of the attention are refined, as the
    reference does. It refines what a metric chose, so it cannot follow a pruner that moves weights."""

    name = "dsnot"
    label = "DSnoT: swaps weights to cancel each row's error"
    summary = (
        "the same everywhere; then weights of the attention are swapped until each row's expected error is small "
        "([2310.08915](https://arxiv.org/abs/2310.08915))"
    )
    needs_data = False
    varies = False
    refines = True
    settings = ("dsnot_cycles", "dsnot_threshold")
    rank = 50

    def refuse(self, pruner: Pruner, of: int | None, step: str) -> None:
        """Raises UserError for pruners that move weights, and for patterns."""
        if pruner.moves_weights:
            raise UserError(
                f"DSnoT refines the mask of a metric, and {pruner.name} moves weights while it prunes; "
                "choose Wanda, MULTIFLOW or magnitude with DSnoT."
            )
        if of is not None:
            raise UserError(
                "DSnoT swaps weights across a whole row, which breaks an N:M pattern; choose one of the two."
            )

    def allocate(self, problem: Problem) -> Generator[Event, None, Allocation]:
        """The refinement itself happens at pruning, when each linear's input is known."""
        from neuroal.closing import closing

        return (yield from closing(problem, problem.spread([problem.sparsity] * len(problem.stack))))

    def refining_statistics(self) -> tuple[Any, ...]:
        """Mean and variance of each input feature."""
        from neuroal.statistics import Moments, PooledMoments

        return (PooledMoments() if self.options.exact_statistics else Moments(),)

    def reaches(self, stack: DecoderStack, b: int, linear: Linear) -> bool:
        """The attention's linears."""
        return linear in stack.attention(b)

    def refine(self, weight: Tensor, mask: Tensor, statistics: Any) -> tuple[Tensor, str]:
        """At most ``dsnot_cycles`` swaps a row, and never more than any row has kept weights."""
        kept = int((~mask).sum(1).min())
        cycles = min(self.options.dsnot_cycles, kept)
        refined = swap(weight, mask, statistics, cycles, self.options.dsnot_threshold) if cycles else mask
        short = f"its rows keep {kept} weights, so DSnoT made at most {kept} of {self.options.dsnot_cycles} swaps each"
        return refined, short if cycles < self.options.dsnot_cycles else ""


def swap(weight: Tensor, mask: Tensor, statistics: Any, cycles: int, threshold: float) -> Tensor:
    """The refined mask. All rows step together; each has its own error and its own four pointers.

    A row is active while its expected error ``|e|``, the sum of ``W_ij mean_j`` over what is pruned, exceeds the
    threshold. As in the reference, the pointers of a finished row keep moving, so one that runs past the entries of its
    side can still change that row.

    Args:
        weight: [out, in]. mask: bool [out, in], True = pruned.
        statistics: offers ``norm``, ``mean`` and ``variance``, float32 [in].
        cycles: at most the kept weights of any row.
    """
    import torch

    contribution = weight.float() * statistics.mean
    pruned, rows = mask.clone(), torch.arange(mask.shape[0], device=mask.device)
    error = torch.where(mask, contribution, 0).sum(1)
    regrow = _regrow_order(contribution, mask, statistics.variance)
    prune = _prune_order(weight.abs().float() * statistics.norm, contribution, mask)
    low_g, high_g = torch.zeros_like(rows), torch.full_like(rows, regrow.shape[1] - 1)
    low_p, high_p = torch.zeros_like(rows), (~mask).sum(1) - 1
    active = torch.ones_like(rows, dtype=torch.bool)
    for _ in range(cycles):
        if not bool(active.any()):
            break
        above, below = error > 0, error < 0
        grown = regrow[rows, torch.where(above, high_g, low_g)]
        high_g, low_g = high_g - above.long(), low_g + (~above).long()
        cut = prune[rows, torch.where(below, high_p, low_p)]
        high_p, low_p = high_p - below.long(), low_p + (~below).long()
        active = active & (error.abs() > threshold)
        pruned[rows, cut] = active
        pruned[rows, grown] = ~active
        error = torch.where(active, error + contribution[rows, cut] - contribution[rows, grown], error)
    return pruned


def _regrow_order(contribution: Tensor, mask: Tensor, variance: Tensor) -> Tensor:
    """Columns by contribution over variance, ascending; kept ones count as zero. int64 [out, in]."""
    import torch

    ratio = torch.where(mask, contribution, 0) / variance
    return torch.nan_to_num(ratio, nan=0.0, posinf=torch.inf, neginf=-torch.inf).argsort(dim=1, stable=True)


def _prune_order(metric: Tensor, contribution: Tensor, mask: Tensor) -> Tensor:
    """Kept columns: negative contributions from the front, positive ones from the back, the least important outermost.

    Returns:
        int64 [out, most kept of any row]; places left over by contributions of exactly zero hold the least important
        column, as do those beyond what a row keeps.
    """
    import torch

    own = (~mask).sum(1, keepdim=True)  # [out, 1]
    count = int(own.max())
    kept = metric.masked_fill(mask, torch.inf).argsort(dim=1, stable=True)[:, :count]
    sign = contribution.gather(1, kept).masked_fill(torch.arange(count, device=own.device) >= own, 0)
    negative, positive = sign < 0, sign > 0
    place = torch.full_like(kept, count)  # one place too many, for the zeros
    place = torch.where(negative, negative.cumsum(1) - 1, place)
    place = torch.where(positive, own - positive.cumsum(1), place)
    order = kept[:, :1].expand(-1, count + 1).clone()
    return order.scatter_(1, place, kept)[:, :count]
