"""Whose turn it is to compute: one after the other, and whoever works ahead lets everyone else in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# So long nobody computes, that those who wait get in.
PAUSE = 0.001


class Turns:
    """A lock that can be lent for a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[object] = set()
        self._is_ahead = False

    @contextmanager
    def taken(self, *, ahead: bool = False) -> Iterator[None]:
        """Inside, it is this thread's turn.

        Args:
            ahead: True where nobody waits for the outcome yet.
        """
        me = object()
        if not ahead:
            self._waiting.add(me)
        try:
            self._lock.acquire()
        finally:
            self._waiting.discard(me)
        try:
            self._is_ahead = ahead
            yield
        finally:
            self._lock.release()

    def give_way(self) -> None:
        """Called inside, between two steps: who works ahead goes on when nobody waits any more."""
        while self._is_ahead and self._waiting:
            self._lock.release()
            time.sleep(PAUSE)
            self._lock.acquire()
            self._is_ahead = True
