"""Means that are restored and counts that add up, by hand and against the masks that they lead to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroal.budget import exact_rows, renormalised
from neuroal.masks import keep_counts, select


@pytest.mark.parametrize(
    ("ratios", "target", "sizes", "expected"),
    [
        ((0.5, 0.7), 0.6, None, (0.5, 0.7)),  # nothing to restore
        ((0.4, 0.8, 1.2), 0.8, None, (0.505, 0.905, 0.99)),  # (0.4 + c + 0.8 + c + 0.99) / 3 = 0.8: c = 0.105
        ((0.6, 0.2, -0.2), 0.2, None, (0.495, 0.095, 0.01)),  # its mirror image
        ((0.5, 1.5), 0.6, (3, 1), (0.47, 0.99)),  # (3 (0.5 + c) + 0.99) / 4 = 0.6: c = -0.03
        ((0.3, 0.3), 0.8, (9, 1), (0.8, 0.8)),
        ((0.2, 0.9), 0.99, None, (0.99, 0.99)),
        ((0.2, 0.9), 0.01, None, (0.01, 0.01)),
        ((0.2, 0.9), 1.0, None, (0.99, 0.99)),  # beyond what can be reached: that bound everywhere
    ],
)
def test_the_mean_is_restored_by_one_shift(
    ratios: tuple[float, ...], target: float, sizes: tuple[int, ...] | None, expected: tuple[float, ...]
) -> None:
    assert renormalised(ratios, target, sizes) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 2), st.integers(1, 9)), min_size=1, max_size=9), st.floats(0.01, 0.99))
def test_the_mean_is_the_target_and_the_order_is_kept(pairs: list[tuple[float, int]], target: float) -> None:
    ratios, sizes = zip(*pairs, strict=True)
    found = renormalised(ratios, target, sizes)
    assert np.average(found, weights=sizes) == pytest.approx(target, abs=1e-9)
    assert found.min() >= 0.01 and found.max() <= 0.99
    assert (np.diff(found[np.argsort(ratios)]) >= 0).all()


# --- exact counts ---------------------------------------------------------------------------------------------------

Sparsity = dict[str, "float | np.ndarray"]
Shapes = dict[str, tuple[int, int]]


def _counts(rows: dict[str, np.ndarray], shapes: Shapes) -> list[int]:
    """Pruned weights of every row, as the masks count them."""
    return [int(n) for path, r in rows.items() for n in shapes[path][1] - keep_counts(shapes[path][1], r)]


@pytest.mark.parametrize(
    ("sparsity", "shapes", "target", "counts"),
    [
        ({"a": 0.5}, {"a": (2, 5)}, 0.5, [3, 2]),  # 2.5 each: together 5, the first row goes up
        ({"a": 0.6}, {"a": (2, 5)}, 0.6, [3, 3]),
        ({"a": 0.29}, {"a": (1, 100)}, 0.29, [29]),  # 0.29 * 100 is a little under 29
        # 1.2, 3.6 and 0.4 of 12 weights; 5.4 are wanted, so 5: the largest remainder goes up
        ({"a": 0.3, "b": np.array([0.9, 0.1])}, {"a": (1, 4), "b": (2, 4)}, 0.45, [1, 4, 0]),
        # 2.0 and 1.5 where 2 are wanted: one of the former is taken back, the latter has the larger remainder
        ({"a": 0.5, "b": 0.375}, {"a": (1, 4), "b": (1, 4)}, 0.25, [1, 1]),
        ({"a": 1.3}, {"a": (2, 4)}, 1.0, [4, 4]),  # more than everything is everything
        ({"a": 0.0}, {"a": (2, 4)}, 0.0, [0, 0]),
        ({"a": 0.0}, {"a": (3, 4)}, 0.75, [3, 3, 3]),  # far from what was asked, but on target
    ],
)
def test_counts_by_hand(sparsity: Sparsity, shapes: Shapes, target: float, counts: list[int]) -> None:
    assert _counts(exact_rows(sparsity, shapes, target), shapes) == counts


@st.composite
def _linears(draw: st.DrawFn) -> tuple[Sparsity, Shapes, float]:
    shape_lists = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 17)), min_size=1, max_size=4)
    shapes = {f"linear{i}": shape for i, shape in enumerate(draw(shape_lists))}
    share = st.floats(0, 1)
    sparsity = {
        path: draw(share) if draw(st.booleans()) else np.array(draw(st.lists(share, min_size=rows, max_size=rows)))
        for path, (rows, _) in shapes.items()
    }
    return sparsity, shapes, draw(share)


@settings(max_examples=80, deadline=None)
@given(_linears(), st.integers(0, 99))
def test_the_masks_reach_the_target_to_the_weight(case: tuple[Sparsity, Shapes, float], seed: int) -> None:
    sparsity, shapes, target = case
    rows = exact_rows(sparsity, shapes, target)
    metrics = torch.Generator().manual_seed(seed)
    masks = {path: select(torch.rand(shapes[path], generator=metrics), rows[path]) for path in rows}
    assert [int(n) for mask in masks.values() for n in mask.sum(1)] == _counts(rows, shapes)
    total = sum(rows * columns for rows, columns in shapes.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == round(target * total)


def test_rows_move_by_less_than_a_weight_where_the_mean_is_the_target() -> None:
    ratios = np.random.default_rng(0).uniform(0.3, 0.7, 50)
    found = exact_rows({"a": ratios}, {"a": (50, 23)}, float(ratios.mean()))["a"]
    assert np.abs((23 - keep_counts(23, found)) - ratios * 23).max() < 1
