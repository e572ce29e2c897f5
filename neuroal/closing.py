"""How every allocation ends: the notices about its mean, the exact budget where it is asked for, and the event."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroal.allocation import Allocation, Sparsity
    from neuroal.runs.events import Event
    from neuroal.scoring import Problem


def closing(problem: Problem, sparsity: Sparsity, **found: Any) -> Generator[Event, None, Allocation]:
    """Yields AllocationReady, and RowsAllocated where rows differ; returns the allocation.

    Args:
        sparsity: what was found, by linear path.
        found: the fields of Allocation that a search fills.
    """
    from neuroal.allocation import Allocation
    from neuroal.budget import exact_rows
    from neuroal.distribution import rows_allocated
    from neuroal.runs.events import AllocationReady

    if problem.options.exact_budget and problem.of is None:
        shapes = {linear.path: tuple(linear.weight.shape) for linear in problem.included}
        sparsity = exact_rows(sparsity, shapes, problem.sparsity)
    allocation = Allocation(
        pruner=problem.pruner.name,
        top_up=problem.top_up,
        step=found.pop("step", None),
        target=problem.sparsity,
        sparsity=dict(sparsity),
        **found,
    )
    yield AllocationReady(problem.top_up, allocation.per_block(problem.stack))
    if allocation.row_lambda is not None:
        yield rows_allocated(problem.stack, allocation.sparsity)
    return allocation


def restored(problem: Problem, ratios: list[float], replaced: int) -> list[float]:
    """Ratios of blocks as they will be used: where some were clipped and it is asked for, with their mean restored."""
    from neuroal.budget import renormalised

    if not replaced or not problem.options.renormalise:
        return ratios
    return [float(r) for r in renormalised(ratios, problem.sparsity, problem.sizes)]


def clipping_notice(problem: Problem, ratios: list[float], replaced: int) -> Generator[Event, None, None]:
    """Says so when ratios were clipped and their mean was not restored."""
    from neuroal.runs.events import Notice

    if replaced and not problem.options.renormalise:
        yield Notice(
            f"{replaced} block ratios fell outside 0 to 1 and were set to 0.01 or 0.99; the mean is now "
            f"{problem.mean(ratios):.1%} instead of {problem.sparsity:.1%}. The option 'Restore the mean' keeps it."
        )
