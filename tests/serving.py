"""A small app of a test behind the real web server, on a free port of loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from tests.runs.helpers import eventually


@contextmanager
def serving(app: ASGIApp, **settings: Any) -> Iterator[tuple[uvicorn.Server, int]]:
    """The server, in a thread of its own, and its port. ``settings``: of uvicorn."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", **settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
