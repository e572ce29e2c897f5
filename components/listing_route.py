"""The list of runs over HTTP: ``POST /gradio_api/history``, a JSON object in, a JSON object out.

A route of its own, because an event of Gradio's would go through its queue and resend the whole list for each change.
Below ``/gradio_api`` for the reason given in ``components/stream.py``.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from components.listing import Listing, Query
from components.stream import finite, login
from neuroal.errors import UserError

logger = logging.getLogger(__name__)

PATH = "/gradio_api/history"

# Enough for the ids of a browser's own runs.
MOST_BYTES = 64 * 1024

FAULT = "Something went wrong on the server; try again."


def add_listing_route(app: FastAPI, listing: Listing) -> None:
    """Adds the route to a launched Gradio app. If the app asks for a login, so does the route."""

    @app.post(PATH, include_in_schema=False, dependencies=login(app))
    async def history(request: Request) -> Response:
        if _is_foreign(request):
            return _refusal("Only the page of this app may ask for its runs.", 403)
        body = await _body(request)
        if body is None:
            return _refusal("Ask with a JSON object of at most 64 KB.", 400)
        try:
            return JSONResponse(finite(await run_in_threadpool(answer, listing, body)))
        except UserError as refusal:
            return _refusal(str(refusal), 422)
        except Exception:
            logger.exception("The list of runs could not be read or changed")
            return _refusal(FAULT, 500)


def answer(listing: Listing, asked: dict[str, Any]) -> dict[str, Any]:
    """What the route says to a request.

    Args:
        asked: ``do`` is "list" (with the fields of Query, and ``seen`` of the answer that is already there), "named"
            (``ids``), "edit" (``id`` and ``name``, ``tags`` or ``pinned``), "claim", "delete" or "restore" (``id``).
            All but "named" with ``browser``, the asking browser's secret.

    Raises:
        UserError: it asks for what is not known or not allowed.
    """
    given = dict(asked)
    do = given.pop("do", None)
    actions = {name: getattr(listing, name) for name in ("claim", "edit", "delete", "restore")}
    browser = given.pop("browser", "")
    try:
        if do == "list":
            seen = given.pop("seen", "")
            found = listing.page(Query(**given), browser)
            return {"same": True} if found["seen"] == seen else found
        if do == "named":
            return {"rows": listing.named(given["ids"])}
        if do in actions:
            actions[do](given.pop("id"), browser, **given)
            return {}
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError("This request is incomplete, or of another version of the page; reload the page.") from error
    raise UserError("This request is not known here; reload the page.")


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
