"""Exact counts and tie rules of both granularities, by hand and against full sorts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroal import masks
from neuroal.masks import (
    keep_counts,
    keep_largest,
    prune_count,
    prune_in_groups,
    prune_smallest,
    pruned,
    select,
    zeroed,
)


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


# --- N:M ------------------------------------------------------------------------------------------------------------


def test_two_of_four_by_hand_prunes_the_lower_column_among_equals() -> None:
    metric = torch.tensor([[1.0, 4.0, 3.0, 2.0, 5.0, 5.0, 5.0, 5.0]])
    assert select(metric, 0.5, of=4).tolist() == [[True, False, False, True, True, True, False, False]]


@pytest.mark.parametrize(("pruned", "last"), [(1, [False, False]), (2, [False, False]), (3, [False, True])])
def test_a_shorter_last_group_keeps_as_many_as_any_other(pruned: int, last: list[bool]) -> None:
    """Six columns in groups of four: of the last two at most ``4 - pruned`` are kept, the larger first."""
    mask = prune_in_groups(torch.tensor([[9.0, 8.0, 7.0, 6.0, 5.0, 4.0]]), pruned, 4)
    assert mask[0, :4].sum() == pruned and mask[0, 4:].tolist() == last


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 21),
    st.sampled_from([(2, 4), (1, 4), (4, 8), (3, 5), (1, 2)]),
    st.integers(0, 999),
)
def test_groups_equal_brute_force(rows: int, columns: int, pattern: tuple[int, int], seed: int) -> None:
    """Few distinct values, so that most groups hold ties."""
    kept, of = pattern
    metric = torch.from_numpy(np.random.default_rng(seed).integers(0, 4, (rows, columns)).astype(np.float32))
    mask = select(metric, 1 - kept / of, of)
    for row, zeros in zip(metric.tolist(), mask.tolist(), strict=True):
        for start in range(0, columns, of):
            group = range(start, min(start + of, columns))
            lost = sorted(group, key=lambda j: (row[j], j))[: max(0, len(group) - kept)]
            assert [j for j in group if zeros[j]] == sorted(lost)


def test_groups_of_half_precision_are_ordered_exactly() -> None:
    metric = torch.rand(4, 32).to(torch.bfloat16)
    assert torch.equal(prune_in_groups(metric, 2, 4), prune_in_groups(metric.float(), 2, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_negative_metrics_and_both_zeros_are_ordered_as_numbers(dtype: torch.dtype) -> None:
    """Not by their bits: of these, only numbers that are not negative have the order of their bits."""
    mixed = torch.tensor([[-1.0, 0.0, -0.0, 2.0, -3.0, 1.0]], dtype=dtype)
    assert prune_smallest(mixed, 3).tolist() == [[True, True, False, False, True, False]]
    assert keep_largest(mixed, np.array([3])).tolist() == [[True, False, True, False, True, False]]
    zeros = torch.tensor([[0.0, -0.0, 0.0, -0.0, 1.0, float("inf")]], dtype=dtype)
    assert prune_smallest(zeros, 3).tolist() == [[True, True, True, False, False, False]]
    assert keep_largest(zeros, np.array([5])).tolist() == [[False, False, False, True, False, False]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("sparsity", "of"), [(0.6, None), (np.linspace(0.2, 0.9, 11), None), (0.5, 4)])
def test_part_by_part_as_the_whole(
    dtype: torch.dtype, sparsity: float | np.ndarray, of: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the last part is shorter, and where a weight is stored the other way round."""
    weight = torch.randn(24, 11, dtype=dtype).t()
    metric, asked = weight.float().abs(), []

    def of_rows(rows: slice) -> torch.Tensor:
        asked.append(metric[rows].shape[0])
        return metric[rows]

    whole = zeroed(weight, select(metric, sparsity, of))
    monkeypatch.setattr("neuroal.parts.PART", 24 * 4)
    assert torch.equal(pruned([(weight, of_rows, sparsity)], of)[0], whole)
    assert asked == [4, 4, 3]


def test_weights_at_once_as_one_by_one(monkeypatch: pytest.MonkeyPatch, on_threads: Callable[[int], None]) -> None:
    """Shared out among threads: of several shapes and precisions, with a ratio for all rows and one for each."""
    monkeypatch.setattr("neuroal.parts.PART", 64)
    monkeypatch.setattr("neuroal.parts.WORTH", 1)
    weights = [torch.randn(33, 7), torch.randn(8, 40).to(torch.bfloat16), torch.randn(16, 50).t(), torch.randn(1, 3)]
    ratios = [0.6, np.linspace(0.1, 0.9, 8), np.linspace(0.9, 0.1, 50), 0.0]
    metrics = [weight.float().abs() for weight in weights]
    alone = [zeroed(w, select(m, r)) for w, m, r in zip(weights, metrics, ratios, strict=True)]
    asked = [(w, m.__getitem__, r) for w, m, r in zip(weights, metrics, ratios, strict=True)]
    on_threads(3)
    assert all(map(torch.equal, pruned(asked), alone))


def test_what_is_kept_is_kept_to_the_bit_and_what_goes_is_a_plain_zero() -> None:
    weight = torch.tensor([[-0.0, 1.5, float("inf"), -2.0, -1e-45, 3.0]])
    mask = torch.tensor([[False, False, False, True, False, True]])
    zeros = zeroed(weight, mask)
    assert torch.equal(zeros.view(torch.int32), weight.masked_fill(mask, 0).view(torch.int32))
    assert zeros.view(torch.int32)[0, 3] == 0, "not a negative one"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_parted_one_by_one_as_sorted(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several rows of one rank, ranks that no row has, and rows of which none or all are kept."""
    metric = torch.randn(40, 33).to(dtype).abs()
    keep = np.concatenate([np.arange(33), [5, 5, 0, 33, 33, 12, 0]])
    wide = keep_largest(metric, keep)
    monkeypatch.setattr(masks, "SORTED", 0)
    assert torch.equal(keep_largest(metric, keep), wide)
    assert (~wide).sum(1).tolist() == keep.tolist()
