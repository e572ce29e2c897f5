"""Lambda candidates of one run spread over the cluster: while a worker scores one, helpers score those that come next.

Candidates of a step do not depend on each other. They are told in the order of the grid all the same, each with all
its events, so that a run's log is the same wherever they were scored. Helpers speed a run up and nothing else. They get
room that no run wants (``Bus.lend``) and give it back at their next block when one does; a candidate whose helper is
lost, or has not begun when its turn comes, is scored by the run's own worker.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from neuroal.cluster.attempt import POLL
from neuroal.cluster.task import as_task
from neuroal.rows import Alignment
from neuroal.runs.events import BlockScored, Event
from neuroal.runs.spec import RunSpec
from neuroal.scoring import Candidate, Problem, Scorer

logger = logging.getLogger(__name__)

Found = tuple[float, Alignment]

# Seconds until a helper scores its first candidate: its process starts, imports torch and builds the model (measured
# 8 s for two of them on two cores); bytes a second at which weights come to a node that lacks them (a gigabit line).
START, LINE = 10.0, 1e8


@dataclass(frozen=True)
class Asked:
    """What a helper needs to know beside the model.

    Attributes:
        id: of the problem, which a helper keeps for the next candidate.
        tokens: int64 [samples, length], what the run calibrates on.
    """

    id: str
    spec: RunSpec
    tokens: Tensor
    step: str
    candidate: Candidate


@dataclass(frozen=True)
class Helpers:
    """How others are asked.

    Attributes:
        bus: handle of the event bus; ``run``: the key of the run there.
        help: the function that they run.
        packed: a list with the reference to the model.
        size: processors and GPUs of a helper, as Ray counts them.
    """

    bus: Any
    run: str
    help: Any
    packed: list[Any]
    size: dict[str, float]

    def room(self) -> str | None:
        """The key of one more helper; None where there is no room for one.

        Ray knows of what other apps use, the bus of runs that are about to start.
        """
        import ray

        key, there = secrets.token_hex(8), ray.available_resources()
        names = {"CPU": self.size["num_cpus"], "GPU": self.size["num_gpus"]}
        free = all(there.get(name, 0) >= needed for name, needed in names.items())
        return key if free and ray.get(self.bus.lend.remote(self.run, key)) else None

    def begin(self, key: str, asked: Asked) -> Any:
        """The task of a helper for which there is room."""
        return as_task(self.help, self.size).remote(self.bus, key, asked, self.packed)


def is_worth(search_seconds: float, model_bytes: int) -> bool:
    """Whether one helper saves more than it costs; at best it saves half of the search."""
    return search_seconds / 2 > START + model_bytes / LINE


class SpreadScorer(Scorer):
    """Scores the next candidate, and has helpers score those after it."""

    def __init__(self, helpers: Helpers, spec: RunSpec, tokens: Tensor, problem: Problem) -> None:
        super().__init__(problem)
        self._helpers, self._spec, self._tokens, self._id = helpers, spec, tokens, secrets.token_hex(8)
        self._asked: dict[tuple[str, float], tuple[str, Any]] = {}
        self._scored: list[str] = []  # by whom, a candidate each, since it was last told

    def expect(
        self, step: str, now: Sequence[Candidate], later: Sequence[float], candidate: Callable[[float], Candidate]
    ) -> None:
        left = [lam for lam in later if (step, lam) not in self._asked]
        if (step, now[0].lam) in self._asked:
            left = left[1:]  # the next one is our own: what is scored now, a helper has done
        for lam in left:
            key = self._helpers.room()
            if key is None:
                return
            asked = Asked(self._id, self._spec, self._tokens, step, candidate(lam))
            self._asked[step, lam] = (key, self._helpers.begin(key, asked))

    def score(
        self, step: str, candidates: Sequence[Candidate], *, exact: bool = False
    ) -> Generator[BlockScored, None, list[Found]]:
        asked = self._asked.pop((step, candidates[0].lam), None) if len(candidates) == 1 and not exact else None
        if asked is None:
            return (yield from super().score(step, candidates, exact=exact))
        told, found = yield from self._heard(*asked)
        if found is None:
            return (yield from _without(super().score(step, candidates), told))
        return [found]

    def report(self) -> str | None:
        """What helpers have done since the last call, as a sentence; None where that was nothing."""
        scored, self._scored = self._scored, []
        if not scored:
            return None
        helpers = len(set(scored))
        return (
            f"Candidates of this step were spread over {helpers} helper{'s' * (helpers != 1)} on the cluster: "
            f"{len(scored)} of them were scored there, the others by the run's own worker."
        )

    def close(self) -> None:
        """Helpers that are still at it stop at their next event."""
        for key, task in self._asked.values():
            self._let_go(key, task)
        self._asked.clear()

    def _heard(self, key: str, task: Any) -> Generator[BlockScored, None, tuple[int, Found | None]]:
        """The events of a helper; how many they were, and what it found: None where it is to be done again."""
        import ray
        from ray.exceptions import RayError

        bus, taken, over = self._helpers.bus, 0, False
        try:
            while not over:
                over = bool(ray.wait([task], timeout=0)[0])
                news: list[Event] | None = ray.get(bus.take.remote(key, taken, POLL if taken and not over else 0.0))
                if news is None or not (taken or news or over):
                    return taken, None  # its room was taken back; or it has not begun, and we can
                taken += len(news)
                yield from news
            answer = ray.get(task)
        except RayError:
            logger.warning("A helper was lost", exc_info=True)
            return taken, None
        finally:
            self._let_go(key, task)
        if answer is None:
            return taken, None
        found, troubles, who = answer
        self.problem.method.hear(troubles)
        self._scored.append(who)
        return taken, found

    def _let_go(self, key: str, task: Any) -> None:
        """A helper that has not even begun is taken out of Ray's queue, where it would be in others' way."""
        import ray

        with suppress(Exception):
            if ray.get(self._helpers.bus.close.remote(key)):
                ray.cancel(task)


def _without(events: Generator[Any, None, Any], told: int) -> Generator[Any, None, Any]:
    """A generator without its first events, which have been told."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            return end.value
        if told <= 0:
            yield event
        told -= 1
