"""NeuroAL: block-wise and row-wise sparsity chosen over a grid of lambda by neuron alignment (arXiv 2411.07066)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from neuroal.schedules import ROW_LAMBDAS, block_lambdas, block_schedule
from neuroal.topups.base import TOP_UPS, TopUp

if TYPE_CHECKING:
    from neuroal.allocation import Allocation
    from neuroal.rows import Alignment
    from neuroal.runs.events import Event
    from neuroal.search import Problem, Scorer, Searched, Sparsity


@TOP_UPS.register
class NeuroAL(TopUp):
    """Steps: "block" gives each block one ratio, "row" varies the rows around the uniform ratio, "both" does the rows
    around the blocks' chosen ratios."""

    name = "neuroal"
    label = "NeuroAL: searched by neuron alignment"
    steps = ("both", "block", "row")

    def allocate(self, problem: Problem) -> Generator[Event, None, Allocation]:
        """The search over lambda, one step after the other."""
        from neuroal.search import Scorer

        scorer, block, row = Scorer(problem), None, None
        if problem.step != "row":
            block = yield from _block_step(scorer)
        if problem.step != "block":
            row = yield from _row_step(scorer, block)
        allocation = _allocation(problem, block, row)
        yield from _closing(problem, allocation)
        return allocation


def _block_step(scorer: Scorer) -> Generator[Event, None, Searched]:
    """Every block one ratio, rising with depth; the slope is searched."""
    from neuroal.search import search

    problem = scorer.problem
    lambdas = problem.options.lambdas or block_lambdas(problem.sparsity)
    searched = yield from search(scorer, "block", lambdas, lambda lam: _spread(problem, _ratios(problem, lam)))
    yield from _clipping_notice(problem, searched.lam)
    return searched


def _row_step(scorer: Scorer, block: Searched | None) -> Generator[Event, None, Searched]:
    """The rows of each linear around their block's ratio, driven by the alignment of the step before."""
    from neuroal.rows import row_sparsity, undriven
    from neuroal.runs.events import Notice
    from neuroal.search import alignment_pass, search

    problem = scorer.problem
    base = _ratios(problem, block.lam if block else 0.0)
    alignment: Alignment
    if block:
        alignment = block.alignment
    else:
        alignment = yield from alignment_pass(scorer, _spread(problem, base))
    gqa = problem.options.gqa
    if names := undriven(problem.stack, alignment, gqa):
        yield Notice(
            f"The rows of {', '.join(names)} keep their block's ratio: what reads them has another width, "
            "so no alignment value belongs to each row."
        )
    lambdas = problem.options.lambdas or ROW_LAMBDAS
    return (
        yield from search(scorer, "row", lambdas, lambda lam: row_sparsity(problem.stack, alignment, base, lam, gqa))
    )


def _ratios(problem: Problem, lam: float) -> list[float]:
    return block_schedule(problem.sparsity, lam, len(problem.stack))[0]


def _spread(problem: Problem, ratios: list[float]) -> Sparsity:
    """Every linear of a block gets the block's ratio."""
    return {linear.path: ratios[b] for b, linears in enumerate(problem.stack.linears) for linear in linears}


def _allocation(problem: Problem, block: Searched | None, row: Searched | None) -> Allocation:
    from neuroal.allocation import Allocation

    return Allocation(
        pruner=problem.pruner.name,
        top_up=NeuroAL.name,
        step=problem.step,
        target=problem.sparsity,
        sparsity=dict((row or block).sparsity),
        block_lambda=block.lam if block else None,
        row_lambda=row.lam if row else None,
        block_scores=block.scores if block else None,
        row_scores=row.scores if row else None,
    )


def _clipping_notice(problem: Problem, lam: float) -> Generator[Event, None, None]:
    """Says so when ratios of the winner were replaced, because the mean is then not restored."""
    from neuroal.runs.events import Notice

    ratios, replaced = block_schedule(problem.sparsity, lam, len(problem.stack))
    if replaced:
        mean = sum(ratios) / len(ratios)
        yield Notice(
            f"{replaced} block ratios fell outside 0 to 1 and were set to 0.01 or 0.99; "
            f"the mean is now {mean:.1%} instead of {problem.sparsity:.1%}."
        )


def _closing(problem: Problem, allocation: Allocation) -> Generator[Event, Any, None]:
    """The chosen ratios, and the distribution of the rows where rows were varied."""
    from neuroal.distribution import rows_allocated
    from neuroal.runs.events import AllocationReady

    yield AllocationReady(NeuroAL.name, allocation.per_block(problem.stack))
    if allocation.row_lambda is not None:
        yield rows_allocated(problem.stack, allocation.sparsity)
