"""The distribution of row sparsities, binned for the page: small however wide the model is."""

from __future__ import annotations

import numpy as np

from neuroal.blocks import DecoderStack
from neuroal.runs.events import RowsAllocated

BINS = 50


def rows_allocated(stack: DecoderStack, sparsity: dict[str, float | np.ndarray]) -> RowsAllocated:
    """Histogram of each block's row ratios, and their range by linear name over all blocks."""
    edges = np.linspace(0, 1, BINS + 1)
    counts, by_name = [], {}
    for linears in stack.linears:
        rows = [np.asarray(sparsity[linear.path]) for linear in linears if linear.path in sparsity]
        counts.append(tuple(int(n) for n in np.histogram(np.concatenate(rows), bins=edges)[0]) if rows else (0,) * BINS)
        for linear in linears:
            if linear.path in sparsity:
                by_name.setdefault(linear.name, []).append(np.asarray(sparsity[linear.path]))
    ranges = {
        name: (float(min(map(np.min, v))), float(np.concatenate(v).mean()), float(max(map(np.max, v))))
        for name, v in by_name.items()
    }
    return RowsAllocated(tuple(float(e) for e in edges), tuple(counts), ranges)
