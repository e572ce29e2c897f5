"""Custom: the ratios of the blocks are given by a person."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from neuroal.errors import UserError
from neuroal.topups.base import TOP_UPS, TopUp

if TYPE_CHECKING:
    from neuroal.allocation import Allocation
    from neuroal.runs.events import Event
    from neuroal.scoring import Problem


@TOP_UPS.register
class Custom(TopUp):
    """One ratio per block, from the option ``block_sparsity``; its mean takes the place of the target."""

    name = "custom"
    label = "Custom: your own ratio for each block"
    summary = "one ratio per block, given by you"
    needs_data = False
    settings = ("block_sparsity",)
    rank = 70

    def allocate(self, problem: Problem) -> Generator[Event, None, Allocation]:
        """Raises UserError where the list does not fit the model."""
        from neuroal.closing import closing
        from neuroal.runs.events import Notice

        ratios, blocks = problem.options.block_sparsity or (), len(problem.stack)
        check_count(ratios, blocks)
        mean = problem.mean(ratios)
        if not mean:
            raise UserError("Your ratios prune nothing: the blocks with a ratio above 0 are excluded.")
        if abs(mean - problem.sparsity) > 0.0005:
            yield Notice(f"Your ratios prune {mean:.1%} of the weights; they take the place of the sparsity ratio.")
        problem.sparsity = mean
        return (yield from closing(problem, problem.spread(ratios)))


def check_count(ratios: Sequence[float], blocks: int) -> None:
    """Raises UserError unless there is one ratio for each block."""
    if len(ratios) != blocks:
        raise UserError(f"The custom list has {len(ratios)} ratios, but this model has {blocks} blocks; give one each.")
