"""Who does the runs: a fair queue and worker threads, over the registry of all runs.

The page holds no truth: it keeps a run id and looks here. Closing a tab stops nothing; cancelling is ceasing to drain.
A sweep is done in the same way, by jobs of its own kind: what is said of a run here holds for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from neuroal.errors import UserError
from neuroal.runs.events import RunCancelled, RunFailed, RunInterrupted
from neuroal.runs.instances import Instance
from neuroal.runs.job import Engine, Job, Spec, drain, end, sentence
from neuroal.runs.log import ENDED, RunLog
from neuroal.runs.queue import Queue
from neuroal.runs.registry import Registry
from neuroal.runs.rules import FREE, Rules
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.summary import asked

logger = logging.getLogger(__name__)

RESUMABLE = ENDED - {"finished"}


class NotResumable(UserError):
    """A run that goes on or has finished is not resumed."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"Only a {kind} that was interrupted, cancelled or failed can be resumed.")


class Jobs(Registry):
    """Starts, queues, cancels and resumes runs, and lets anyone with the id read them.

    Args:
        engine: makes the generator of a run from its id, spec and the records of an interrupted earlier part.
        workers: runs at the same time; one by default, for they share the processor.
        kind: of what is done here, in the store.
        read: makes a spec from its JSON.
        instance: this process, where it does several kinds.
        rules: of whoever hosts the app.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        workers: int = 1,
        kind: str = "run",
        read: Callable[[str], Any] = RunSpec.from_json,
        instance: Instance | None = None,
        rules: Rules = FREE,
    ) -> None:
        super().__init__(store, kind, read, instance or Instance(store))
        self.engine, self.workers, self.rules = engine, workers, rules
        self._waiting = Queue(kind, rules.waiting)
        self._going: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._closed = False
        self.instance.join(self._look)
        self._look()
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
            UserError: it is more than is allowed here, this person has too many runs waiting, or it cannot be stored.
        """
        self.rules.refuse(spec)
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
                raise UserError(sentence(error)) from error
            self._queue(run_id, spec, RunLog(run_id, self.store), owner)
            return run_id

    def cancel(self, run_id: str) -> bool:
        """Stops a run at its next event, or takes it out of the queue. False when it was not going.

        One that another process does is stopped there, about a second later.
        """
        with self._changed:
            if self._cancel(run_id):
                return True
        return self.instance.ask_to_cancel(self.kind, run_id)

    def resume(self, run_id: str, owner: str = "", *, admitted: bool = False) -> None:
        """Queues an interrupted, cancelled or failed run again; it goes on from its last finished candidate.

        Raises:
            NotResumable: it has finished or is going, perhaps since a moment ago and elsewhere.
            UserError: it is more than is allowed here, or this person has too many runs waiting.
            KeyError: no run has this id, or it was deleted.
        """
        self.rules.refuse(self.spec(run_id))
        with self._changed:
            log, spec = self._log(run_id), self.spec(run_id)
            if log.status not in RESUMABLE:
                raise NotResumable(self.kind)
            self._admit(owner, admitted)
            if not self.instance.claim(run_id, RESUMABLE):
                raise NotResumable(self.kind)
            self._queue(run_id, spec, log, owner)

    def measure(self, run_id: str, spec: RunSpec, owner: str = "") -> None:
        """Queues a finished run again, for evaluations that it was not asked before.

        Args:
            spec: the run's own, but for its evaluations and what these look at.

        Raises:
            UserError: it has not finished, more is asked than is allowed here, or this person has too many runs
                waiting.
            KeyError: no run has this id, or it was deleted.
        """
        self.rules.refuse(spec)
        with self._changed:
            log = self._log(run_id)
            if log.status != "finished":
                raise UserError(f"This run is {log.status}; it can be measured once it has finished.")
            self._admit(owner)
            if not self.instance.claim(run_id, ["finished"], spec.to_json()):
                raise UserError("This run is being measured already; ask again once that is over.")
            self._queue(run_id, spec, log, owner)

    def close(self, timeout: float = 5.0) -> None:
        """Stops the workers at their next event; what was going is marked as interrupted, also where that event does
        not come in ``timeout`` seconds: nothing is appended then any more."""
        with self._changed:
            self._closed = True
            for job in self._going.values():
                job.cancelled.set()
            for job in self._waiting:
                end(job.log, RunInterrupted())
            self._waiting.clear()
            self._changed.notify_all()
        self.instance.part(self._look)  # what takes long to stop is interrupted by others, who need not wait for it
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        with self._changed:
            left = list(self._going.values())
        for job in left:
            job.log.seal(RunInterrupted())
        self._logs.close()

    # --- the queue --------------------------------------------------------------------------------------------------

    def _admit(self, owner: str, admitted: bool = False) -> None:
        """Refuses a person's run for which there is no room, and everyone's once the server stops."""
        if self._closed:
            raise UserError("The server is stopping; try again in a moment.")
        if not admitted:
            self._waiting.refuse_one_too_many(owner)

    def _cancel(self, run_id: str) -> bool:
        """Of what waits or goes here."""
        if job := self._waiting.remove(run_id):
            end(job.log, RunCancelled())
            self._waiting.order(self._going.values())
            return True
        job = self._going.get(run_id)
        if job is None or job.log.status in ENDED:
            return False
        job.cancelled.set()
        return True

    def _queue(self, run_id: str, spec: Spec, log: RunLog, owner: str) -> None:
        if self.store.shared:
            log.catch_up()
        self._logs.put(log)
        self._waiting.add(Job(run_id, spec, log, owner, threading.Event()))
        self._waiting.order(self._going.values())
        self._changed.notify()

    def _look(self) -> None:
        """Looks after the runs in the store that are this process's.

        What was left behind, by another process that is gone or by the last one, is interrupted; what people elsewhere
        want cancelled is cancelled, and so is what another process has taken over.
        """
        with self._changed:
            at_hand = self._going.keys() | {job.run_id for job in self._waiting}
            mine = self.instance.runs(self.kind)
            for run_id in mine.keys() - at_hand:
                end(RunLog(run_id, self.store, self.store.events(run_id)), RunInterrupted())
            for run_id in at_hand:
                if mine.get(run_id, True):
                    self._cancel(run_id)

    # --- the worker -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Until the server stops; whatever befalls this thread, the next run has a worker."""
        while not self._closed:
            try:
                if job := self._next():
                    self._do(job)
            except BaseException:
                logger.exception("A worker was disturbed, and goes on")

    def _next(self) -> Job | None:
        """Waits for a run; None once the server stops."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            job = self._waiting.take()
            self._going[job.run_id] = job
            self._waiting.order(self._going.values())
            return job

    def _do(self, job: Job) -> None:
        try:
            job.context.run(drain, job, self.engine, lambda: self._closed, self.rules.seconds)
        except BaseException as error:  # not of the run, which is told in its log: of this thread
            logger.exception("The worker of run %s was disturbed", job.run_id)
            if job.log.status not in ENDED:
                end(job.log, RunFailed(sentence(error)))
        finally:
            with self._changed:
                if self._going.get(job.run_id) is job:  # else it was resumed at once, by another worker
                    del self._going[job.run_id]
