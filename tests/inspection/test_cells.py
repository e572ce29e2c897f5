"""A mask as it is looked at: real bits, honest bins, and no window that is not there."""

from __future__ import annotations

import numpy as np
import pytest

from neuroal.errors import UserError
from neuroal.inspection.cells import Window, counts, packed

# By hand: 3 rows of 10 weights, 1 = kept.
KEPT = np.array([[1, 0, 1, 1, 0, 0, 1, 0, 1, 1], [0, 0, 1, 0, 1, 1, 1, 0, 0, 1], [1, 1, 1, 1, 1, 0, 0, 0, 0, 1]]) != 0
WHOLE = Window(KEPT.shape, 0, 0, 3, 10)


def test_bits_are_sent_row_by_row_in_whole_bytes() -> None:
    rows = [0b10110010, 0b11000000, 0b00101110, 0b01000000, 0b11111000, 0b01000000]
    assert packed(KEPT, WHOLE) == bytes(rows) and WHOLE.bytes == len(rows)
    assert packed(KEPT, Window(KEPT.shape, 1, 2, 2, 3)) == bytes([0b10100000, 0b11100000])


def test_a_cell_says_how_many_of_its_weights_are_kept_also_where_it_is_cut() -> None:
    """Cells of 4 × 4 on 3 × 10 weights: the last one is 3 × 2."""
    assert counts(KEPT, 4).tolist() == [[8, 5, 4]]
    assert counts(KEPT, 2).tolist() == [[1, 3, 2, 2, 3], [2, 2, 1, 0, 1]]
    assert counts(KEPT, 16).tolist() == [[KEPT.sum()]]
    assert packed(KEPT, Window(KEPT.shape, 0, 0, 3, 10, 4)) == bytes([8, 5, 4])
    assert packed(KEPT, Window(KEPT.shape, 2, 4, 1, 6, 2)) == bytes([1, 0, 1])


@pytest.mark.parametrize(("cell", "kind"), [(2, "<u1"), (15, "<u1"), (16, "<u2"), (255, "<u2"), (256, "<u4")])
def test_counts_have_room_for_a_full_cell(cell: int, kind: str) -> None:
    shape = (2 * cell, cell)
    window = Window(shape, 0, 0, *shape, cell)
    sent = packed(np.ones(shape, dtype=bool), window)
    assert np.frombuffer(sent, kind).tolist() == [cell * cell] * 2 and window.bytes == len(sent)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ((0, 0, 4, 10, 1), "has 3 rows and 10 columns"),
        ((-2, 0, 2, 2, 1), "not within the matrix"),
        ((0, 9, 1, 2, 1), "not within the matrix"),
        ((0, 0, 0, 5, 1), "not within the matrix"),
        ((3, 0, 0, 5, 1), "not within the matrix"),
        ((0, 0, 3, 10, 0), "1 to 4096 weights"),
        ((0, 0, 3, 10, 4097), "1 to 4096 weights"),
        ((0, 3, 3, 4, 2), "begins at a multiple of 2"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(asked: tuple[int, ...], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Window(KEPT.shape, *asked)


def test_no_answer_is_without_bounds() -> None:
    with pytest.raises(UserError, match=r"This part is 24 MB, and one answer at most 4; ask for a smaller part"):
        Window((14336, 14336), 0, 0, 14336, 14336)
    assert Window((14336, 14336), 0, 0, 14336, 14336, 8).bytes == 1792**2
