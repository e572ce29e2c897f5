"""What routes of ours look at in a request before they answer it."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request


def is_foreign(request: Request) -> bool:
    """Whether another site's page sends this in a visitor's name; JSON alone does not stop it, as Gradio lets foreign
    pages in on most hosts."""
    typed = request.headers.get("content-type", "").startswith("application/json")
    return not typed or is_cross_site(request)


def is_cross_site(request: Request) -> bool:
    """Whether a browser says that another site's page asks."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


async def json_object(request: Request, most: int) -> dict[str, Any] | None:
    """The JSON object that was sent; None where it is none, or has more bytes than ``most``."""
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > most:
            return None
    try:
        given = json.loads(received)
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None
