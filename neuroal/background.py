"""Blocking work in a thread, heard of meanwhile: a generator that can be closed while a download is under way."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from contextvars import copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")
News = TypeVar("News")
Told = TypeVar("Told")

# Seconds after which silent work is heard of again; closing takes effect then.
HEARTBEAT = 2.0


def in_background(
    name: str, work: Callable[[Callable[[Any], None], threading.Event], Result], *, join: bool = False
) -> Generator[Any, None, Result]:
    """Runs ``work(say, stop)`` in a thread.

    Args:
        work: may call ``say`` with news, and should end soon once ``stop`` is set, which it is when this is closed.
        join: wait for that end; only for work that looks at ``stop``.

    Yields:
        the news, and None whenever there was none for two seconds.

    Raises:
        whatever the work raises.
    """
    said: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    stop = threading.Event()

    def body() -> None:
        try:
            said.put(("result", work(lambda news: said.put(("news", news)), stop)))
        except BaseException as error:  # raised again by whoever waits
            said.put(("error", error))

    context = copy_context()  # a batch that was halved for whoever waits is halved for the work as well
    worker = threading.Thread(target=context.run, args=(body,), daemon=True, name=f"neuroal-{name}")
    worker.start()
    try:
        while True:
            try:
                kind, value = said.get(timeout=HEARTBEAT)
            except queue.Empty:
                if not worker.is_alive() and said.empty():
                    raise RuntimeError(f"The thread of {name} is gone.") from None
                yield None
                continue
            if kind == "error":
                raise value
            if kind == "result":
                return value
            yield value
    finally:
        stop.set()
        if join:
            worker.join()


def mapped(events: Generator[News, None, Result], tell: Callable[[News], Told]) -> Generator[Told, None, Result]:
    """The same generator with other words: what it yields passes through ``tell``, its result is returned."""
    with closing(events):
        while True:
            try:
                news = next(events)
            except StopIteration as end:
                return end.value
            yield tell(news)
