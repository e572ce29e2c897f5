"""The runs that wait for a worker: fair among people, and each is told its place."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from neuroal.errors import UserError
from neuroal.runs.job import Job
from neuroal.runs.log import tell_places
from neuroal.runs.turns import in_turn

# Runs one person may have waiting at a time, so that nobody can fill the queue.
WAITING_EACH = 3

# Runs that wait in all, whoever asks: each of them is told its place whenever one is taken.
WAITING_IN_ALL = 500


class Queue:
    """Not safe by itself: whoever has it holds the lock of the jobs.

    Args:
        kind: what waits here, in a person's words.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._waiting: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._waiting)

    def refuse_one_too_many(self, owner: str) -> None:
        """UserError for a person who has as many waiting as one may have, and for everyone where the queue is full."""
        if sum(job.owner == owner for job in self._waiting) >= WAITING_EACH:
            raise UserError(f"You already have {WAITING_EACH} {self.kind}s waiting; let one finish, or cancel one.")
        if len(self._waiting) >= WAITING_IN_ALL:
            raise UserError(f"{WAITING_IN_ALL} {self.kind}s of others are waiting; try again in some minutes.")

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
        self._waiting = deque(in_turn(self._waiting, (job.owner for job in going)))
        tell_places([(job.log, place) for place, job in enumerate(self._waiting, 1) if job.log.place != place])
