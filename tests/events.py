"""Generators of events, drained: what they yielded, and what they returned."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from neuroal.runs.events import Event


def drained(events: Generator[Event, None, Any]) -> tuple[list[Event], Any]:
    """The events of a generator, and its result."""
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return seen, end.value
