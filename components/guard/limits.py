"""How much a request may bring, and how long its answer may take to begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.bundles import MOST_BYTES as PICTURES
from components.refusals import refusal
from neuroal.runs.checks import TEXT_BYTES
from neuroal.sharing.sweep_bundle import MOST_PACKED

# Headers of a request: browsers send about twenty, a few kB.
MOST_HEADERS, HEADER_BYTES = 100, 64 * 1024

# The path and the query of an address.
ADDRESS_BYTES = 16 * 1024

# Two own texts, of letters of three bytes, and the rest of the form.
BODY_BYTES = 6 * TEXT_BYTES + 2**20

# What frames a file in an upload.
FRAME_BYTES = 2**20

# Seconds until an answer begins; a stream begins at once and then lasts as long as it likes. The lessons load torch
# first, and a bundle of a large sweep is drawn.
SECONDS, UPLOAD_SECONDS = 300.0, 1800.0

HEADERS = "The headers or the address of this request are longer than any that the app needs."
TOO_LARGE = "This request is larger than {megabytes:.0f} MB, the most that is taken in here."
TOO_LONG = "This took longer than {seconds:.0f} seconds, so it was given up; try again."


def most_bytes(path: str) -> int:
    """Bytes that the body of a request may have."""
    if _is_upload(path):
        return MOST_PACKED + FRAME_BYTES
    return PICTURES + FRAME_BYTES if path.endswith("/bundle") else BODY_BYTES


def most_seconds(path: str) -> float:
    """Seconds until the answer begins."""
    return UPLOAD_SECONDS if _is_upload(path) else SECONDS


def _is_upload(path: str) -> bool:
    return path.rstrip("/").endswith("/upload")


class RequestLimits:
    """Refuses what is too large or lasts too long in one sentence (413, 431, 503).

    Args:
        most, seconds: by the path of a request, as :func:`most_bytes` and :func:`most_seconds`.
    """

    def __init__(
        self, app: ASGIApp, most: Callable[[str], int] = most_bytes, seconds: Callable[[str], float] = most_seconds
    ) -> None:
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.most(scope["path"])
        if _is_wordy(scope):
            await refusal(HEADERS, 431)(scope, receive, send)
        elif _declared(scope) > most:
            await refusal(TOO_LARGE.format(megabytes=most / 1e6), 413)(scope, receive, send)
        else:
            await self._bounded(_Exchange(scope, receive, send, most))

    async def _bounded(self, exchange: _Exchange) -> None:
        """In a task of its own, because what a thread does cannot be cancelled, only left behind."""
        seconds = self.seconds(exchange.scope["path"])
        answering = asyncio.ensure_future(self.app(exchange.scope, exchange.receive, exchange.send))
        begun = asyncio.ensure_future(exchange.begun.wait())
        try:
            await asyncio.wait({answering, begun}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if exchange.begun.is_set() or answering.done():
                await asyncio.wait({answering})
            if not exchange.begun.is_set():
                if exchange.received > exchange.most:
                    await exchange.refuse(TOO_LARGE.format(megabytes=exchange.most / 1e6), 413)
                elif not answering.done():
                    await exchange.refuse(TOO_LONG.format(seconds=seconds), 503)
        finally:
            begun.cancel()
            if not answering.done():
                answering.cancel()
                answering.add_done_callback(_forget)
        if answering.done() and not answering.cancelled() and not exchange.refused:
            answering.result()  # what went wrong in it goes on its way


class _TooLarge(Exception):
    """More came than is taken in."""


class _Exchange:
    """A request and its answer: counts what comes in, and notes that something goes out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        self.scope, self.most = scope, most
        self.received, self.refused, self.begun = 0, False, asyncio.Event()
        self._receive, self._send = receive, send

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        if self.received > self.most:
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if self.refused or (self.received > self.most and not self.begun.is_set()):
            return  # an answer of the app to what it could not read
        self.begun.set()
        await self._send(message)

    async def refuse(self, sentence: str, status: int) -> None:
        self.refused = True
        await refusal(sentence, status)(self.scope, self._receive, self._send)


def _forget(answering: asyncio.Future[None]) -> None:
    """Whatever comes of an answer that nobody waits for any more."""
    if not answering.cancelled():
        answering.exception()


def _is_wordy(scope: Scope) -> bool:
    headers = scope["headers"]
    size = sum(len(name) + len(value) for name, value in headers)
    address = len(scope.get("raw_path") or scope["path"]) + len(scope.get("query_string", b""))
    return len(headers) > MOST_HEADERS or size > HEADER_BYTES or address > ADDRESS_BYTES


def _declared(scope: Scope) -> int:
    """The length that the request says it has; 0 where it says none."""
    given = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(given) if given.isdigit() and len(given) < 16 else 2**60
