"""Nobody misses the answer to what they press: a page has one stream, whose end is heard before the next press goes in.

A page hears all answers of Gradio over one stream. With nothing more to say, the server ends it with a last word, upon
which the browser closes it; the next press opens another one, unless the page believes that it still has one. So where
the reply to a press overtakes that last word, which a busy page reads late, no stream is opened, and nobody hears the
answer (Gradio 6.31): the run was started, but the page waits for ever.

Hence the end of the stream is held back until the browser has closed it, which shows that the word was heard, and
replies to presses meanwhile with it.

Nor may a browser keep what a stream says. Where it may, as it may unless told otherwise, and asks for the next stream
before it has put away the last one, Chromium sends this request twice and reads only the second answer; the first one,
which nobody reads, takes half of what the page is told.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from urllib.parse import parse_qs

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.refusals import FRESH

# How the paths end at which a page listens, and presses.
LISTENING, PRESSING = "/queue/data", "/queue/join"

# The last word, as Gradio writes it into a stream.
LAST_WORD = b'"msg":"close_stream"'

# Seconds that a browser has to close the stream. An idle one needs 20 to 170 ms; of 428 on two processors that three of
# them, their servers and other programs shared, one in twenty needed more than 0.6 s, one in a hundred 2 s, one 5 s.
PATIENCE = 10.0

# Where so many ends in a row were not heard, something between the browsers and the server does not pass their closing
# on. Nobody is to wait for that: from then on there is so little time, until an end is heard again.
DEAF, BRIEFLY = 3, 0.25


class LastWord:
    """Stands before Gradio's routes, and behind what guards them."""

    def __init__(self, app: ASGIApp, patience: float = PATIENCE, briefly: float = BRIEFLY) -> None:
        self.app, self.patience, self.briefly = app, patience, briefly
        self._ending: dict[str, asyncio.Event] = {}
        self._unheard = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path.endswith(LISTENING):
            await self._listen(scope, receive, send)
        elif path.endswith(PRESSING):
            await self._press(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _listen(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
        heard = asyncio.Event()

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(FRESH)
            body = message.get("body", b"")
            if LAST_WORD in body[:100]:
                self._ending[session] = heard
            if self._ending.get(session) is heard and not message.get("more_body"):
                message = {**message, "more_body": True}  # the end itself comes below
            await send(message)

        try:
            await self.app(scope, receive, say)
            if self._ending.get(session) is heard:
                await self._hear(receive)
                await send({"type": "http.response.body"})
        finally:
            heard.set()
            if self._ending.get(session) is heard:
                del self._ending[session]

    async def _hear(self, receive: Receive) -> None:
        try:
            await asyncio.wait_for(_closed(receive), self.patience if self._unheard < DEAF else self.briefly)
            self._unheard = 0
        except TimeoutError:
            self._unheard += 1

    async def _press(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked: list[bytes] = []

        async def take() -> Message:
            message = await receive()
            asked.append(message.get("body", b""))
            return message

        async def reply(message: Message) -> None:
            begins = message["type"] == "http.response.start"
            heard = self._ending.get(_session(asked)) if begins and self._ending else None
            if heard:
                with suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), self.patience)
            await send(message)

        await self.app(scope, take, reply)


def add_last_word(app: FastAPI) -> None:
    """Adds it to a Gradio app, before the app's layers are built."""
    app.user_middleware.append(Middleware(LastWord))


async def _closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _session(asked: list[bytes]) -> str:
    """Of a press, from its body; empty where it names none."""
    try:
        said = json.loads(b"".join(asked))
        return str(said.get("session_hash", ""))
    except (ValueError, AttributeError):
        return ""
