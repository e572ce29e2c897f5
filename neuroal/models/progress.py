"""Plain sentences about what goes on, and the bridge from huggingface_hub's progress bars to them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

# Takes one sentence for the person who waits. May raise to stop the work.
Say = Callable[[str], None]

SECONDS_BETWEEN = 0.5


def quiet(_: str) -> None:
    """Says nothing."""


def bar_class(say: Say, what: str, total: int) -> type:
    """A tqdm class that draws nothing and says "``what``: 120 of 724 MB" instead.

    Args:
        say: takes the sentences, at most two a second.
        what: the beginning of the sentence.
        total: bytes in all; a bar only learns it file by file.
    """
    from tqdm import tqdm

    done: dict[int, int] = {}
    last = [0.0]

    class Bar(tqdm):  # type: ignore[type-arg]
        """One bar of several. Each that counts bytes sees all of them, at its own stage, so the furthest one counts."""

        monitor_interval = 0

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "leave": False, "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            """Counts, and says so where it is time again."""
            shown = super().update(n)
            if getattr(self, "unit", "") == "B":
                done[id(self)] = int(self.n)
                self._say()
            return shown

        def _say(self) -> None:
            now = time.monotonic()
            if now - last[0] >= SECONDS_BETWEEN:
                last[0] = now
                say(f"{what}: {min(max(done.values()), total) / 10**6:.0f} of {total / 10**6:.0f} MB")

    return Bar
