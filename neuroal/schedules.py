"""The linear schedules of NeuroAL: lambda as the slope of the sparsity over blocks, and over the rows of a linear.

All in float64, and in the order of operations of the original implementation: at the edges (sparsity 0.75 with lambda
0.25 lands on 1.0) the last bit decides whether a ratio is replaced, and a truncated count with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

# The grids of the original implementation.
BLOCK_LAMBDAS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.10, 0.12, 0.15, 0.20, 0.25)
ROW_LAMBDAS = (0.0, *BLOCK_LAMBDAS)

LOWEST, HIGHEST = 0.01, 0.99


def block_lambdas(sparsity: float) -> tuple[float, ...]:
    """The block grid; from sparsity 0.8 on without its steepest slope."""
    return BLOCK_LAMBDAS[:-1] if sparsity >= 0.8 else BLOCK_LAMBDAS


def block_schedule(
    sparsity: float, lam: float, blocks: int, weights: Sequence[int] | None = None
) -> tuple[list[float], int]:
    """Sparsity ratios that rise linearly with depth, from ``sparsity - lam`` to ``sparsity + lam``.

    Ratios <= 0 or >= 1 are replaced by 0.01 or 0.99 and the mean is not restored (as the original does).

    Returns:
        one ratio per block, and how many of them were replaced.
    """
    backwards = None if weights is None else weights[::-1]  # as the densities before they are sorted
    densities = densities_by_value(np.arange(1, blocks + 1, dtype=np.float64), sparsity, lam, backwards)
    return clamped(sorted(densities, reverse=True))


def value_schedule(
    values: Sequence[float], sparsity: float, lam: float, weights: Sequence[int] | None = None
) -> tuple[list[float], int]:
    """Sparsity ratios that fall linearly with a value of each block (OWL's outliers), over a range of ``2 lam``.

    Returns:
        one ratio per block with mean ``sparsity``, and how many were replaced as in :func:`block_schedule`.
    """
    return clamped(densities_by_value(np.asarray(values, dtype=np.float64), sparsity, lam, weights))


def densities_by_value(
    values: np.ndarray, sparsity: float, lam: float, weights: Sequence[int] | None = None
) -> np.ndarray:
    """Densities 1 - s that rise with ``values`` over a range of ``2 lam``; all equal where the values are.

    Args:
        weights: of each value in the mean; None for all equal, in the reference's order of operations.
    """
    spread = values.max() - values.min()
    if not spread > 0:  # one block, or all equal: the reference divides by zero here
        return np.full(values.shape, 1 - sparsity)
    density = (values - values.min()) * ((1 / spread) * lam * 2)
    mean = np.mean(density) if weights is None else np.average(density, weights=weights)
    return density - mean + (1 - sparsity)


def clamped(densities: Iterable[float]) -> tuple[list[float], int]:
    """Sparsity ratios from densities; what is <= 0 or >= 1 is replaced by 0.01 or 0.99, and counted."""
    ratios = [float(1 - d) for d in densities]
    replaced = sum(r <= 0 or r >= 1 for r in ratios)
    return [LOWEST if r <= 0 else HIGHEST if r >= 1 else r for r in ratios], replaced


def row_schedule(driver: np.ndarray, base: float, lam: float) -> np.ndarray:
    """Sparsity ratio of each row: the rows whose consumer lost most activation are kept densest; the mean is ``base``.

    Args:
        driver: float64 [rows], the alignment vector of the consumer's input (dense minus pruned activation norms).
        base: the ratio of the block.

    Returns:
        float64 [rows], clipped to 0.01..0.99. A driver without variation gives ``base`` to every row.
    """
    spread = driver.max() - driver.min()
    if driver.sum() == 0 or not spread > 0:
        return np.full(driver.shape, base, dtype=np.float64)
    density = (driver - driver.min()) / spread * lam * 2
    density = density - (np.mean(density) - (1 - base))
    return np.clip(1 - density, LOWEST, HIGHEST)
