"""Runs within an evaluation: what they tell of themselves becomes one figure of progress.

Their events must not get into the log of the run around them, where they would be taken for its own.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from neuroal.runs.events import BlockPruned, BlockRated, BlockScored, Evaluated, LambdaChosen

Result = TypeVar("Result")
Plan = dict[str, dict[str, float]]

# Seconds between two events of progress; inner events come much faster.
PAUSE = 0.3

# Progress is told in percent.
WHOLE = 100


def weight(stages: Plan) -> float:
    """The work of a plan."""
    return sum(stage["units"] * stage["weight"] for stage in stages.values())


class Progress:
    """How much of several plans is done.

    Args:
        variant, metric: name the model and the evaluation in the events.
        plans: as ``neuroal.runs.plan.plan`` makes them, in the order in which they are followed.
    """

    def __init__(self, variant: str, metric: str, plans: Sequence[Plan]) -> None:
        self.variant, self.metric, self.plans = variant, metric, plans
        self.total, self.behind, self.last = sum(map(weight, plans)), 0.0, 0.0
        self.at, self.seen = 0, Counter[str]()

    def quietly(self, events: Generator[Any, None, Result]) -> Generator[Evaluated, None, Result]:
        """The same generator; of what it yields only that something happened is passed on, and not more than a few
        times a second."""
        with closing(events):
            while True:
                try:
                    self._count(next(events))
                except StopIteration as end:
                    return end.value
                if time.monotonic() - self.last >= PAUSE:
                    yield self._event()

    def next(self) -> Evaluated:
        """The current plan is done with, followed to its end or not."""
        self.behind += weight(self.plans[self.at])
        self.at, self.seen = self.at + 1, Counter()
        return self._event()

    def _count(self, event: Any) -> None:
        """Units of the plan, by stage; where not every candidate is scored, the rest is done with the choice."""
        if isinstance(event, BlockScored):
            self.seen[event.step] += 1
        elif isinstance(event, LambdaChosen):
            self.seen[event.step] = 10**9
        elif isinstance(event, BlockRated):
            self.seen["rate"] += 1
        elif isinstance(event, BlockPruned):
            self.seen[f"prune:{event.variant}"] += 1
        elif isinstance(event, Evaluated):
            stage = f"evaluate:{event.variant}"
            planned = self.plans[self.at].get(stage, {"units": 0})["units"]
            self.seen[stage] = planned * event.done / event.total

    def _event(self) -> Evaluated:
        self.last = time.monotonic()
        inside = 0.0
        if self.at < len(self.plans):
            stages = self.plans[self.at].items()
            inside = sum(min(self.seen[name], stage["units"]) * stage["weight"] for name, stage in stages)
        done = WHOLE if self.at == len(self.plans) else int(WHOLE * (self.behind + inside) / self.total)
        return Evaluated(self.variant, min(done, WHOLE), WHOLE, self.metric)
