"""The figures of one matrix: how sparse its rows are, and which of its inputs changed most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Bars of a histogram, at most.
MOST_BARS = 40

# How many damaged inputs are named.
NAMED = 10


@dataclass(frozen=True)
class Histogram:
    """How many rows have which sparsity.

    Attributes:
        edges: float64 [bars + 1], sparsity ratios. Each bar stands for one and the same number of possible row counts,
            so that no bar is empty only because of rounding.
        counts: int64 [bars].
    """

    edges: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Damage:
    """An input feature whose activation norm changed.

    Attributes:
        index: its column.
        dense, pruned: its normalised norm: its share in the sum over all inputs.
        difference: pruned minus dense.
        share: of the squared distance between all dense and pruned norms, the part that is its own.
    """

    index: int
    dense: float
    pruned: float
    difference: float
    share: float


def histogram(zeros: np.ndarray, columns: int) -> Histogram:
    """Of the sparsity of rows.

    Args:
        zeros: int64 [rows], pruned weights of each.
        columns: weights of each.
    """
    low, high = int(zeros.min()), int(zeros.max())
    width = -(-(high - low + 1) // MOST_BARS)
    bars = (high - low) // width + 1
    edges = (low - 0.5 + width * np.arange(bars + 1)) / columns
    return Histogram(edges, np.bincount((zeros - low) // width, minlength=bars))


def normalised(norms: np.ndarray) -> np.ndarray:
    """To sum 1, float64 [in]; what is zero throughout stays zero."""
    norms = norms.astype(np.float64)
    return norms / (norms.sum() or 1.0)


def most_damaged(dense: np.ndarray, pruned: np.ndarray) -> list[Damage]:
    """The inputs whose normalised norm changed most, largest change first; among equal ones the lower column.

    Args:
        dense, pruned: activation norms, [in].

    Returns:
        at most ten; an input that did not change is not among them.
    """
    before, after = normalised(dense), normalised(pruned)
    difference = after - before
    squares = difference**2
    order = np.argsort(-np.abs(difference), kind="stable")[:NAMED]
    return [
        Damage(int(i), float(before[i]), float(after[i]), float(difference[i]), float(squares[i] / squares.sum()))
        for i in order
        if difference[i]
    ]
