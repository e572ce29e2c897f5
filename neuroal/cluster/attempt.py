"""One attempt at a run by a worker of the cluster: its events from the bus, its result, and how its loss shows."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from neuroal.errors import UserError
from neuroal.runs.events import Event, RunFinished, StageStarted

if TYPE_CHECKING:
    from neuroal.cluster.connection import Connection
    from neuroal.cluster.worker import Question

# Seconds that are waited for an event before it is looked whether the run was cancelled, or its worker is still there.
POLL = 0.3

# Seconds in which the event bus must answer, and in which it must have started; then the cluster is lost.
PATIENCE, START_PATIENCE = 20.0, 90.0

# Seconds without a first event after which it is said that the run waits.
SILENCE = 30.0

WAITING = "Waiting for a worker of the cluster."

LOST = "The Ray cluster was lost; once it is back, resume this run: it goes on from its last finished candidate."


class WorkerLost(Exception):
    """The process that did the run, or the bus that told of it, is gone."""


def attempt(
    connection: Connection, question: Question, packed: Any
) -> Generator[Event | None, None, tuple[RunFinished, bytes | None]]:
    """Has a worker do a run; when this is closed, the worker stops at its next event.

    Args:
        packed: reference to the model, or None.

    Yields:
        each event but the last, in order; None while there is none.

    Returns:
        that last event, and the masks of the pruned model where they are new.

    Raises:
        WorkerLost: it can be tried again.
        UserError: of the run itself, or the cluster was lost.
    """
    from neuroal.cluster.worker import work

    bus, key = connection.bus(), secrets.token_hex(8)
    with _translated(connection, bus):
        try:
            yield from _answer(bus.open.remote(key), START_PATIENCE)
            task = connection.remote(work).remote(bus, key, question, [] if packed is None else [packed])
            finished = yield from _told(bus, key, task)
            masks = yield from _answer(task, PATIENCE)
        finally:
            with suppress(Exception):
                bus.close.remote(key)
    if finished is None:
        raise WorkerLost
    return finished, masks


def _told(bus: Any, key: str, task: Any) -> Generator[Event | None, None, RunFinished | None]:
    """The events of a task until it is over, however it ends."""
    import ray

    taken, over, finished, since = 0, False, None, time.monotonic()
    while not over:
        # Looked at before the last events are taken, for none is told after it.
        over = bool(ray.wait([task], timeout=0, fetch_local=False)[0])
        news = yield from _answer(bus.take.remote(key, taken, 0.0 if over else POLL), PATIENCE)
        for event in news:
            taken += 1
            if isinstance(event, RunFinished):
                finished = event
            else:
                yield event
        if not news:
            waits = taken == 0 and time.monotonic() - since > SILENCE
            since = time.monotonic() if waits else since
            yield StageStarted("model", WAITING) if waits else None
    return finished


def _answer(reference: Any, patience: float) -> Generator[None, None, Any]:
    """What a reference stands for; None is yielded meanwhile, so that a run can be cancelled."""
    import ray
    from ray.exceptions import GetTimeoutError

    until = time.monotonic() + patience
    while not ray.wait([reference], timeout=2 * POLL)[0]:
        if time.monotonic() > until:
            raise GetTimeoutError
        yield None
    return ray.get(reference)


@contextmanager
def _translated(connection: Connection, bus: Any) -> Iterator[None]:
    """Ray's exceptions as ours; those of the run itself as they were raised by the worker."""
    from ray import exceptions

    try:
        yield
    except exceptions.RayTaskError as error:
        raise _of_run(error) from error
    except (exceptions.ActorDiedError, exceptions.ActorUnavailableError) as error:
        connection.forget_bus(bus)
        raise WorkerLost from error
    except _signs_of_loss() as error:
        raise WorkerLost from error
    except exceptions.RuntimeEnvSetupError as error:
        raise UserError("The nodes of the Ray cluster cannot receive the app; look at their logs.") from error
    except (exceptions.RayError, ConnectionError) as error:
        connection.lose()
        raise UserError(LOST) from error


def _signs_of_loss() -> tuple[type[Exception], ...]:
    from ray import exceptions as e

    return e.WorkerCrashedError, e.NodeDiedError, e.OutOfMemoryError, e.ObjectLostError


def _of_run(error: Any) -> BaseException:
    """Why the worker's own code failed."""
    from ray.exceptions import RayError

    cause = error.cause
    if isinstance(cause, RayError):  # it could not reach the bus any more
        return WorkerLost()
    if isinstance(cause, ModuleNotFoundError):
        return UserError(f"A node of the Ray cluster lacks the package {cause.name}; install requirements.txt there.")
    return cause
