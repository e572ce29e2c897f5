"""Scenes about neuron alignment: what the next linear receives, the score, the slope lambda, the search, the rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuroal.errors import UserError
from neuroal.learning.asked import Asked
from neuroal.learning.ground import Ground, Received, Walk
from neuroal.learning.one_linear import rounded
from neuroal.rows import driven, row_sparsity
from neuroal.runs.events import BlockScored, CandidateFinished, LambdaChosen
from neuroal.schedules import block_lambdas, block_schedule
from neuroal.scoring import Scorer
from neuroal.search import search

# Inputs that are named as those which changed most.
NAMED = 10


def received(ground: Ground, asked: Asked) -> dict[str, Any]:
    """What the linears that read ``asked.linear`` receive, dense and pruned.

    Returns:
        ``dense`` and ``pruned``: activation norms divided by their sum; ``term``: the distance between the two,
        divided by their number; ``moved``: the inputs that changed most, largest first; ``again``: True where the
        next linears are those of the next block, which gets the same inputs in both passes.
    """
    linear, groups = ground.linear(asked), ground.stack.groups[asked.block]
    place = next(g for g, group in enumerate(groups) if linear in group)
    walk = ground.walk(asked.pruner, ground.ratios(asked))
    again = place + 1 == len(groups)
    if again and asked.block + 1 == len(ground.stack):
        raise UserError("No block follows the last one, so nothing reads this linear there; choose another linear.")
    found = walk.received[asked.block + again][0 if again else place + 1]
    dense, pruned = _shares(found)
    moved = np.argsort(-np.abs(dense - pruned), kind="stable")[:NAMED]
    return {
        "linear": linear.name,
        "readers": [reader.name for reader in found.linears],
        "block": asked.block + again,
        "again": again,
        "dense": rounded(dense),
        "pruned": rounded(pruned),
        "lost": float(1 - found.pruned.sum() / found.dense.sum()),
        "term": found.term,
        "moved": moved.tolist(),
    }


def score(ground: Ground, asked: Asked) -> dict[str, Any]:
    """The terms of every linear and block for the blocks' ratios, and for uniform ones beside it."""
    ratios = ground.ratios(asked)
    walk = ground.walk(asked.pruner, ratios)
    uniform = ground.walk(asked.pruner, ground.uniform(asked))
    return {
        "ratios": list(ratios),
        "linears": [linear.name for linear in ground.stack.linears[0]],
        "terms": _by_linear(ground, walk),
        "blocks": list(walk.blocks),
        "score": walk.score,
        "uniform": {"blocks": list(uniform.blocks), "score": uniform.score},
        "mean": float(np.mean(ratios)),
    }


def race(ground: Ground, asked: Asked) -> dict[str, Any]:
    """The search over lambda as NeuroAL does it: every candidate's term of every block, and the one that wins."""
    problem = ground.problem(asked.pruner, asked.sparsity)
    lambdas, blocks = block_lambdas(asked.sparsity), len(ground.stack)

    def ratios(lam: float) -> dict[str, Any]:
        return problem.spread(block_schedule(asked.sparsity, lam, blocks)[0])

    terms: dict[float, list[float]] = {lam: [] for lam in lambdas}
    totals: dict[float, float] = {}
    chosen: LambdaChosen | None = None
    for event in search(Scorer(problem), "block", lambdas, ratios):
        ground.turns.give_way()
        if isinstance(event, BlockScored):
            terms[event.lam].append(event.score)
        elif isinstance(event, CandidateFinished):
            totals[event.lam] = event.score
            ground.scored(asked.pruner, tuple(block_schedule(asked.sparsity, event.lam, blocks)[0]), event.score)
        elif isinstance(event, LambdaChosen):
            chosen = event
    assert chosen is not None  # a search ends with it
    return {
        "lambdas": list(lambdas),
        "terms": [terms[lam] for lam in lambdas],
        "scores": [totals[lam] for lam in lambdas],
        "chosen": chosen.lam,
        "ties": list(chosen.near_ties),
        "uniform": ground.walk(asked.pruner, ground.uniform(asked)).score,
    }


def rows(ground: Ground, asked: Asked) -> dict[str, Any]:
    """The rows of a linear around its block's ratio: each driven by what its consumer's input lost.

    Returns:
        ``driver``: per row, dense minus pruned norm of the input that it feeds; ``ratios``: its sparsity;
        ``score``, ``before``: the alignment score with and without rows varied; ``driven``: False where the rows keep
        the block's ratio.
    """
    linear, base = ground.linear(asked), list(ground.ratios(asked))
    walk = ground.walk(asked.pruner, tuple(base))
    alignment = walk.alignment()
    drivers = {each.path: driver for _, each, driver in driven(ground.stack, alignment, "fold")}
    sparsity = row_sparsity(ground.stack, alignment, base, asked.row_lam, "fold")
    problem = ground.problem(asked.pruner, asked.sparsity, "row")
    driver = drivers.get(linear.path)
    groups = ground.stack.groups[asked.block]
    place = next(g for g, group in enumerate(groups) if linear in group)
    return {
        "linear": linear.name,
        "readers": [reader.name for reader in (groups[place + 1] if place + 1 < len(groups) else ())],
        "driven": driver is not None and bool(np.ptp(driver) > 0),
        "driver": rounded(driver) if driver is not None else [],
        "ratios": rounded(sparsity[linear.path]),
        "base": base[asked.block],
        "before": walk.score,
        "score": ground.walked(problem, sparsity).score,
    }


def _shares(found: Received) -> tuple[np.ndarray, np.ndarray]:
    """Norms as shares of their sum, float64 [in]: what the score compares."""
    dense, pruned = found.dense.double().numpy(), found.pruned.double().numpy()
    return dense / (dense.sum() or 1.0), pruned / (pruned.sum() or 1.0)


def _by_linear(ground: Ground, walk: Walk) -> list[list[float]]:
    """[blocks][linears] in registration order; the linears of a group share their term."""
    found = []
    for b, linears in enumerate(ground.stack.linears):
        terms = {linear: group.term for group in walk.received[b] for linear in group.linears}
        found.append([terms.get(linear, 0.0) for linear in linears])
    return found
