"""Who does the runs: a fair queue, a worker thread, and a registry by unguessable id.

The page holds no truth: it keeps a run id and looks here. Closing a tab stops nothing; cancelling is ceasing to drain.
A sweep is done in the same way, by jobs of its own kind: what is said of a run here holds for it.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from neuroal.errors import UserError
from neuroal.runs.events import (
    Event,
    Queued,
    RunCancelled,
    RunFailed,
    RunInterrupted,
    RunResumed,
)
from neuroal.runs.log import ENDED, RunLog, ending, last_status
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import RunRow, Store
from neuroal.runs.summary import asked, summary
from neuroal.threads import stand_back

logger = logging.getLogger(__name__)

# Logs of ended runs kept in memory for their viewers; older ones are read from the store again.
KEPT_LOGS = 64

# Runs one person may have waiting at a time, so that nobody can fill the queue.
WAITING_EACH = 3


class Spec(Protocol):
    """A question."""

    @property
    def private(self) -> bool:
        """Whether its answer is for its owner alone."""
        ...

    def key(self) -> str:
        """Equal for two that ask the same."""
        ...

    def to_json(self) -> str:
        """What ``read`` of the jobs reads."""
        ...


# None: nothing has happened, but the run may be cancelled here.
Engine = Callable[[str, Any, list[dict[str, Any]]], Generator[Event | None, None, None]]


@dataclass
class Job:
    """A run that waits or goes."""

    run_id: str
    spec: Spec
    log: RunLog
    owner: str
    cancelled: threading.Event


class Jobs:
    """Starts, queues, cancels and resumes runs, and lets anyone with the id read them.

    Args:
        engine: makes the generator of a run from its id, spec and the records of an interrupted earlier part.
        workers: runs at the same time; one by default, for they share the processor.
        kind: of what is done here, in the store.
        read: makes a spec from its JSON.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        workers: int = 1,
        kind: str = "run",
        read: Callable[[str], Any] = RunSpec.from_json,
    ) -> None:
        self.store, self.engine, self.workers, self.kind, self._read = store, engine, workers, kind, read
        self._logs: OrderedDict[str, RunLog] = OrderedDict()
        self._waiting: deque[Job] = deque()
        self._going: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._mark_interrupted()
        self._threads = [threading.Thread(target=self._work, daemon=True, name=f"{kind}-{i}") for i in range(workers)]
        for thread in self._threads:
            thread.start()

    # --- what people do ---------------------------------------------------------------------------------------------

    def start(self, spec: Spec, owner: str = "", *, again: bool = False, admitted: bool = False) -> str:
        """Queues a run and returns its id; a question already answered returns the finished run, unless ``again``.

        Args:
            owner: who asks, for fairness only; the run id alone is the capability.
            admitted: for a run of a sweep, which queues but a few at a time.

        Raises:
            UserError: this person has too many runs waiting, or the run cannot be stored.
        """
        if not again and (answered := self.answered(spec)):
            return answered
        with self._changed:
            self._admit(owner, admitted)
            run_id = self._new_id()
            try:
                figures = asked(spec) if self.kind == "run" else None
                self.store.add_run(
                    run_id, spec.key(), spec.to_json(), private=spec.private, kind=self.kind, summary=figures
                )
            except Exception as error:
                logger.exception("A run could not be stored")
                raise UserError(_sentence(error)) from error
            self._queue(run_id, spec, RunLog(run_id, self.store), owner)
            return run_id

    def answered(self, spec: Spec) -> str | None:
        """The finished run that asked the same question, if any; a question about one's own text is never shared."""
        return None if spec.private else self.store.answered(spec.key())

    def adopt(self, spec: Spec, records: list[dict[str, Any]]) -> str:
        """Takes in a run that is over and was made elsewhere (``neuroal.sharing``); returns the id that it has here.

        Raises:
            UserError: it cannot be stored.
        """
        run_id = self._new_id()
        try:
            figures = summary(records) if self.kind == "run" else {}
            self.store.adopt(run_id, spec.to_json(), records, last_status(records), figures, self.kind)
        except Exception as error:
            logger.exception("A bundle could not be stored")
            raise UserError(_sentence(error)) from error
        return run_id

    def cancel(self, run_id: str) -> bool:
        """Stops a run at its next event, or takes it out of the queue. False when it was not going."""
        with self._changed:
            for job in self._waiting:
                if job.run_id == run_id:
                    self._waiting.remove(job)
                    _end(job.log, RunCancelled())
                    self._tell_positions()
                    return True
            job = self._going.get(run_id)
            if job is None or job.log.status in ENDED:
                return False
            job.cancelled.set()
            return True

    def resume(self, run_id: str, owner: str = "", *, admitted: bool = False) -> None:
        """Queues an interrupted, cancelled or failed run again; it goes on from its last finished candidate.

        Raises:
            UserError: it has finished or is going, or this person has too many runs waiting.
            KeyError: no run has this id, or it was deleted.
        """
        with self._changed:
            log, spec = self._log(run_id), self.spec(run_id)
            if log.status not in ENDED or log.status == "finished":
                raise UserError(f"Only a {self.kind} that was interrupted, cancelled or failed can be resumed.")
            self._admit(owner, admitted)
            self._queue(run_id, spec, log, owner)

    def measure(self, run_id: str, spec: RunSpec, owner: str = "") -> None:
        """Queues a finished run again, for evaluations that it was not asked before.

        Args:
            spec: the run's own, but for its evaluations and what these look at.

        Raises:
            UserError: it has not finished, or this person has too many runs waiting.
            KeyError: no run has this id, or it was deleted.
        """
        with self._changed:
            log = self._log(run_id)
            if log.status != "finished":
                raise UserError(f"This run is {log.status}; it can be measured once it has finished.")
            self._admit(owner)
            self.store.ask_more(run_id, spec.to_json())
            self._queue(run_id, spec, log, owner)

    def read(self, run_id: str, after: int = 0) -> tuple[list[dict[str, Any]], bool]:
        """Records numbered above ``after``, and whether no more will come.

        Raises:
            KeyError: no run has this id, or it was deleted.
        """
        with self._changed:
            return self._log(run_id).read(after)

    def status(self, run_id: str) -> str:
        """queued, running, finished, failed, cancelled or interrupted. KeyError as for :meth:`read`."""
        with self._changed:
            return self._log(run_id).status

    def spec(self, run_id: str) -> Any:
        """What the run asks. KeyError as for :meth:`read`."""
        return self._read(self._row(run_id).spec)

    def close(self, timeout: float = 5.0) -> None:
        """Stops the workers at their next event; what was going is marked as interrupted."""
        with self._changed:
            self._closed = True
            for job in self._going.values():
                job.cancelled.set()
            for job in self._waiting:
                _end(job.log, RunInterrupted())
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout)

    # --- the queue --------------------------------------------------------------------------------------------------

    def _admit(self, owner: str, admitted: bool = False) -> None:
        """Refuses a person's run for which there is no room, and everyone's once the server stops."""
        if self._closed:
            raise UserError("The server is stopping; try again in a moment.")
        if not admitted and sum(job.owner == owner for job in self._waiting) >= WAITING_EACH:
            raise UserError(f"You already have {WAITING_EACH} {self.kind}s waiting; let one finish, or cancel one.")

    def _new_id(self) -> str:
        """Unguessable; of anything but a run the kind can be seen."""
        return ("" if self.kind == "run" else f"{self.kind}-") + secrets.token_urlsafe(16)

    def _row(self, run_id: str) -> RunRow:
        row = self.store.run(run_id)
        if row is None or row.kind != self.kind or row.deleted:
            raise KeyError(run_id)
        return row

    def _queue(self, run_id: str, spec: Spec, log: RunLog, owner: str) -> None:
        self._waiting.append(Job(run_id, spec, log, owner, threading.Event()))
        self._tell_positions()
        self._remember(run_id, log)  # only now, for as a queued one it is not forgotten
        self._changed.notify()

    def _tell_positions(self) -> None:
        """Each waiting run learns its place when it changes; runs by different people take turns."""
        self._waiting = _fair(self._waiting, (job.owner for job in self._going.values()))
        for position, job in enumerate(self._waiting, 1):
            records, _ = job.log.read()
            if not records or records[-1].get("position") != position:
                job.log.append_at_any_cost(Queued(position))

    def _log(self, run_id: str) -> RunLog:
        if self.store.is_deleted(run_id):
            raise KeyError(run_id)
        if run_id in self._logs:
            self._logs.move_to_end(run_id)
            return self._logs[run_id]
        self._row(run_id)
        log = RunLog(run_id, self.store, self.store.events(run_id))
        self._remember(run_id, log)
        return log

    def _remember(self, run_id: str, log: RunLog) -> None:
        self._logs[run_id] = log
        for old in [i for i, kept in self._logs.items() if kept.status in ENDED][: max(0, len(self._logs) - KEPT_LOGS)]:
            del self._logs[old]

    def _mark_interrupted(self) -> None:
        """Runs that were going when the last process ended."""
        for run_id in self.store.going(self.kind):
            _end(RunLog(run_id, self.store, self.store.events(run_id)), RunInterrupted())

    # --- the worker -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        stand_back()
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                job = self._waiting.popleft()
                self._going[job.run_id] = job
                self._tell_positions()
            try:
                self._drain(job)
            finally:
                with self._changed:
                    if self._going.get(job.run_id) is job:  # else it was resumed at once, by another worker
                        del self._going[job.run_id]

    def _drain(self, job: Job) -> None:
        """Appends every event; ends with exactly one closing event, whatever happens."""
        try:
            closing_event = self._follow(job)
        except BaseException as error:
            if not isinstance(error, UserError):
                logger.exception("Run %s failed", job.run_id)
            closing_event = self._stopped() if job.cancelled.is_set() else RunFailed(_sentence(error))
        if closing_event and job.log.status not in ENDED:
            _end(job.log, closing_event)

    def _follow(self, job: Job) -> Event | None:
        """Drains the engine to its closing event; returns the one that is due where the engine sent none."""
        if job.cancelled.is_set():
            return self._stopped()
        records, _ = job.log.read()
        earlier = [r for r in records if r["kind"] != "Queued"]
        job.log.start_clock()
        if earlier:
            job.log.append(RunResumed())
        with closing(self.engine(job.run_id, job.spec, earlier)) as events:
            for happened in events:
                if happened is not None:
                    job.log.append(happened)
                if job.log.status in ENDED:
                    return None
                if job.cancelled.is_set():
                    return self._stopped()
        return RunFailed("The run ended without a result; it can be resumed.")

    def _stopped(self) -> Event:
        return RunInterrupted() if self._closed else RunCancelled()


def _end(log: RunLog, event: Event) -> None:
    for each in ending(log, event):
        log.append_at_any_cost(each)


def _fair(waiting: deque[Job], going: Iterable[str]) -> deque[Job]:
    """First come first served among people, one run of each in turn; the owners of ``going`` runs have had one."""
    turns = dict.fromkeys(going, 0)
    ranked = []
    for order, job in enumerate(waiting):
        turn = turns[job.owner] = turns.get(job.owner, -1) + 1
        ranked.append((turn if job.owner else 0, order, job))
    return deque(job for _, _, job in sorted(ranked, key=lambda r: r[:2]))


def _sentence(error: BaseException) -> str:
    """What a person is told; of a fault that is not theirs the traceback is in the server's log."""
    text = str(error).lower()
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
        return "The machine ran out of memory; choose a smaller model, fewer or shorter samples."
    if "no space left" in text or "disk is full" in text:
        return "The disk of this machine is full; free some space and resume the run."
    what = type(error).__name__
    return f"Something unexpected went wrong ({what}); the run can be resumed, and the server's log says more."
