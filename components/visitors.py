"""Whose request it is, where visitors sign in with Hugging Face."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

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
    return stranger(request) or (request.client.host if request.client else "")


def stranger(request: Any) -> str:
    """The same, but "" for whoever asks from this machine itself, which is theirs, and for a proxy on it that does not
    say for whom it asks."""
    user = request.username if isinstance(request, gr.Request) else None
    forwarded = request.headers.get("x-forwarded-for", "").split(",")[0].strip()
    host = request.client.host if request.client else ""
    return user or forwarded or ("" if host in HERE else host)


@contextmanager
def starting(workshop: Workshop, request: Any) -> Iterator[None]:
    """As :func:`visiting`, for what starts work on the server: only so often in a minute from one place, but for this
    machine itself.

    Raises:
        UserError: it is asked too fast.
    """
    workshop.pace.admit(stranger(request))
    with visiting(request):
        yield


@contextmanager
def visiting(request: Any) -> Iterator[None]:
    """What is looked up inside, and the runs that are started there, may use the visitor's own access to the Hub."""
    with acting_for(oauth_token(request)):
        yield
