"""A mask as it is looked at: the real bits of a window, or how many weights are kept in each square of it.

Shapes: a mask is bool [rows, columns], True where the weight is kept. A cell is a square of weights; those at the right
and the lower edge of the matrix may be cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuroal.errors import UserError

# Bytes of one answer: more than the largest screen has dots.
MOST_BYTES = 4 * 1024**2

# Weights along the side of a cell.
LARGEST_CELL = 4096


@dataclass(frozen=True)
class Window:
    """A part of a matrix, in weights, and the side of the cells that it is seen in.

    Raises:
        UserError: it is not within the matrix, or its cells make no sense.
    """

    shape: tuple[int, int]
    top: int
    left: int
    rows: int
    columns: int
    cell: int = 1

    def __post_init__(self) -> None:
        (height, width), cell = self.shape, self.cell
        if not 1 <= cell <= LARGEST_CELL:
            raise UserError(f"A cell has 1 to {LARGEST_CELL} weights along its side; {cell} are asked for.")
        inside = 0 <= self.top <= self.bottom <= height and 0 <= self.left <= self.right <= width
        if not (inside and self.rows > 0 and self.columns > 0):
            raise UserError(f"This part is not within the matrix, which has {height} rows and {width} columns.")
        if self.top % cell or self.left % cell:
            raise UserError(f"A part seen in cells of {cell} × {cell} begins at a multiple of {cell}.")
        if self.bytes > MOST_BYTES:
            raise UserError(
                f"This part is {self.bytes / 1024**2:.0f} MB, and one answer at most {MOST_BYTES // 1024**2}; "
                "ask for a smaller part, or for larger cells."
            )

    @property
    def bottom(self) -> int:
        """The row after the last one."""
        return self.top + self.rows

    @property
    def right(self) -> int:
        """The column after the last one."""
        return self.left + self.columns

    @property
    def bytes(self) -> int:
        """What :func:`packed` gives for it."""
        if self.cell == 1:
            return self.rows * -(-self.columns // 8)
        return -(-self.rows // self.cell) * -(-self.columns // self.cell) * self.dtype.itemsize

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest type, little endian, that holds the weights of a cell."""
        return np.min_scalar_type(self.cell**2).newbyteorder("<")


def counts(kept: np.ndarray, cell: int) -> np.ndarray:
    """How many weights are kept in each cell.

    Args:
        kept: bool [rows, columns].

    Returns:
        int64 [⌈rows / cell⌉, ⌈columns / cell⌉].
    """
    down, across = (np.arange(0, size, cell) for size in kept.shape)
    return np.add.reduceat(np.add.reduceat(kept, across, axis=1, dtype=np.int64), down, axis=0)


def packed(kept: np.ndarray, window: Window) -> bytes:
    """A window of a mask, as the browser draws it.

    Args:
        kept: bool [rows, columns], the whole mask.

    Returns:
        where a cell is one weight, its bits: each row in whole bytes, the first column in the highest bit; else the
        counts of the cells, row after row, each a ``window.dtype``.
    """
    part = kept[window.top : window.bottom, window.left : window.right]
    if window.cell == 1:
        return np.packbits(part, axis=1).tobytes()
    return counts(part, window.cell).astype(window.dtype).tobytes()
