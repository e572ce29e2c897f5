"""Which candidates of lambda are worth scoring: coarse to fine along a curve that is smooth, with a flat bottom.

The exact search scores every lambda of its grid. Three of them, wide apart, already show where the bottom is: a
parabola through the scores says which candidate should come next, and that none is needed once it promises no gain.
What was tried and lost is told in the README: scoring on fewer samples first, and passes in bfloat16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# Where to begin in the grid of each step; any other grid is begun at its first, middle and last candidate.
STARTS = {"block": (0.02, 0.10, 0.20), "row": (0.08, 0.12, 0.15)}

# A candidate is scored if the parabola promises a score lower by this share than the best so far; never more than MOST.
GAIN, MOST = 0.002, 6

# How many are scored in the end, on average: for plans and estimates.
USUAL = 4

# Scores within this share of the best one count alike in the fit; what is further away counts the less.
BOTTOM = 0.01


def following(step: str, lambdas: Sequence[float], scores: Mapping[float, float]) -> tuple[float, ...]:
    """The candidates to score next, given those that are scored; empty once the best of them is good enough.

    Args:
        step: "block" or "row": where the grid is begun.
        lambdas: the grid; its order does not matter.
        scores: {lambda: score}, lower is better.
    """
    missing = tuple(lam for lam in _start(step, lambdas) if lam not in scores)
    if missing:
        return missing
    left = [lam for lam in lambdas if lam not in scores]
    if not left or len(scores) >= MOST or not min(scores.values()) > 0:
        return ()
    promised = _parabola(scores)(np.array(left))
    best = int(promised.argmin())
    return (left[best],) if promised[best] < min(scores.values()) * (1 - GAIN) else ()


def _start(step: str, lambdas: Sequence[float]) -> tuple[float, ...]:
    """The lambdas of the grid that lie nearest to where it is begun, each once."""
    grid = np.array(sorted(lambdas))
    wanted = STARTS.get(step, (grid[0], np.median(grid), grid[-1]))
    return tuple(dict.fromkeys(float(grid[np.abs(grid - lam).argmin()]) for lam in wanted))


def _parabola(scores: Mapping[float, float]) -> np.poly1d:
    """Least squares, in which what lies near the best score counts most: the bottom is what matters."""
    lambdas, values = np.array(list(scores)), np.array(list(scores.values()))
    weights = 1 / np.sqrt(np.maximum(values / values.min() - 1, BOTTOM))
    return np.poly1d(np.polyfit(lambdas, values, min(2, len(scores) - 1), w=weights))
