"""Routes of our own that take a JSON object and give one: guarded and answered alike.

Below ``/gradio_api`` for the reason given in ``components/stream.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from components.incoming import is_foreign, json_object
from components.refusals import FAULT, refusal
from components.stream import finite, login
from neuroal.errors import UserError

logger = logging.getLogger(__name__)

# Enough for the ids of a browser's own runs.
MOST_BYTES = 64 * 1024

INCOMPLETE = "This request is incomplete, or of another version of the page; reload the page."


def add_json_route(app: FastAPI, path: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Adds ``POST path`` to a Gradio app. If the app asks for a login, so does the route.

    Args:
        answer: called in a thread with the object that was sent; its UserErrors become sentences (422).
    """

    @app.post(path, include_in_schema=False, dependencies=login(app))
    async def asked(request: Request) -> Response:
        if is_foreign(request):
            return refusal("Only the page of this app may ask this.", 403)
        body = await json_object(request, MOST_BYTES)
        if body is None:
            return refusal("Ask with a JSON object of at most 64 KB.", 400)
        try:
            return JSONResponse(finite(await run_in_threadpool(answer, body)))
        except UserError as error:
            return refusal(str(error), 422)
        except Exception:
            logger.exception("%s could not be answered", path)
            return refusal(FAULT, 500)
