"""Taking a run's model away over HTTP, below ``/gradio_api/runs/{run_id}/export``.

``GET .../export`` says what is being made and what is there. ``POST .../export`` begins (``{"form": "sparse"}``),
uploads (``{"form": "hub", "repo": ..., "private": ..., "token": ...}``) or stops (``{"cancel": true}``), and answers
the same. ``GET .../export/{form}`` is the file, in ranges where they are asked for.

Whoever has the id of a run may take its model away, as its bundle. A token comes with the request that needs it, or
from the session of a person who has signed in on a Space; it is handed on and not kept.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from components.incoming import is_foreign, json_object, name_of
from components.listing import whose_from_environment
from components.refusals import FRESH, answered, refusal
from components.stream import finite, login
from components.visitors import HERE, oauth_token
from neuroal.errors import UserError
from neuroal.export.exporter import Exporter, as_json
from neuroal.export.forms import HUB

logger = logging.getLogger(__name__)

PATH = "/gradio_api/runs/{run_id}/export"

MOST_BYTES = 16 * 1024

FOREIGN = "Only the page of this app may take its models away."
INCOMPLETE = "This request is incomplete, or of another version of the page; reload the page."


def add_export_route(app: FastAPI, exporter: Exporter) -> None:
    """Adds the routes to a Gradio app. If the app asks for a login, so do they."""
    guarded: dict[str, Any] = {"include_in_schema": False, "dependencies": login(app)}

    @app.get(PATH, **guarded)
    async def look(run_id: str, request: Request) -> Response:
        return await answered(lambda: _state(exporter, run_id, request), request, FOREIGN)

    @app.post(PATH, **guarded)
    async def act(run_id: str, request: Request) -> Response:
        body = None if is_foreign(request) else await json_object(request, MOST_BYTES)
        if body is None:
            return refusal(FOREIGN, 403)

        def answer() -> Response:
            _do(exporter, run_id, body, signed_in(request))
            return _state(exporter, run_id, request)

        return await answered(answer, request, FOREIGN)

    @app.api_route(f"{PATH}/{{form}}", methods=["GET", "HEAD"], **guarded)
    async def fetch(run_id: str, form: str, request: Request) -> Response:
        def file() -> Response:
            exporter.look(run_id)
            path, told = exporter.shelf.file(run_id, form)
            headers = FRESH | {"ETag": f'"{told.sha256}"'}  # by which a download that broke off may go on
            return FileResponse(path, filename=told.name, headers=headers, media_type="application/octet-stream")

        return await answered(file, request, FOREIGN)


def _do(exporter: Exporter, run_id: str, body: Mapping[str, Any], token: str | None) -> None:
    """What a visitor asks for."""
    form, repo, given = body.get("form"), body.get("repo", ""), body.get("token") or ""
    if body.get("cancel") is True:
        exporter.cancel(run_id)
    elif form == HUB and isinstance(repo, str) and isinstance(given, str):
        exporter.push(run_id, repo, given.strip() or token, body.get("private") is not False)
    elif isinstance(form, str) and form != HUB:
        exporter.start(run_id, form)
    else:
        raise UserError(INCOMPLETE)


def _state(exporter: Exporter, run_id: str, request: Request) -> Response:
    known = finite(as_json(exporter.look(run_id))) | {"signed_in": signed_in(request) is not None}
    return JSONResponse(known, headers=FRESH)


def _is_here(address: str) -> bool:
    """Whether a page, if one is named, is one of this machine's."""
    return not address or name_of(urlsplit(address).netloc) in (*HERE, "localhost")


def signed_in(request: Request) -> str | None:
    """The token of the person who asks: of who has signed in on a Space, or, to who sits at a machine that is not
    shared, the one that huggingface_hub keeps there."""
    if token := oauth_token(request):
        return token
    forwarded = any(name in request.headers for name in ("x-forwarded-for", "forwarded", "x-real-ip"))
    if forwarded or request.client is None or request.client.host not in HERE or whose_from_environment() != "all":
        return None
    if not all(_is_here(request.headers.get(name, "")) for name in ("origin", "referer")):
        return None  # a proxy that tells nothing of itself; the page is not of this machine
    from huggingface_hub import get_token

    return get_token()
