"""How routes of ours answer: in a thread, and what goes wrong is one sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from components.incoming import is_from_another_site
from neuroal.errors import UserError

logger = logging.getLogger(__name__)

# Never kept by a browser or a proxy: the next answer may be another one.
FRESH = {"Cache-Control": "no-store"}

UNKNOWN = "This run is not known here; it may have been removed."
FAULT = "Something went wrong on the server; try again."


async def answered(answer: Callable[[], Response], request: Request, foreign: str) -> Response:
    """What ``answer`` gives, in a thread; a KeyError of it is an unknown run, and a UserError is told as it is.

    Args:
        foreign: what another site's page is told that asks in a visitor's name, for an answer may cost much.
    """
    if is_from_another_site(request.headers):
        return refusal(foreign, 403)
    try:
        return await run_in_threadpool(answer)
    except KeyError:
        return refusal(UNKNOWN, 404)
    except UserError as error:
        return refusal(str(error), 422)
    except Exception:
        logger.exception("%s could not be answered", request.url.path)
        return refusal(FAULT, 500)


def refusal(sentence: str, status: int) -> Response:
    """A sentence for the page's script to show."""
    return JSONResponse({"error": sentence}, status_code=status, headers=FRESH)
