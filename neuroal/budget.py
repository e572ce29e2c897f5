"""Better than the reference where it drifts off the target: ratios whose mean is restored, counts that add up.

The reference replaces ratios outside 0..1 and leaves the mean where it falls, and it truncates every count. Both are
reproduced by default; ``renormalise`` and ``exact_budget`` are the options that do better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuroal.schedules import HIGHEST, LOWEST

HALVINGS = 60


def renormalised(ratios: Sequence[float] | np.ndarray, target: float, sizes: Sequence[int] | None = None) -> np.ndarray:
    """``clip(ratios + c, 0.01, 0.99)`` with the shift c that makes the (weighted) mean ``target``.

    Args:
        ratios: float, any number of them; may lie outside 0..1.
        target: 0.01..0.99; a target outside gives that bound everywhere.
        sizes: weights of the mean; None for all equal.
    """
    values = np.asarray(ratios, dtype=np.float64)
    weights = None if sizes is None else np.asarray(sizes, dtype=np.float64)
    low, high = LOWEST - values.max(), HIGHEST - values.min()
    for _ in range(HALVINGS):  # the mean rises with c: bisection needs no derivative and cannot overshoot
        middle = (low + high) / 2
        mean = np.average(np.clip(values + middle, LOWEST, HIGHEST), weights=weights)
        low, high = (middle, high) if mean < target else (low, middle)
    return np.clip(values + (low + high) / 2, LOWEST, HIGHEST)


def exact_rows(
    sparsity: dict[str, float | np.ndarray], shapes: dict[str, tuple[int, int]], target: float
) -> dict[str, np.ndarray]:
    """Row ratios whose pruned counts add up to the target over all linears, to the weight.

    Every row first gets the whole part of what it asked for; the weights still missing go, one each, to the rows with
    the largest remainders.

    Args:
        sparsity: {path: one ratio, or float64 [rows]}.
        shapes: {path: (rows, columns)}.
        target: fraction of zeros over all these linears.

    Returns:
        {path: float64 [rows]}, in the middle of what truncates to the wanted count, so that rounding cannot move it.
    """
    columns = np.concatenate([np.full(shapes[path][0], shapes[path][1]) for path in sparsity])
    asked = np.concatenate([np.broadcast_to(ratio, shapes[path][0]) for path, ratio in sparsity.items()]) * columns
    asked = np.clip(asked, 0, columns)
    counts = np.floor(asked).astype(np.int64)
    missing = round(target * columns.sum()) - counts.sum()
    counts = _topped_up(counts, asked - counts, columns, int(missing))
    ratios = np.clip(1 - (columns - counts + 0.5) / columns, 0, 1)
    ends = np.cumsum([shapes[path][0] for path in sparsity])[:-1]
    return dict(zip(sparsity, np.split(ratios, ends), strict=True))


def _topped_up(counts: np.ndarray, remainders: np.ndarray, columns: np.ndarray, missing: int) -> np.ndarray:
    """Adds (or takes away) one weight a row, by remainder, until nothing is missing."""
    step = 1 if missing > 0 else -1
    while missing:
        order = np.argsort(-step * remainders, kind="stable")
        open_rows = order[(counts[order] < columns[order]) if step > 0 else (counts[order] > 0)][: abs(missing)]
        if not len(open_rows):
            return counts
        counts[open_rows] += step
        missing -= step * len(open_rows)
    return counts
