"""N:M patterns: of every M consecutive weights of a row at most N are kept (2:4 is the one that hardware knows).

A ratio becomes a whole number of pruned weights in each group of M. Where ratios differ between blocks, so does N
(mixed N:M); the counts are apportioned so that the whole keeps its target.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

from neuroal.errors import UserError

# Groups wider than this are no pattern any more.
WIDEST = 128


@dataclass(frozen=True)
class Pattern:
    """``kept`` of every ``of`` consecutive weights."""

    kept: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """From "2:4".

        Raises:
            UserError: not two whole numbers N:M with 0 < N < M <= 128.
        """
        found = re.fullmatch(r"\s*(\d{1,4})\s*:\s*(\d{1,4})\s*", text) if isinstance(text, str) else None
        kept, of = map(int, found.groups()) if found else (0, 0)
        if not 0 < kept < of <= WIDEST:
            raise UserError(
                f"Pattern {reprlib.repr(text)} is not known; write N:M, keeping N of every M weights, such as 2:4 "
                f"or 4:8 (0 < N < M <= {WIDEST})."
            )
        return cls(kept, of)

    @property
    def sparsity(self) -> float:
        """The ratio it stands for."""
        return 1 - self.kept / self.of

    def __str__(self) -> str:
        return f"{self.kept}:{self.of}"


def apportion(ratios: Sequence[float], sizes: Sequence[int], of: int) -> list[float]:
    """Ratios as multiples of 1/``of``, by largest remainders, so that the weighted total stays what it was.

    Args:
        ratios: one per block; what a block cannot lose (more than M - 1 of M) is lost by the others.
        sizes: prunable weights of each block.
        of: M of the pattern.

    Returns:
        ratios k/M with 0 <= k < M: no block loses everything.
    """
    wanted = [r * of for r in ratios]
    counts = [min(int(w + 1e-9), of - 1) for w in wanted]
    missing = sum(n * (w - k) for n, w, k in zip(sizes, wanted, counts, strict=True))
    while open_blocks := [b for b, k in enumerate(counts) if k < of - 1 and sizes[b]]:
        b = min(open_blocks, key=lambda b: (counts[b] - wanted[b], -wanted[b], b))
        if missing < sizes[b] / 2:  # the nearest whole number of groups
            break
        counts[b] += 1
        missing -= sizes[b]
    return [k / of for k in counts]
