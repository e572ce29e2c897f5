"""The reply to a press waits until the end of the page's stream has been heard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest
from gradio.server_messages import CloseStreamMessage
from starlette.types import Message, Receive, Scope, Send

from components.last_word import DEAF, LAST_WORD, LastWord
from tests.asynchronous import done

END = b"data: " + orjson.dumps(CloseStreamMessage().model_dump()) + b"\n\n"
ANSWER = b'data: {"msg":"process_completed","event_id":"1","output":{"data":["\\"msg\\":\\"close_stream\\""]}}\n\n'


class Browser:
    """One request of a browser, and what it is sent."""

    def __init__(self, app: LastWord, path: str, session: str, body: bytes | None = None) -> None:
        self.gone = asyncio.Event()
        self.sent: list[Message] = []
        asked = json.dumps({"session_hash": session}).encode() if body is None else body
        self._parts = [{"type": "http.request", "body": asked[:9], "more_body": True}]
        self._parts += [{"type": "http.request", "body": asked[9:], "more_body": False}]
        scope = {"type": "http", "path": f"/gradio_api{path}", "query_string": f"session_hash={session}".encode()}
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self._parts:
            return self._parts.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def is_answered(self) -> bool:
        return any(message["type"] == "http.response.start" for message in self.sent)

    @property
    def is_over(self) -> bool:
        return any(m["type"] == "http.response.body" and not m.get("more_body") for m in self.sent)


def gradio(says: tuple[bytes, ...]) -> Callable[..., Any]:
    """An app that says this to whoever listens, and takes in every press at once."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/join"):
            while (await receive()).get("more_body"):
                pass
            says_now: tuple[bytes, ...] = (b'{"event_id":"1"}',)
        else:
            says_now = says
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in says_now:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def running(steps: Coroutine[Any, Any, None]) -> None:
    done(asyncio.wait_for(steps, 30))


def test_it_knows_how_gradio_ends_a_stream() -> None:
    assert LAST_WORD in END and LAST_WORD not in ANSWER


def test_a_press_is_taken_in_once_the_browser_has_closed_the_stream() -> None:
    async def steps() -> None:
        app = LastWord(gradio((ANSWER, END)), patience=20)
        stream = Browser(app, "/queue/data", "s")
        await settled()
        press, other = Browser(app, "/queue/join", "s"), Browser(app, "/queue/join", "another")
        await settled()
        assert END in [m.get("body") for m in stream.sent] and not stream.is_over  # the word itself is not held back
        assert not press.is_answered and other.is_over
        stream.gone.set()
        await asyncio.gather(stream.task, press.task)
        assert stream.is_over and press.is_over
        assert b"".join(m.get("body", b"") for m in press.sent) == b'{"event_id":"1"}'

        later = Browser(app, "/queue/join", "s")  # nothing is remembered
        await settled()
        assert later.is_over

    running(steps())


def test_a_browser_that_never_closes_it_is_waited_for_a_moment() -> None:
    async def steps() -> None:
        app = LastWord(gradio((END,)), patience=0.05)
        stream = Browser(app, "/queue/data", "s")
        await settled()
        press = Browser(app, "/queue/join", "s")
        await asyncio.gather(stream.task, press.task)
        assert stream.is_over and press.is_over

    running(steps())


def test_where_no_closing_is_passed_on_nobody_waits_for_it_again_and_again() -> None:
    async def steps() -> None:
        app = LastWord(gradio((END,)), patience=0.05, briefly=0.01)
        for _ in range(DEAF):
            await Browser(app, "/queue/data", "s").task
        app.patience = 20
        await Browser(app, "/queue/data", "s").task  # deaf: it is over soon

        app.briefly = 20
        heard = Browser(app, "/queue/data", "s")
        heard.gone.set()
        await heard.task
        app.briefly = 0.01
        stream = Browser(app, "/queue/data", "s")  # not deaf any more: there is patience again
        await asyncio.sleep(0.1)
        assert not stream.is_over
        stream.gone.set()
        await stream.task

    running(steps())


def test_no_browser_keeps_what_a_stream_says() -> None:
    async def steps() -> None:
        app = LastWord(gradio(()))
        stream, press = Browser(app, "/queue/data", "s"), Browser(app, "/queue/join", "s")
        await settled()
        assert stream.sent[0]["headers"] == [(b"cache-control", b"no-store")]
        assert press.sent[0]["headers"] == []

    running(steps())


@pytest.mark.parametrize("says", [(), (ANSWER,)])
def test_an_end_without_the_word_is_passed_on_at_once(says: tuple[bytes, ...]) -> None:
    async def steps() -> None:
        app = LastWord(gradio(says), patience=20)
        stream, press = Browser(app, "/queue/data", "s"), Browser(app, "/queue/join", "s")
        await settled()
        assert stream.is_over and press.is_over

    running(steps())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"session_hash": null}', b"\xff\xfe"])
def test_a_press_without_a_session_is_not_held_back(body: bytes) -> None:
    async def steps() -> None:
        app = LastWord(gradio((END,)), patience=20)
        stream = Browser(app, "/queue/data", "s")
        await settled()
        press = Browser(app, "/queue/join", "", body)
        await settled()
        assert press.is_over
        stream.gone.set()
        await stream.task

    running(steps())


def test_a_stream_that_fails_holds_nobody_back() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await gradio(())(scope, receive, send) if scope["path"].endswith("/join") else await broken(send)

    async def broken(send: Send) -> None:
        await send({"type": "http.response.body", "body": END, "more_body": True})
        raise OSError("the browser is gone")

    async def steps() -> None:
        app = LastWord(fails, patience=20)
        stream = Browser(app, "/queue/data", "s")
        await settled()
        with pytest.raises(OSError, match="gone"):
            await stream.task
        press = Browser(app, "/queue/join", "s")
        await settled()
        assert press.is_over

    running(steps())
