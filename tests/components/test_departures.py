"""A visitor who leaves costs a line of the log; every other failure is told in full."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException
from starlette.requests import ClientDisconnect

from components.departures import Departures, hush_departures
from components.json_route import add_json_route
from tests.runs.helpers import eventually
from tests.serving import serving

LIBRARY = "/somewhere/site-packages/gradio/routes.py"


def failing(error: Exception, name: str = "sse_stream", file: str = LIBRARY) -> Callable[[], Any]:
    """A function of that name and file that fails."""
    source = f"def {name}():\n    raise error\n"
    space: dict[str, Any] = {"error": error}
    exec(compile(source, file, "exec"), space)
    return space[name]


def told(fail: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What is logged of it, as the web server does."""
    hush_departures()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        try:
            fail()
        except Exception as error:
            logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)
    return caplog.records


def started_already(fail: Callable[[], Any]) -> Callable[[], Any]:
    """As the web framework says it where the answer has begun."""

    def wrapped() -> None:
        try:
            fail()
        except Exception as error:
            raise RuntimeError("Caught handled exception, but response already started.") from error

    return wrapped


GONE = [failing(KeyError("session")), failing(HTTPException(404)), started_already(failing(HTTPException(404)))]


@pytest.mark.parametrize("fail", GONE)
def test_a_stream_that_misses_its_visitor_is_one_line(
    fail: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = told(fail, caplog)
    assert (record.levelname, record.exc_info) == ("INFO", None)
    assert record.getMessage() == "A visitor left while something was told to them."


@pytest.mark.parametrize("wrapped", [lambda fail: fail, started_already])
def test_so_is_a_question_that_is_broken_off(wrapped: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    (record,) = told(wrapped(failing(ClientDisconnect(), name="asked", file="/ours/json_route.py")), caplog)
    assert (record.levelname, record.exc_info) == ("INFO", None)
    assert record.getMessage() == "A visitor left before they had asked to the end."


HALF = b'POST /asked HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"half'


def test_half_a_question_to_the_web_server(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    add_json_route(app, "/asked", lambda asked: asked)
    hush_departures()
    with caplog.at_level(logging.INFO), serving(app, log_config=None) as (server, port):
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.sendall(HALF)
            eventually(lambda: server.server_state.tasks)
        eventually(lambda: not server.server_state.tasks)
    assert "A visitor left before they had asked to the end." in caplog.messages
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    "fail",
    [
        failing(ValueError("session")),
        failing(HTTPException(500)),
        failing(KeyError("x"), name="another"),
        failing(KeyError("x"), file="/ours/stream.py"),
        started_already(failing(ValueError("x"))),
    ],
)
def test_every_other_failure_is_told(fail: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    (record,) = told(fail, caplog)
    assert record.levelname == "ERROR" and record.exc_info


def test_the_web_servers_own_settings_leave_it_in_place() -> None:
    hush_departures()
    uvicorn.Config("none", log_level="warning")  # configures the logs
    assert any(isinstance(each, Departures) for each in logging.getLogger("uvicorn.error").filters)


def test_a_line_without_a_failure_passes() -> None:
    assert Departures().filter(logging.makeLogRecord({"msg": "Started"}))
