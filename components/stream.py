"""The events of a run over HTTP: ``GET /gradio_api/runs/{run_id}/events``, as server-sent events.

Each message carries a batch of records and the number of the last one as its id; a browser that reconnects sends that
number back, so nothing is lost and nothing is sent twice. The path is below ``/gradio_api`` because in Gradio's
server-side rendering mode only that prefix reaches Python.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Protocol

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse

from components.refusals import FRESH
from neuroal.errors import UserError

POLL_SECONDS = 0.05
HEARTBEAT_SECONDS = 15.0
MESSAGE_BYTES = 64 * 1024

PATH = "/gradio_api/runs/{run_id}/events"
# Where a browser may keep a stream, it may ask for it twice (components/last_word.py).
HEADERS = FRESH | {"X-Accel-Buffering": "no", "Vary": "Accept-Encoding"}
GZIPPED = {"Content-Encoding": "gzip"}
MEDIA = "text/event-stream"

# For zlib: the format of gzip, and the largest window, so that a message is short by what earlier ones said.
GZIP_BITS = 16 + zlib.MAX_WBITS

Record = dict[str, Any]


class EventSource(Protocol):
    """Where events are read from. After the first look it must be quick: it is called on the event loop."""

    def read(self, run_id: str, after: int) -> tuple[list[Record], bool]:
        """Records numbered above ``after``, and whether no more will ever come.

        Raises:
            KeyError: the run is not known.
        """
        ...


def add_event_route(app: FastAPI, source: EventSource) -> None:
    """Adds the route to a Gradio app. If the app asks for a login, so does the route.

    Args:
        app: all of whose routes are there already, as in its lifespan or after ``demo.launch``.
        source: the registry of runs.
    """

    @app.get(PATH, include_in_schema=False, dependencies=login(app))
    async def events(run_id: str, request: Request) -> Response:
        after = _cursor(request)
        try:
            # Not on the event loop: this first look may bring a log of the past in from the store.
            first = await run_in_threadpool(source.read, run_id, after)
        except KeyError:
            return JSONResponse({"error": "This run is not known here; it may have been removed."}, status_code=404)
        except UserError as error:  # the store cannot be read
            return JSONResponse({"error": str(error)}, status_code=503)

        async def gone() -> bool:
            return _stopping(app) or await request.is_disconnected()

        messages = _messages(source, run_id, after, first, gone)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return StreamingResponse(_compressed(messages), media_type=MEDIA, headers=HEADERS | GZIPPED)
        return StreamingResponse(messages, media_type=MEDIA, headers=HEADERS)


async def _compressed(messages: AsyncGenerator[str, None]) -> AsyncGenerator[bytes, None]:
    """The same stream as gzip; each message leaves at once and whole."""
    packer = zlib.compressobj(wbits=GZIP_BITS)
    async with aclosing(messages):
        async for message in messages:
            yield packer.compress(message.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


async def _messages(
    source: EventSource,
    run_id: str,
    after: int,
    found: tuple[list[Record], bool],
    gone: Callable[[], Awaitable[bool]],
) -> AsyncGenerator[str, None]:
    """The body: batches as they come, a comment now and then so that no proxy closes, ``event: end`` at the end."""
    spoke, leaving = time.monotonic(), False
    while True:
        records, over = found
        for message in _batches(records):
            yield message
            spoke = time.monotonic()
        if records:
            after = records[-1]["n"]
        if over:
            yield "event: end\ndata: {}\n\n"
        if over or leaving:
            return
        if time.monotonic() - spoke >= HEARTBEAT_SECONDS:
            yield ": still here\n\n"
            spoke = time.monotonic()
        await asyncio.sleep(POLL_SECONDS)
        leaving = await gone()  # where the server stops, how the run ended is told before
        try:
            found = source.read(run_id, after)
        except KeyError:
            found = [], True  # removed meanwhile


def _batches(records: Iterable[Record]) -> Iterator[str]:
    """Messages of at most about MESSAGE_BYTES each; a record is never cut."""
    batch: list[str] = []
    size, last = 0, 0
    for record in records:
        text = json.dumps(finite(record), separators=(",", ":"), ensure_ascii=False)
        if batch and size + len(text) > MESSAGE_BYTES:
            yield _message(last, batch)
            batch, size = [], 0
        batch.append(text)
        size, last = size + len(text), record["n"]
    if batch:
        yield _message(last, batch)


def _message(last: int, batch: list[str]) -> str:
    return f"id: {last}\ndata: [{','.join(batch)}]\n\n"


def finite(value: Any) -> Any:
    """Infinity and not-a-number become null: a browser's JSON knows neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def _cursor(request: Request) -> int:
    """The number of the last record that the client has; 0 where it says none, or nonsense."""
    given = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else 0


def _stopping(app: FastAPI) -> bool:
    """Whether the server shuts down: it would wait for open streams. Gradio sets this event when it closes."""
    stop = getattr(app, "stop_event", None)
    return stop is not None and stop.is_set()


def login(app: FastAPI) -> list[Any]:
    """Gradio's own login check as a dependency; none where the app is not Gradio's.

    Raises:
        RuntimeError: a Gradio app whose check cannot be found; better no stream than an open one.
    """
    for route in _all_routes(app.routes):
        if getattr(route, "path", "") == "/gradio_api/login_check" or getattr(route, "path", "") == "/login_check":
            return [Depends(route.endpoint)]
    if hasattr(app, "auth"):
        raise RuntimeError("Gradio's login check was not found, so the event route cannot be protected.")
    return []


def _all_routes(routes: Iterable[Any]) -> Iterator[Any]:
    """Routes at any depth: newer FastAPI keeps an included router as one route."""
    for route in routes:
        inner = getattr(route, "original_router", route)
        below = getattr(inner, "routes", None)
        if below:
            yield from _all_routes(below)
        else:
            yield route
