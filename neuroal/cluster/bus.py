"""The event bus: an actor in the cluster to which workers tell their events, and from which the server takes them.

A worker cannot reach the server itself, and streams of a task's results do not pass ``ray://``. The bus is the one that
knows of all runs, so it is also here that room is lent to helpers of a run, and taken back for another run, and that
runs find what they share (shared.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from neuroal.runs.events import Event
from neuroal.runs.shared import Shared


class Bus:
    """Events by the key of who tells them: an attempt at a run, or its helper. In the order in which they were told.

    What comes for a key that is closed is dropped: of a run that was cancelled, of a worker that was given up, or of a
    helper whose room another run needs.

    Args:
        slots: runs and helpers that there is room for; none is lent where they are not known.
        settled: seconds for which there must have been room before some is lent.
    """

    def __init__(self, slots: int = 0, settled: float = 0.0) -> None:
        self._slots, self._settled, self._changed = slots, settled, time.monotonic()
        self._told: dict[str, list[Event]] = {}
        self._taken: dict[str, int] = {}  # how many of a key are not kept any more
        self._news: dict[str, asyncio.Event] = {}
        self._helped: dict[str, str] = {}  # the run of a helper
        self._lent: list[str] = []  # helpers that are at it
        self._begun: set[str] = set()  # helpers whose task has started
        self._shared = Shared()

    async def open(self, key: str) -> None:
        """From now on there is someone who listens to a run. It comes before any helper."""
        self._listen(key)
        self._changed = time.monotonic()
        while self._lent and self._occupied() > self._slots:
            self._close(self._lent[-1])

    async def lend(self, run: str, key: str) -> bool:
        """Opens the key of a helper of a run; False where there is no room that no run needs."""
        settled = time.monotonic() - self._changed >= self._settled
        if run not in self._told or not settled or self._occupied() >= self._slots:
            return False
        self._listen(key)
        self._helped[key] = run
        self._lent.append(key)
        return True

    async def begin(self, key: str) -> bool:
        """A helper's task has got its room; False where that was taken back while it waited."""
        if key in self._told:
            self._begun.add(key)
        return key in self._told

    async def put(self, key: str, event: Event) -> bool:
        """Tells an event; False when nobody listens any longer."""
        if key not in self._told:
            return False
        self._told[key].append(event)
        self._news[key].set()
        return True

    async def take(self, key: str, after: int, seconds: float) -> list[Event] | None:
        """The events of a key but for its first ``after``, which are let go; waits for one so many seconds.

        None where the key is closed.
        """
        if key not in self._told:
            return None
        del self._told[key][: after - self._taken[key]]
        self._taken[key] = after
        if not self._told[key]:
            self._news[key].clear()
            try:
                await asyncio.wait_for(self._news[key].wait(), seconds)
            except (TimeoutError, asyncio.TimeoutError):
                return []
        return list(self._told[key]) if key in self._told else None

    async def rest(self, key: str) -> None:
        """A helper is done: its room is free, its events stay until the key is closed."""
        if key in self._lent:
            self._lent.remove(key)

    async def close(self, key: str) -> bool:
        """Nobody listens any longer, nor to the helpers of that run. True for a helper whose task has not begun."""
        self._changed = self._changed if key in self._helped else time.monotonic()
        waits = key in self._helped and key not in self._begun
        for helper in [helper for helper, run in self._helped.items() if run == key]:
            self._close(helper)
        self._close(key)
        return waits

    async def known(self, key: str) -> tuple[Event, ...] | None:
        """What a run has told of a figure that others need as well."""
        return self._shared.get(key)

    async def keep(self, key: str, events: Sequence[Event]) -> None:
        """Keeps what lasts of that."""
        self._shared.put(key, events)

    def _occupied(self) -> int:
        return len(self._told) - len(self._helped) + len(self._lent)

    def _listen(self, key: str) -> None:
        self._told[key], self._taken[key], self._news[key] = [], 0, asyncio.Event()

    def _close(self, key: str) -> None:
        if key in self._lent:
            self._lent.remove(key)
        if news := self._news.pop(key, None):
            news.set()
        for kept in (self._told, self._taken, self._helped):
            kept.pop(key, None)
        self._begun.discard(key)
