"""How fast an address may call: calls that come faster wait, more are refused, and others are not held up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from components.guard import pacing
from components.guard.pacing import LONGEST, Bucket, Paced
from components.guard.protect import protect
from tests.attackers.test_guard import asked

CALL = "/gradio_api/call/v2/start_run"


def test_a_burst_is_free_then_calls_wait_their_turn_and_no_longer_than_so() -> None:
    now = [0.0]
    bucket = Bucket(burst=3, rate=2.0, clock=lambda: now[0])
    assert [bucket.take("ann") for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 1.0]
    assert bucket.take("bob") == 0.0
    now[0] = 1.0
    assert [bucket.take("ann") for _ in range(2)] == [0.5, 1.0]
    waits = [bucket.take("ann") for _ in range(40)]
    assert waits[17:] == [LONGEST, *[LONGEST + 0.5] * 22], "what is refused is not held against them"
    now[0] = 100.0
    assert [bucket.take("ann") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_addresses_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "MOST", 5)
    bucket = Bucket()
    for n in range(9):
        bucket.take(str(n))
    assert list(bucket._ahead) == ["4", "5", "6", "7", "8"]


@pytest.mark.parametrize(
    ("path", "sent", "counts"),
    [
        (CALL, {}, True),
        ("/gradio_api/queue/join", {}, True),
        ("/gradio_api/run/start_run", {}, True),
        ("/gradio_api/api/start_run", {}, True),
        ("/gradio_api/mcp/", {}, True),
        ("/prefix/gradio_api/queue/join", {}, True),
        ("/gradio_api/queue/join", {"method": "GET"}, False),
        ("/", {"method": "GET"}, False),
        ("/gradio_api/upload", {}, False),
        (CALL, {"client": "127.0.0.1"}, False),
        (CALL, {"client": "127.0.0.1", "headers": {"X-Forwarded-For": "203.0.113.5"}}, True),
    ],
)
def test_what_counts_is_refused_in_a_sentence_once_it_would_wait_too_long(
    path: str, sent: dict[str, Any], counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    app = Paced(PlainTextResponse("done"), Bucket(burst=1, rate=0.1, clock=lambda: 0.0))
    sent = {"method": "POST", **sent}
    answers = [asked(app, path=path, **sent) for _ in range(3)]
    assert [answer.status_code for answer in answers] == ([200, 200, 429] if counts else [200] * 3)
    assert slept == ([10.0] if counts else [])
    if counts:
        assert answers[2].json()["error"].endswith("wait 10 s.")
        assert answers[2].headers["Retry-After"] == "10"
        other = {**sent, "headers": {"X-Forwarded-For": "203.0.113.77"}}
        assert asked(app, path=path, **other).status_code == 200


def test_a_protected_app_is_paced_before_anything_of_a_call_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()
    app.post(CALL)(lambda: {"event_id": "e"})
    protect(app)
    assert asked(app, "POST", CALL).json() == {"event_id": "e"}
    monkeypatch.setattr(Bucket, "take", lambda *_: LONGEST + 1.5)
    refused = asked(app, "POST", CALL)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "2")
    assert "Content-Security-Policy" in refused.headers
