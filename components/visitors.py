"""Whose request it is, where visitors sign in with Hugging Face."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gradio as gr
from starlette.datastructures import Headers

from neuroal.models.access import acting_for
from neuroal.runs.workshop import Workshop

# Addresses of the machine itself.
HERE = ("127.0.0.1", "::1")


def oauth_token(request: Any) -> str | None:
    """The token of who has signed in on a Space; None for anyone else.

    Args:
        request: of the web server, or Gradio's.
    """
    if isinstance(request, gr.Request):  # which makes objects of dicts
        request = request.request
    scope = getattr(request, "scope", None)
    info = (scope.get("session") or {}).get("oauth_info") if isinstance(scope, dict) else None
    if isinstance(info, dict) and info.get("expires_at", 0) > time.time():
        return info.get("access_token")
    return None


def address(request: Any) -> str:
    """Who somebody is, by login or else by where they are; all that are behind one address are one."""
    user = request.username if isinstance(request, gr.Request) else None
    return user or _first(request.headers.get("x-forwarded-for", "")) or (request.client.host if request.client else "")


def address_in(scope: Mapping[str, Any]) -> str:
    """As :func:`address`, before it is known who has logged in; "" for a request of this machine itself, or of a proxy
    on it that does not say whose it is."""
    forwarded = _first(Headers(scope=scope).get("x-forwarded-for", ""))
    host = (scope.get("client") or ("",))[0]
    return forwarded or ("" if host in HERE else host)


def _first(forwarded: str) -> str:
    return forwarded.split(",")[0].strip()


@contextmanager
def starting(workshop: Workshop, request: Any) -> Iterator[None]:
    """As :func:`visiting`, for what starts work on the server: only so often in a minute from one place.

    Raises:
        UserError: it is asked too fast.
    """
    workshop.pace.admit(address(request))
    with visiting(request):
        yield


@contextmanager
def visiting(request: Any) -> Iterator[None]:
    """What is looked up inside, and the runs that are started there, may use the visitor's own access to the Hub."""
    with acting_for(oauth_token(request)):
        yield
