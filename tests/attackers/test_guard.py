"""The layers in front of every route, each by itself: sizes, times, origins, names, logins."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from components.guard import attempts as attempts_module
from components.guard import limits
from components.guard.accounts import SHORTEST, Accounts, accounts_from_environment
from components.guard.attempts import FREE, LONGEST, Attempts, SlowLogin
from components.guard.headers import HEADERS, SecurityHeaders
from components.guard.limits import RequestLimits, most_bytes, most_seconds
from components.guard.members import MembersOnly
from components.guard.origin import OwnSite, hosts_from_environment, is_from_another_site
from neuroal.errors import UserError
from tests.asynchronous import done

SECRET = "correct horse battery"


def asked(
    app: ASGIApp, method: str = "GET", path: str = "/", client: str = "203.0.113.9", **more: Any
) -> httpx.Response:
    """One request to an app without a server."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(client, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://app.example.org") as http:
            return await http.request(method, path, **more)

    return done(ask())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how much came, and with which headers."""
    request = Request(scope, receive)
    body = await request.body()
    await JSONResponse({"bytes": len(body), "headers": dict(request.headers)})(scope, receive, send)


def answering(answer: Callable[[Request], Awaitable[Any]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (await answer(Request(scope, receive)))(scope, receive, send)

    return app


# --- how much, how long ---------------------------------------------------------------------------------------------


async def dribbled(parts: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(parts):
        yield b"x" * size


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_is_taken_in_up_to_its_size_and_no_further(stated: bool) -> None:
    app = RequestLimits(echo, most=lambda _: 1000)
    body = (lambda n: b"x" * n) if stated else (lambda n: dribbled(n // 100, 100))
    assert asked(app, "POST", content=body(1000)).json()["bytes"] == 1000
    refused = asked(app, "POST", content=body(1100))
    assert refused.status_code == 413 and "larger than 0 MB" in refused.json()["error"]


def test_an_app_that_swallows_the_fault_does_not_answer_in_its_place() -> None:
    async def careless(request: Request) -> PlainTextResponse:
        try:
            await request.body()
        except Exception:
            return PlainTextResponse("all is well")
        return PlainTextResponse("small")

    app = RequestLimits(answering(careless), most=lambda _: 1000)
    assert asked(app, "POST", content=dribbled(20, 100)).status_code == 413
    assert asked(app, "POST", content=dribbled(2, 100)).text == "small"


@pytest.mark.parametrize("length", ["-1", "1e3", "９９", "99999999999999999999", "abc"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    scope: Scope = {"type": "http", "path": "/", "headers": [(b"content-length", length.encode())], "method": "POST"}
    assert limits._declared(scope) > most_bytes("/")


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {f"x-{n}": "1" for n in range(limits.MOST_HEADERS)}},
        {"headers": {"x": "a" * limits.HEADER_BYTES}},
        {"path": "/" + "a" * limits.ADDRESS_BYTES},
        {"params": {"a": "b" * limits.ADDRESS_BYTES}},
    ],
)
def test_long_headers_and_addresses_are_refused(more: dict[str, Any]) -> None:
    assert asked(RequestLimits(echo), **more).status_code == 431
    assert asked(RequestLimits(echo), headers={"x": "1"}).status_code == 200


def test_bundles_may_be_larger_than_questions() -> None:
    upload, question = "/gradio_api/upload", "/gradio_api/queue/join"
    assert most_bytes(question) < 20e6 < 24e6 < most_bytes("/gradio_api/runs/x/bundle") < 30e6
    assert 100e6 < most_bytes(upload) < 110e6 and most_seconds(upload) > most_seconds(question)


def test_an_answer_that_does_not_begin_is_given_up_and_a_stream_is_not() -> None:
    async def slow(request: Request) -> PlainTextResponse:
        await asyncio.sleep(60)
        return PlainTextResponse("late")

    async def stream(request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for n in range(4):
                yield str(n)
                await asyncio.sleep(0.05)

        return StreamingResponse(parts())

    given_up = asked(RequestLimits(answering(slow), seconds=lambda _: 0.05))
    assert given_up.status_code == 503 and "given up" in given_up.json()["error"]
    assert asked(RequestLimits(answering(stream), seconds=lambda _: 0.05)).text == "0123"


def test_a_fault_of_the_app_goes_on_its_way() -> None:
    async def broken(request: Request) -> PlainTextResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asked(RequestLimits(answering(broken)))


# --- who asks -------------------------------------------------------------------------------------------------------

OWN, EVIL = "http://app.example.org", "https://evil.example"


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),  # a program
        ({"origin": OWN}, False),
        ({"origin": "HTTP://APP.example.org"}, False),
        ({"origin": "https://app.example.org", "host": "app.example.org:443"}, False),
        ({"origin": OWN, "sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://public.example.org", "host": "10.0.0.7:7860", "x-forwarded-host": "public.example.org"},
         False),
        ({"origin": "https://user-app.hf.space", "host": "user-app.hf.space", "sec-fetch-site": "same-origin"}, False),
        ({"origin": EVIL}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "https://app.example.org.evil.example"}, True),
        ({"origin": "http://app.example.org:8080"}, True),
        ({"origin": "http://app.example.org@evil.example"}, True),
        ({"origin": "http://[::1"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site", "origin": "http://other.example.org"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site", "origin": OWN}, True),  # who writes the origin may not be who sends
        ({"sec-fetch-site": "CROSS-SITE nonsense"}, True),
        ({"origin": EVIL, "x-forwarded-host": "evil.example", "sec-fetch-site": "cross-site"}, True),
    ],
)  # fmt: skip
def test_which_requests_are_a_foreign_pages(headers: dict[str, str], foreign: bool) -> None:
    headers = {"host": "app.example.org", **headers}
    assert is_from_another_site(headers) is foreign
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert asked(OwnSite(echo), method, headers=headers).status_code == (403 if foreign else 200)
    assert asked(OwnSite(echo), "GET", headers=headers).status_code == 200


def test_a_foreign_page_is_not_told_that_it_may_read_or_write() -> None:
    read = asked(OwnSite(echo), headers={"origin": EVIL})
    assert "origin" not in read.json()["headers"], "Gradio would let whoever is in it read the answer"
    preflight = {"origin": EVIL, "access-control-request-method": "POST"}
    assert asked(OwnSite(echo), "OPTIONS", headers=preflight).status_code == 403
    assert asked(OwnSite(echo), "OPTIONS", headers={**preflight, "origin": OWN}).status_code == 200


def test_a_proxy_that_hides_the_name_can_be_told_of() -> None:
    headers = {"host": "localhost:7860", "origin": "http://app.example.org"}
    assert asked(OwnSite(echo), "POST", headers=headers).status_code == 403
    assert asked(OwnSite(echo, {"app.example.org"}), "POST", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "client", "hosts", "more", "code"),
    [
        ("localhost:7860", "127.0.0.1", (), {}, 200),
        ("127.0.0.1:7860", "127.0.0.1", (), {}, 200),
        ("[::1]:7860", "::1", (), {}, 200),
        ("0.0.0.0:7860", "127.0.0.1", (), {}, 200),
        ("app.localhost", "127.0.0.1", (), {}, 200),
        ("workstation", "127.0.0.1", (), {}, 200),
        ("app.example.org", "203.0.113.9", (), {}, 200),
        ("app.example.org", "127.0.0.1", (), {"x-forwarded-for": "203.0.113.9"}, 200),
        ("app.example.org", "127.0.0.1", ("app.example.org",), {}, 200),
        ("evil.example:7860", "127.0.0.1", (), {}, 421),
        ("localhost.evil.example", "127.0.0.1", (), {}, 421),
        ("127.0.0.1.evil.example", "::1", (), {}, 421),
        ("evil.example", "203.0.113.9", ("app.example.org",), {}, 421),
        ("app.example.org.", "203.0.113.9", ("app.example.org",), {}, 200),
        ("[nonsense", "127.0.0.1", (), {}, 421),
    ],
)  # fmt: skip
def test_a_name_that_suddenly_leads_here_is_refused(
    host: str, client: str, hosts: tuple[str, ...], more: dict[str, str], code: int
) -> None:
    assert asked(OwnSite(echo, hosts), client=client, headers={"host": host, **more}).status_code == code


def test_names_of_hosts_are_checked() -> None:
    assert hosts_from_environment({}) == frozenset()
    assert hosts_from_environment({"NEUROAL_HOSTS": "App.example.org, 10.0.0.7, ::1,"}) == {
        "app.example.org", "10.0.0.7", "::1"
    }  # fmt: skip
    for wrong in ("https://app.example.org", "app.example.org:80", "a b", "*"):
        with pytest.raises(UserError, match="NEUROAL_HOSTS"):
            hosts_from_environment({"NEUROAL_HOSTS": wrong})


def test_every_answer_tells_the_browser_what_is_allowed() -> None:
    async def own_policy(request: Request) -> PlainTextResponse:
        return PlainTextResponse("x", headers={"Referrer-Policy": "no-referrer"})

    found = asked(SecurityHeaders(answering(own_policy)))
    assert {name: found.headers[name] for name in HEADERS} == {**HEADERS, "Referrer-Policy": "no-referrer"}
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "img-src 'self' data: blob:;" in policy and "*;" not in policy
    assert "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co https://*.hf.space" in policy


# --- logins ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ann", "Line 1 of NEUROAL_AUTH is no account"), (":" + SECRET, "Line 1 of NEUROAL_AUTH is no account"),
        ("ann:short", f"less than {SHORTEST}"), (f"ann:{SECRET}\n\nann:{SECRET}2", "Line 3 of NEUROAL_AUTH names"),
        (" \n ", "names no account"), ("ann:        ", f"less than {SHORTEST}"),
    ],
)  # fmt: skip
def test_accounts_that_are_none(text: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        accounts_from_environment({"NEUROAL_AUTH": text})
    assert says in str(error.value) and SECRET not in str(error.value) and "short" not in str(error.value)


def test_accounts_come_from_the_setting_or_a_file(tmp_path: Path) -> None:
    assert accounts_from_environment({}) is None
    (tmp_path / "who").write_text(f"ann:{SECRET}\r\nbob:a:b:c:d:e\n", encoding="utf-8")
    accounts = accounts_from_environment({"NEUROAL_AUTH_FILE": str(tmp_path / "who")})
    assert accounts is not None and accounts("ann", SECRET) and accounts("bob", "a:b:c:d:e")
    assert not any(accounts(*wrong) for wrong in (("ann", ""), ("ann", SECRET + " "), ("", ""), ("eve", SECRET)))
    assert not accounts("ann", "\ud800"), "what cannot be encoded is only wrong"
    assert SECRET not in repr(vars(accounts))
    for environ, says in (
        ({"NEUROAL_AUTH": f"a:{SECRET}", "NEUROAL_AUTH_FILE": "x"}, "both set"),
        ({"NEUROAL_AUTH_FILE": str(tmp_path / "none")}, "cannot be read"),
    ):
        with pytest.raises(UserError, match=says):
            accounts_from_environment(environ)


def test_who_guesses_waits_longer_each_time() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    assert [attempts.begin("1.2.3.4") for _ in range(FREE)] == [0.0] * FREE
    waits = []
    for _ in range(8):
        waits.append(attempts.begin("1.2.3.4"))
        now[0] += waits[-1]
        assert attempts.begin("1.2.3.4") == 0.0
    assert waits == [2, 4, 8, 16, 32, LONGEST, LONGEST, LONGEST]
    assert attempts.begin("1.2.3.5") == 0.0, "another address does not wait"
    attempts.was_right("1.2.3.4")
    assert attempts.begin("1.2.3.4") == 0.0


def test_addresses_of_one_household_count_together_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(lambda: 0.0)
    waits = [attempts.begin(f"2001:db8:1:2::{n:x}") for n in range(FREE + 1)]
    assert waits[-1] > 0 and attempts.begin("2001:db8:1:3::1") == 0.0
    monkeypatch.setattr(attempts_module, "MOST", 50)
    for n in range(200):
        attempts.begin(f"n{n}")
    assert len(attempts._tries) == 50


def test_the_login_is_slowed_and_the_right_password_ends_it() -> None:
    async def login(request: Request) -> JSONResponse:
        right = (await request.body()) == b"right"
        return JSONResponse({}, 200 if right else 400)

    now = [0.0]
    app = SlowLogin(answering(login), Attempts(lambda: now[0]))
    codes = [asked(app, "POST", path, content=b"wrong").status_code for path in ("/login", "/login/") * 3]
    assert codes == [400] * FREE + [429]
    waiting = asked(app, "POST", "/login", content=b"right")
    assert waiting.status_code == 429 and int(waiting.headers["retry-after"]) == 3
    now[0] += 2
    assert asked(app, "POST", "/login", content=b"right").status_code == 200
    assert asked(app, "POST", "/login", content=b"wrong").status_code == 400
    assert asked(app, "GET", "/login").status_code == 400, "only attempts are counted"


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def closed() -> tuple[ASGIApp, Any]:
    gradio = SimpleNamespace(tokens={}, cookie_id="c1")
    return MembersOnly(echo, gradio, Accounts({"ann": SECRET}), Attempts(lambda: 0.0)), gradio


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/mcp", "/gradio_api/mcp/", "/openapi.json", "/config", "/gradio_api/reset", "/loginx",
        "/gradio_api/file=/etc/passwd", "/what/comes/later", "//gradio_api/mcp",
    ],
)  # fmt: skip
def test_nobody_gets_past_the_form(closed: tuple[ASGIApp, Any], path: str) -> None:
    app, _ = closed
    assert asked(app, path=path).status_code == 401
    assert asked(MembersOnly(echo, None, None, Attempts()), path=path).status_code == 200, "where nobody has to log in"


@pytest.mark.parametrize("path", ["/", "/login", "/login/", "/assets/index.js", "/theme.css"])
def test_the_form_is_there_for_everyone(closed: tuple[ASGIApp, Any], path: str) -> None:
    assert asked(closed[0], path=path).status_code == 200


def test_a_cookie_or_name_and_password_let_in(closed: tuple[ASGIApp, Any]) -> None:
    app, gradio = closed
    gradio.tokens["t1"] = "ann"
    for cookie, code in (("access-token-c1=t1", 200), ("access-token-unsecure-c1=t1", 200), ("access-token-c1=t2", 401),
                         ("access-token-c2=t1", 401), ("access-token-c1=", 401)):  # fmt: skip
        assert asked(app, path="/config", headers={"Cookie": cookie}).status_code == code
    told = asked(app, path="/config", headers=basic("ann", SECRET)).json()["headers"]
    assert "authorization" not in told, "the password goes no further"
    name, _, token = told["cookie"].partition("=")
    assert name == "access-token-unsecure-c1" and gradio.tokens[token] == "ann"
    asked(app, path="/config", headers=basic("ann", SECRET))
    assert len(gradio.tokens) == 2, "a token for each name, not for each request"


def test_guesses_by_basic_authentication_are_slowed_too(closed: tuple[ASGIApp, Any]) -> None:
    app, _ = closed
    for header in ("Basic", "Basic !", "Basic YQ==", "Bearer abc", "Basic /w=="):
        assert asked(app, path="/config", headers={"Authorization": header}).status_code == 401
    codes = [asked(app, path="/config", headers=basic("ann", f"guess{n}")).status_code for n in range(FREE + 1)]
    assert codes == [401] * FREE + [429]
    assert asked(app, path="/config", headers=basic("ann", SECRET)).status_code == 429
