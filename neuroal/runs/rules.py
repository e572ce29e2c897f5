"""What whoever hosts the app allows of jobs; by default everything, as on a machine of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Runs one person may have waiting at a time, so that nobody can fill the queue.
WAITING_EACH = 3


def _anything(spec: Any) -> None:
    """Refuses nothing."""


@dataclass(frozen=True)
class Rules:
    """For all jobs of a kind.

    Attributes:
        refuse: raises UserError for a question that is more than is allowed. It may take a while.
        waiting: that one person may have at a time.
        seconds: that one may go, until it has to let others have their turn; None for as long as it takes.
    """

    refuse: Callable[[Any], None] = _anything
    waiting: int = WAITING_EACH
    seconds: float | None = None


FREE = Rules()

OVER_TIME = (
    "This run has taken the {:g} min that one may go here at a time, so it made way for others. What it had finished "
    "is kept; Resume goes on from there."
)
