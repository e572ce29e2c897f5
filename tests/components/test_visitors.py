"""Who somebody is: a login, an address that a proxy gives, an address, or this machine itself."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest
from starlette.requests import Request

from components.visitors import address, starting, stranger
from neuroal.errors import UserError
from neuroal.runs.pace import Pace


def asked(client: str | None, forwarded: str = "") -> Request:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    return Request({"type": "http", "headers": headers, "client": client and (client, 1)})


@pytest.mark.parametrize(
    ("request_", "by_address", "as_stranger"),
    [
        (asked("203.0.113.5"), "203.0.113.5", "203.0.113.5"),
        (asked("10.0.0.1", "203.0.113.5, 10.0.0.1"), "203.0.113.5", "203.0.113.5"),
        (asked("127.0.0.1", "203.0.113.5"), "203.0.113.5", "203.0.113.5"),
        (asked("127.0.0.1"), "127.0.0.1", ""),
        (asked("::1"), "::1", ""),
        (asked("203.0.113.5", "127.0.0.1"), "127.0.0.1", "127.0.0.1"),  # who says so is not at this machine
        (asked(None), "", ""),
    ],
)
def test_from_where(request_: Request, by_address: str, as_stranger: str) -> None:
    assert (address(request_), stranger(request_)) == (by_address, as_stranger)


def test_a_login_goes_before_the_address() -> None:
    request = gr.Request(asked("127.0.0.1"), username="ann")
    assert (address(request), stranger(request)) == ("ann", "ann")


def test_starts_are_counted_but_for_this_machine_itself() -> None:
    workshop = SimpleNamespace(pace=Pace(most=1))
    for client in ("203.0.113.5", *["127.0.0.1"] * 5):
        with starting(workshop, asked(client)):
            pass
    with pytest.raises(UserError, match="asked for 1 runs"), starting(workshop, asked("203.0.113.5")):
        pass
