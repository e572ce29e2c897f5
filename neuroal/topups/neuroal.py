"""NeuroAL: block-wise and row-wise sparsity chosen over a grid of lambda by neuron alignment (arXiv 2411.07066)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from neuroal.schedules import HIGHEST, LOWEST, ROW_LAMBDAS, block_lambdas, block_schedule
from neuroal.topups.base import TOP_UPS, TopUp

if TYPE_CHECKING:
    import numpy as np

    from neuroal.allocation import Allocation, Sparsity
    from neuroal.rows import Alignment
    from neuroal.runs.events import Event
    from neuroal.scoring import Problem, Scorer
    from neuroal.search import Searched


@TOP_UPS.register
class NeuroAL(TopUp):
    """Steps: "block" gives each block one ratio, "row" varies the rows around the uniform ratio, "both" does the rows
    around the blocks' chosen ratios."""

    name = "neuroal"
    label = "NeuroAL: searched by neuron alignment"
    summary = (
        "**block**: rising linearly with depth, the slope lambda is searched; **row**: within each linear, rows whose "
        "consumer lost most activation are kept densest; **both**: blocks, then rows around the blocks' ratios "
        "([2411.07066](https://arxiv.org/abs/2411.07066))"
    )
    steps = ("both", "block", "row")
    settings = ("mode", "lambdas", "gqa")
    rank = 10

    def allocate(self, problem: Problem) -> Generator[Event, None, Allocation]:
        """The search over lambda, one step after the other."""
        scorer, block, row = problem.new_scorer(), None, None
        if problem.step != "row":
            block = yield from _block_step(scorer)
        if problem.step != "block":
            row = yield from _row_step(scorer, block)
        return (yield from _closing(problem, block, row))


def _block_step(scorer: Scorer) -> Generator[Event, None, Searched]:
    """Every block one ratio, rising with depth; the slope is searched."""
    from neuroal.closing import clipping_notice
    from neuroal.search import search

    problem = scorer.problem
    lambdas = problem.options.lambdas or block_lambdas(problem.sparsity)
    searched = yield from search(scorer, "block", lambdas, lambda lam: problem.spread(_ratios(problem, lam)))
    yield from clipping_notice(
        problem, *block_schedule(problem.sparsity, searched.lam, len(problem.stack), problem.weights)
    )
    return searched


def _row_step(scorer: Scorer, block: Searched | None) -> Generator[Event, None, Searched]:
    """The rows of each linear around their block's ratio, driven by the alignment of the step before."""
    from neuroal.rows import undriven
    from neuroal.runs.events import Notice
    from neuroal.search import alignment_pass, search

    problem = scorer.problem
    if problem.pruner.moves_weights:
        yield Notice(
            f"Varying rows with {problem.pruner.name} is an extension: the original searches its blocks only. Each row "
            "loses its own count, spread evenly over the column chunks."
        )
    base = _ratios(problem, block.lam if block else 0.0)
    score: float
    alignment: Alignment
    if block:
        score, alignment = block.scores[block.lam], block.alignment
    else:
        score, alignment = yield from alignment_pass(scorer, problem.spread(base))
    if names := undriven(problem.stack, alignment, problem.options.gqa):
        yield Notice(
            f"The rows of {', '.join(names)} keep their block's ratio: "
            "no layout was found that gives each row an alignment value of what reads it."
        )
    lambdas = problem.options.lambdas or ROW_LAMBDAS
    return (yield from search(scorer, "row", lambdas, lambda lam: _rows(problem, alignment, base, lam), score))


def _ratios(problem: Problem, lam: float) -> list[float]:
    from neuroal.closing import restored

    return restored(problem, *block_schedule(problem.sparsity, lam, len(problem.stack), problem.weights))


def _rows(problem: Problem, alignment: Alignment, base: list[float], lam: float) -> Sparsity:
    """Row ratios of the linears that are pruned; with the mean restored where rows were clipped, if asked for."""
    from neuroal.budget import renormalised
    from neuroal.rows import row_sparsity

    ratios = row_sparsity(problem.stack, alignment, base, lam, problem.options.gqa)
    ratios = {linear.path: ratios[linear.path] for linear in problem.included}
    if not problem.options.renormalise:
        return ratios
    block = {linear.path: b for b, linears in enumerate(problem.stack.linears) for linear in linears}
    return {path: renormalised(rows, base[block[path]]) if _clipped(rows) else rows for path, rows in ratios.items()}


def _clipped(rows: np.ndarray) -> bool:
    return bool(rows.min() <= LOWEST or rows.max() >= HIGHEST)


def _closing(problem: Problem, block: Searched | None, row: Searched | None) -> Generator[Event, Any, Allocation]:
    """The chosen ratios; and how many rows were clipped, because their mean is then not the block's."""
    from neuroal.closing import closing
    from neuroal.runs.events import Notice

    clipped = sum(int(((r <= LOWEST) | (r >= HIGHEST)).sum()) for r in row.sparsity.values()) if row else 0
    if clipped and not problem.options.renormalise:
        yield Notice(
            f"{clipped:,} row ratios were clipped to 0.01 or 0.99, so the mean of their linears moved a little. "
            "The option 'Restore the mean' keeps it."
        )
    return (
        yield from closing(
            problem,
            (row or block).sparsity,
            step=problem.step,
            block_lambda=block.lam if block else None,
            row_lambda=row.lam if row else None,
            block_scores=block.scores if block else None,
            row_scores=row.scores if row else None,
        )
    )
