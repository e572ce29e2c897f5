"""The figures of one matrix, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from neuroal.inspection.figures import MOST_BARS, histogram, most_damaged, normalised


def test_rows_are_counted_by_their_pruned_weights() -> None:
    found = histogram(np.array([3, 4, 4, 6]), columns=8)
    assert found.counts.tolist() == [1, 2, 0, 1]
    assert found.edges == pytest.approx(np.array([2.5, 3.5, 4.5, 5.5, 6.5]) / 8)


def test_rows_that_agree_are_one_bar() -> None:
    found = histogram(np.full(5, 38), columns=64)
    assert found.counts.tolist() == [5] and found.edges == pytest.approx([37.5 / 64, 38.5 / 64])


def test_every_bar_stands_for_as_many_counts() -> None:
    """0 to 99 pruned weights in at most 40 bars: three counts each, so none is empty by rounding."""
    found = histogram(np.arange(100), columns=128)
    assert len(found.counts) == 34 <= MOST_BARS and set(found.counts[:-1]) == {3} and found.counts[-1] == 1


def test_norms_are_compared_as_shares() -> None:
    assert normalised(np.array([1.0, 3.0])).tolist() == [0.25, 0.75]
    assert normalised(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_the_most_damaged_inputs_come_first() -> None:
    """Shares 1/8 2/8 5/8 against 3/8 2/8 3/8; input 1 lost nothing, and of equal ones the lower comes first."""
    first, second = most_damaged(np.array([1.0, 2.0, 5.0]), np.array([6.0, 4.0, 6.0]))
    assert (first.index, first.dense, first.pruned, first.difference, first.share) == (0, 0.125, 0.375, 0.25, 0.5)
    assert (second.index, second.difference) == (2, -0.25)


def test_ten_are_named_and_what_did_not_change_is_not() -> None:
    dense = np.ones(40)
    assert most_damaged(dense, 2 * dense) == []
    pruned = dense.copy()
    pruned[5:25] += np.arange(20)
    named = most_damaged(dense, pruned)
    assert [damage.index for damage in named] == list(range(24, 14, -1))
    assert sum(damage.share for damage in named) < 1
