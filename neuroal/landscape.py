"""Which candidates of lambda are worth scoring, given what other searches looked like.

The exact search scores every lambda of its grid. But the scores form a curve, and the curves of different models,
pruners, sparsities and texts resemble each other. Recorded ones (assets/landscapes) give the mean curve and how curves
deviate from it. That is taken as a normal distribution over curves and conditioned on the scores so far; the candidate
with the largest expected improvement (Jones, Schonlau and Welch 1998) comes next, until none promises enough.

All in logarithms of scores, so that differences are shares: 0.01 is one per cent.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RECORDED = Path(__file__).resolve().parents[1] / "assets" / "landscapes" / "curves.json"

# Scoring ends when the expected improvement is smaller than GAIN, and after MOST candidates; at least LEAST are scored.
GAIN, LEAST, MOST = 0.002, 2, 8

# How many are scored in the end, on average: for plans and estimates.
USUAL = 4.5

# Variance of a score around its smooth curve, and of the level of a whole curve, which says nothing.
ROUGHNESS, LEVEL = 2e-4, 1.0

# The row step at lambda 0 is the pass that its alignment came from, but for how counts are rounded: its score lies
# higher by this on average, with this standard deviation (recorded with the curves).
ZERO_ABOVE, ZERO_SPREAD = 0.015, 0.035


@dataclass(frozen=True)
class Known:
    """The distribution of curves over a grid: lambdas [n], mean [n] up to its level, covariance [n, n]."""

    lambdas: tuple[float, ...]
    mean: np.ndarray
    covariance: np.ndarray


def following(
    step: str, lambdas: Sequence[float], scores: Mapping[float, float], at_zero: float | None = None
) -> tuple[float, ...]:
    """The candidate to score next, given those that are scored; none once the best of them is good enough.

    Args:
        step: "block" or "row".
        lambdas: the grid of the paper for that step, or a part of it.
        scores: {lambda: score}, lower is better.
        at_zero: for the row step, the score of the pass that supplied its alignment.
    """
    known = recorded(step)
    seen = {known.lambdas.index(lam): math.log(max(score, 1e-300)) for lam, score in scores.items()}
    left = [i for i in map(known.lambdas.index, lambdas) if i not in seen]
    if not left or len(seen) >= MOST:
        return ()
    mean, deviation = _conditioned(known, seen, at_zero)
    if not seen:
        return (known.lambdas[min(left, key=lambda i: mean[i])],)
    gains = {i: _expected_improvement(min(seen.values()), mean[i], deviation[i]) for i in left}
    best = max(left, key=gains.__getitem__)
    return (known.lambdas[best],) if len(seen) < LEAST or gains[best] >= GAIN else ()


@functools.cache
def recorded(step: str) -> Known:
    """Mean and covariance of the recorded curves of a step, each taken relative to its own mean."""
    curves = [c for c in json.loads(RECORDED.read_text())["curves"] if c["step"] == step]
    whole = max(len(c["lambdas"]) for c in curves)  # at high sparsity the block grid is shorter
    return learnt([(c["lambdas"], c["scores"]) for c in curves if len(c["lambdas"]) == whole])


def learnt(curves: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Known:
    """The distribution that curves over one grid come from: (lambdas, scores) each."""
    logs = np.log(np.array([scores for _, scores in curves]))
    logs -= logs.mean(1, keepdims=True)
    return Known(tuple(curves[0][0]), logs.mean(0), np.cov(logs.T))


def _conditioned(known: Known, seen: Mapping[int, float], at_zero: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every candidate's score, given some of them: {index: logarithm}."""
    values, variances = dict(seen), dict.fromkeys(seen, ROUGHNESS)
    if at_zero is not None and at_zero > 0 and 0.0 in known.lambdas and (zero := known.lambdas.index(0.0)) not in seen:
        values[zero], variances[zero] = math.log(at_zero) + ZERO_ABOVE, ZERO_SPREAD**2
    if not values:
        return known.mean, np.sqrt(known.covariance.diagonal())
    at, covariance = list(values), known.covariance + LEVEL
    gain = covariance[:, at] @ np.linalg.inv(covariance[np.ix_(at, at)] + np.diag(list(variances.values())))
    mean = known.mean + gain @ (np.array(list(values.values())) - known.mean[at])
    variance = (covariance - gain @ covariance[at]).diagonal()
    return mean, np.sqrt(np.maximum(variance, 1e-12))


def _expected_improvement(best: float, mean: float, deviation: float) -> float:
    """Of a normally distributed score upon the best so far; lower is better."""
    z = (best - mean) / deviation
    return (best - mean) * 0.5 * (1 + math.erf(z / math.sqrt(2))) + deviation * math.exp(-z * z / 2) / math.sqrt(
        2 * math.pi
    )
