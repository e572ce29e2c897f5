"""How torch's processor threads wait for each other: briefly, then asleep; how many share a product; how a run makes
way for the page; and how a process ends although threads of it go on.

The threads of one product meet at its end. By default those who are there first spin for milliseconds, which costs the
others their processor as soon as anything else runs on it: a second search, an answer being written, another program.
Measured on 2 cores beside two other jobs, a run on the tiny model took 125 s spinning and 5 s so; alone on the machine
a lambda candidate on SmolLM2 took 3.6 s (7.2 CPU-s) spinning, 3.7 s asleep at once, and 3.2 s (5.7 CPU-s) so.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

logger = logging.getLogger(__name__)

# Turns of the loop in which libgomp, the OpenMP of torch on Linux, waits before it sleeps.
SPINS = "10000"

# Of a thread that does runs: a tenth of the processor where someone else wants all of it.
NICENESS = 10


def wait_briefly() -> None:
    """Takes effect where torch is not imported yet; what a person has set is left alone."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Inside, what this thread computes is not shared out among torch's threads; the rest of the process keeps its own.

    For products so small that threads meet longer than they compute, beside others who need the processor: in a page
    on 2 cores the race of lambdas on the teaching model took 1.4 s on two threads and takes 0.97 s so; with two other
    programs at work it took 4.3 CPU-seconds, and takes 0.8. ``torch.set_num_threads`` would do this to every thread.
    """
    with _limit(1):
        yield


@contextmanager
def on_a_share(of: int) -> Iterator[None]:
    """Inside, what this thread computes is shared out among so large a part of torch's threads, and one at least.

    For several threads that compute at the same time: where each has all of torch's, as many wait for a processor as
    compute. Two models that answer on two cores woke 1,100 such helpers a second each, for a tenth of a millisecond's
    work, and were 5 % slower.
    """
    import torch

    with _limit(max(1, torch.get_num_threads() // of)):
        yield


class _Together:
    """A context that the first to enter opens, and the last to leave closes."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Any]]) -> None:
        self._opened, self._lock, self._inside = opened, threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._context = self._opened()
                self._context.__enter__()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._context.__exit__(None, None, None)


# Inside, no product of numpy's is shared out among threads, whoever asks for it: OpenBLAS keeps one number for the
# process, and lets only one product at a time have its threads.
numpy_on_one_thread = _Together(lambda: _pools().select(internal_api="openblas").limit(limits=1))


def stay_on_one_thread() -> None:
    """:func:`on_one_thread` for the rest of this thread's life."""
    _limit(1)


def _limit(threads: int) -> AbstractContextManager[Any]:
    """In force from now on, and until its end where it is entered; OpenMP keeps this number by calling thread."""
    import torch

    torch.get_num_threads()  # whose first operation on a thread would set it again
    return _pools().limit(limits=threads, user_api="openmp")


@functools.cache
def _pools() -> ThreadpoolController:
    """The thread pools of the libraries that are loaded; torch must be among them by now."""
    import torch  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def stand_back() -> None:
    """From now on this thread, and those that torch starts for it, compute with what others leave over.

    On Linux only, where a thread has a priority of its own. Alone on the machine a run is as fast as ever; beside it an
    answer is written, an event is sent and a form is served without waiting for their turn.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError):  # not allowed here: then everyone waits for their turn
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def end_at_the_latest(seconds: float) -> None:
    """This process is over after so many seconds, whatever still goes on in it, with exit code 0.

    Python itself waits for threads of a pool that are at work, such as a download that hangs.
    """

    def end() -> None:
        logger.warning("Something did not stop in time; the process ends without it.")
        logging.shutdown()
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


_codes: list[int] = []


def end_without_threads(code: int = 0) -> None:
    """Once the main thread returns, the process ends with this exit code, after all that was registered for its end.

    Python would go on and take itself apart, and stop whatever thread comes back from a product meanwhile; inside torch
    that aborts the process (SIGABRT in the place of the exit code).
    """
    _codes.append(code)


@atexit.register  # with the import of the package, before anyone else's: what was registered last is called first
def _leave() -> None:
    if not _codes:
        return
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(_codes[-1])
