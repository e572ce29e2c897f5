"""Where the app asks for a login, nobody else gets anywhere but to the form.

Gradio checks most of its routes, and ours have its check. It leaves out what it mounts (the tools over MCP) and what it
takes for harmless; so the rule is turned round here: what the form does not need is closed.

A program has no form to fill in. Besides the cookie of a login it may bring name and password as Basic authentication
(RFC 7617), which leads to the same as the form.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from components.guard.attempts import Attempts, waiting
from components.refusals import refusal

# What the form is made of, and what it asks. The page itself is the form for who has not logged in.
FORM = (
    "/", "/login", "/logout", "/theme.css", "/manifest.json", "/favicon.ico", "/robots.txt", "/pwa_icon",
    "/gradio_api/login_check", "/gradio_api/startup-events", "/gradio_api/app_id", "/gradio_api/user",
)  # fmt: skip
FORM_FOLDERS = ("/assets/", "/static/", "/svelte/", "/login/")

LOGIN = "This app asks for a login; bring the cookie of one, or name and password as Basic authentication."


class MembersOnly:
    """Lets nobody in who has not logged in, where the app asks for it.

    Args:
        gradio: the app that knows who has logged in.
        accounts: takes a name and a password; None where nobody has to log in.
    """

    def __init__(
        self, app: ASGIApp, gradio: Any, accounts: Callable[[str, str], bool] | None, attempts: Attempts
    ) -> None:
        self.app, self.gradio, self.accounts, self.attempts = app, gradio, accounts, attempts
        self._tokens: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.accounts is None or scope["type"] != "http" or _is_of_the_form(scope):
            await self.app(scope, receive, send)
            return
        request, address = Request(scope), (scope.get("client") or ("",))[0]
        if self._is_logged_in(request):
            await self.app(scope, receive, send)
            return
        given = _basic(request.headers.get("authorization", ""))
        if given is not None:
            if seconds := self.attempts.begin(address):
                await waiting(seconds)(scope, receive, send)
                return
            if await run_in_threadpool(self.accounts, *given):
                self.attempts.was_right(address)
                await self.app(self._as_logged_in(scope, given[0]), receive, send)
                return
        # Without WWW-Authenticate: a browser whose login has ended would open a form of its own for every request.
        await refusal(LOGIN, 401)(scope, receive, send)

    def _is_logged_in(self, request: Request) -> bool:
        names = (f"access-token-{self.gradio.cookie_id}", self._cookie)
        return any(self.gradio.tokens.get(request.cookies.get(name)) is not None for name in names)

    @property
    def _cookie(self) -> str:
        return f"access-token-unsecure-{self.gradio.cookie_id}"

    def _as_logged_in(self, scope: Scope, name: str) -> Scope:
        """With the cookie that the form would have given; one for each name, not one for each request."""
        token = self._tokens.setdefault(name, secrets.token_urlsafe(16))
        self.gradio.tokens[token] = name
        others = [pair for pair in scope["headers"] if pair[0] not in (b"cookie", b"authorization")]
        return {**scope, "headers": [*others, (b"cookie", f"{self._cookie}={token}".encode())]}


def _is_of_the_form(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path") or "")
    return path in FORM or path.rstrip("/") in FORM or path.startswith(FORM_FOLDERS)


def _basic(header: str) -> tuple[str, str] | None:
    """Name and password; None where there are none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        return None
    return (name, password) if colon else None
