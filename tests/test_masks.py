"""Exact counts and tie rules of both granularities, by hand and against full sorts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroal.masks import keep_counts, keep_largest, prune_count, prune_smallest, select


def test_row_granularity_prunes_the_lower_column_among_equals() -> None:
    metric = torch.tensor([[3.0, 1.0, 1.0, 1.0, 2.0]])
    assert prune_smallest(metric, 2).tolist() == [[False, True, True, False, False]]


def test_neuron_granularity_keeps_the_lower_column_among_equals() -> None:
    metric = torch.tensor([[3.0, 1.0, 1.0, 1.0, 2.0]])
    assert keep_largest(metric, np.array([3])).tolist() == [[False, False, True, True, False]]


def test_the_two_granularities_round_in_opposite_directions() -> None:
    """64 columns at 0.6: 38 zeros of a row ("row"), but 39 ("neuron"); the reference does the same."""
    metric = torch.rand(5, 64)
    assert select(metric, 0.6).sum(1).tolist() == [38] * 5
    assert select(metric, np.full(5, 0.6)).sum(1).tolist() == [39] * 5


def test_counts_are_truncated_in_float64() -> None:
    assert prune_count(10, 0.3) == 3
    assert prune_count(10, 0.29999999999999993) == 2
    assert keep_counts(64, np.array([0.59, 0.6, 0.01, 0.99])).tolist() == [26, 25, 63, 0]


@pytest.mark.parametrize("count", [0, 6])
def test_none_and_all(count: int) -> None:
    assert prune_smallest(torch.rand(3, 6), count).sum().item() == 3 * count
    assert keep_largest(torch.rand(3, 6), np.full(3, 6 - count)).sum().item() == 3 * count


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(1, 23), st.integers(0, 2**16), st.sampled_from([2, 5, 1000]))
def test_equal_to_a_stable_full_sort(rows: int, columns: int, seed: int, distinct: int) -> None:
    """The specification itself: stable ascending sort prunes the first, stable descending sort keeps the first."""
    rng = np.random.default_rng(seed)
    metric = torch.from_numpy(rng.integers(0, distinct, (rows, columns)).astype(np.float32))
    count = int(rng.integers(0, columns + 1))
    expected = torch.zeros(rows, columns, dtype=torch.bool)
    expected.scatter_(1, metric.sort(dim=1, stable=True).indices[:, :count], True)
    assert torch.equal(prune_smallest(metric, count), expected)

    keep = rng.integers(0, columns + 1, rows)
    order = metric.sort(dim=1, descending=True, stable=True).indices
    for row, kept in enumerate(keep_largest(metric, keep)):
        pruned = torch.ones(columns, dtype=torch.bool)
        pruned[order[row, : keep[row]]] = False
        assert torch.equal(kept, pruned)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_metrics_are_ordered_exactly(dtype: torch.dtype) -> None:
    metric = torch.rand(4, 32).to(dtype)
    assert torch.equal(prune_smallest(metric, 10), prune_smallest(metric.float(), 10))
    assert torch.equal(keep_largest(metric, np.full(4, 7)), keep_largest(metric.float(), np.full(4, 7)))
