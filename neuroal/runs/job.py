"""One run that waits or goes, and how it is drained: every event of its engine goes into its log, then exactly one end.

Cancelling is ceasing to drain. A sweep is drained in the same way: what is said of a run here holds for it.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from neuroal.errors import DISK_FULL, UserError, is_out_of_memory
from neuroal.runs.database import UNWRITABLE
from neuroal.runs.events import Event, RunCancelled, RunFailed, RunInterrupted, RunResumed
from neuroal.runs.log import ENDED, RunLog, Sealed, ending
from neuroal.runs.store import Taken

logger = logging.getLogger(__name__)


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


def drain(job: Job, engine: Engine, stopping: Callable[[], bool]) -> None:
    """Appends every event; ends with exactly one closing event, whatever happens.

    Only where another process has taken over the run, because this one was not heard of for long, nothing is appended;
    nor where the server stopped, and did not wait for it.

    Args:
        stopping: whether a run that is cancelled was so because the server stops.
    """
    try:
        closing_event = _follow(job, engine, stopping)
    except Taken as error:
        logger.warning("Run %s: %s", job.run_id, error)
        return
    except Sealed:
        return
    except BaseException as error:
        if not isinstance(error, UserError):
            logger.exception("Run %s failed", job.run_id)
        closing_event = _stopped(stopping) if job.cancelled.is_set() else RunFailed(sentence(error))
    if closing_event and job.log.status not in ENDED:
        end(job.log, closing_event)


def end(log: RunLog, event: Event) -> None:
    """Closes a log, although the disk may be full."""
    for each in ending(log, event):
        log.append_at_any_cost(each)


def sentence(error: BaseException) -> str:
    """What a person is told; of a fault that is not theirs the traceback is in the server's log."""
    text = str(error).lower()
    if isinstance(error, UserError):
        return str(error)
    if is_out_of_memory(error):
        return "The machine ran out of memory; choose a smaller model, fewer or shorter samples."
    if "no space left" in text or "disk is full" in text:
        return DISK_FULL
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EIO):
        return UNWRITABLE
    what = type(error).__name__
    return f"Something unexpected went wrong ({what}); the run can be resumed, and the server's log says more."


def _follow(job: Job, engine: Engine, stopping: Callable[[], bool]) -> Event | None:
    """Drains the engine to its closing event; returns the one that is due where the engine sent none."""
    if job.cancelled.is_set():
        return _stopped(stopping)
    records, _ = job.log.read()
    earlier = [r for r in records if r["kind"] != "Queued"]
    job.log.start_clock()
    if earlier:
        job.log.append(RunResumed())
    with closing(engine(job.run_id, job.spec, earlier)) as events:
        for happened in events:
            if happened is not None:
                job.log.append(happened)
            if job.log.status in ENDED:
                return None
            if job.cancelled.is_set():
                return _stopped(stopping)
    return RunFailed("The run ended without a result; it can be resumed.")


def _stopped(stopping: Callable[[], bool]) -> Event:
    return RunInterrupted() if stopping() else RunCancelled()
