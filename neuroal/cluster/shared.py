"""What one run finds out that another needs as well, for workers of a cluster: kept by the bus, which all of them know.

Nobody waits for a figure that another worker is just measuring: a worker that stands still gains no time over one that
measures it as well, and a figure whose worker is lost would be waited for in vain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neuroal.runs.events import Event
from neuroal.runs.shared import Shared


class SharedByBus(Shared):
    """The same, wherever a run is done; in the bus for as long as it lives."""

    def __init__(self, bus: Any) -> None:
        super().__init__()
        self._bus = bus

    def get(self, key: str) -> tuple[Event, ...] | None:
        import ray

        return ray.get(self._bus.known.remote(key))

    def put(self, key: str, events: Sequence[Event]) -> None:
        import ray

        ray.get(self._bus.keep.remote(key, list(events)))
