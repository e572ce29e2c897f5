"""Routes of our own that take a JSON object and give one: guarded and answered alike.

Below ``/gradio_api`` for the reason given in ``components/stream.py``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from components.stream import finite, login
from neuroal.errors import UserError

logger = logging.getLogger(__name__)

# Enough for the ids of a browser's own runs.
MOST_BYTES = 64 * 1024

FAULT = "Something went wrong on the server; try again."
INCOMPLETE = "This request is incomplete, or of another version of the page; reload the page."


def add_json_route(app: FastAPI, path: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Adds ``POST path`` to a launched Gradio app. If the app asks for a login, so does the route.

    Args:
        answer: called in a thread with the object that was sent; its UserErrors become sentences (422).
    """

    @app.post(path, include_in_schema=False, dependencies=login(app))
    async def asked(request: Request) -> Response:
        if _is_foreign(request):
            return _refusal("Only the page of this app may ask this.", 403)
        body = await _body(request)
        if body is None:
            return _refusal("Ask with a JSON object of at most 64 KB.", 400)
        try:
            return JSONResponse(finite(await run_in_threadpool(answer, body)))
        except UserError as refusal:
            return _refusal(str(refusal), 422)
        except Exception:
            logger.exception("%s could not be answered", path)
            return _refusal(FAULT, 500)


def _is_foreign(request: Request) -> bool:
    """Whether another site's page sends this in a visitor's name; JSON alone does not stop it, as Gradio lets foreign
    pages in on most hosts."""
    typed = request.headers.get("content-type", "").startswith("application/json")
    return not typed or request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


async def _body(request: Request) -> dict[str, Any] | None:
    """The JSON object that was sent; None where it is none, or too large."""
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > MOST_BYTES:
            return None
    try:
        given = json.loads(received)
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


def _refusal(sentence: str, status: int) -> JSONResponse:
    return JSONResponse({"error": sentence}, status_code=status)
