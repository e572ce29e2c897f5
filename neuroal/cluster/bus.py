"""The event bus: an actor in the cluster to which workers tell their events, and from which the server takes them.

A worker cannot reach the server itself, and streams of a task's results do not pass ``ray://``.
"""

from __future__ import annotations

import asyncio

from neuroal.runs.events import Event


class Bus:
    """Events by the key of an attempt at a run, in the order in which they were told.

    What comes for a key that is closed is dropped: of a run that was cancelled, or of a worker that was given up.
    """

    def __init__(self) -> None:
        self._told: dict[str, list[Event]] = {}
        self._taken: dict[str, int] = {}  # how many of a key are not kept any more
        self._news: dict[str, asyncio.Event] = {}

    async def open(self, key: str) -> None:
        """From now on there is someone who listens."""
        self._told[key], self._taken[key], self._news[key] = [], 0, asyncio.Event()

    async def put(self, key: str, event: Event) -> bool:
        """Tells an event; False when nobody listens any longer."""
        if key not in self._told:
            return False
        self._told[key].append(event)
        self._news[key].set()
        return True

    async def take(self, key: str, after: int, seconds: float) -> list[Event]:
        """The events of a key but for its first ``after``, which are let go; waits for one so many seconds."""
        del self._told[key][: after - self._taken[key]]
        self._taken[key] = after
        if not self._told[key]:
            self._news[key].clear()
            try:
                await asyncio.wait_for(self._news[key].wait(), seconds)
            except (TimeoutError, asyncio.TimeoutError):
                return []
        return list(self._told.get(key, ()))

    async def close(self, key: str) -> None:
        """Nobody listens any longer."""
        for kept in (self._told, self._taken, self._news):
            kept.pop(key, None)
