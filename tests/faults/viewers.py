"""Viewers of a run over a real connection: one that reads, and one that never does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx


def never_reading(url: str, run: str) -> socket.socket:
    """Asks for the stream and takes nothing of it: once the few kB between the two are full, the server has to wait."""
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.connect(("127.0.0.1", urlsplit(url).port))
    viewer.sendall(f"GET /gradio_api/runs/{run}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return viewer


@contextmanager
def reading(url: str, run: str, after: int = 0) -> Iterator[Iterator[dict[str, Any]]]:
    """The records of a run as they come; leaving the block is closing the tab."""

    def records(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
        for line in lines:
            if line.startswith("data: ["):
                yield from json.loads(line.removeprefix("data: "))

    with httpx.stream("GET", f"{url}/gradio_api/runs/{run}/events?after={after}", timeout=30) as answer:
        yield records(answer.iter_lines())
