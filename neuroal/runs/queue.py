"""The runs that wait for a worker: fair among people, and each is told its place."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from neuroal.errors import UserError
from neuroal.runs.events import Queued
from neuroal.runs.job import Job
from neuroal.runs.rules import WAITING_EACH


class Queue:
    """Not safe by itself: whoever has it holds the lock of the jobs.

    Args:
        kind: what waits here, in a person's words.
        each: that one person may have waiting.
    """

    def __init__(self, kind: str, each: int = WAITING_EACH) -> None:
        self.kind, self.each = kind, each
        self._waiting: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._waiting)

    def refuse_one_too_many(self, owner: str) -> None:
        """UserError for a person who has as many waiting as one may have."""
        if sum(job.owner == owner for job in self._waiting) >= self.each:
            many = f"{self.each} {self.kind}{'s' * (self.each != 1)}"
            raise UserError(f"You already have {many} waiting; let one finish, or cancel one.")

    def add(self, job: Job) -> None:
        """At the end; :meth:`order` finds its place."""
        self._waiting.append(job)

    def take(self) -> Job:
        """The next one, out of the queue."""
        return self._waiting.popleft()

    def remove(self, run_id: str) -> Job | None:
        """That run, out of the queue; None where it does not wait here."""
        job = next((job for job in self._waiting if job.run_id == run_id), None)
        if job is not None:
            self._waiting.remove(job)
        return job

    def clear(self) -> None:
        self._waiting.clear()

    def order(self, going: Iterable[Job]) -> None:
        """Each waiting run learns its place when it changes; runs by different people take turns.

        Args:
            going: whose owners have had a turn.
        """
        self._waiting = _fair(self._waiting, (job.owner for job in going))
        for position, job in enumerate(self._waiting, 1):
            records, _ = job.log.read()
            if not records or records[-1].get("position") != position:
                job.log.append_at_any_cost(Queued(position))


def _fair(waiting: deque[Job], going: Iterable[str]) -> deque[Job]:
    """First come first served among people, one run of each in turn; the owners of ``going`` runs have had one."""
    turns = dict.fromkeys(going, 0)
    ranked = []
    for order, job in enumerate(waiting):
        turn = turns[job.owner] = turns.get(job.owner, -1) + 1
        ranked.append((turn if job.owner else 0, order, job))
    return deque(job for _, _, job in sorted(ranked, key=lambda r: r[:2]))
