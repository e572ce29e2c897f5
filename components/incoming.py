"""What routes of ours look at in a request before they answer it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request


def is_foreign(request: Request) -> bool:
    """Whether another site's page sends this in a visitor's name; JSON alone does not stop it, as Gradio lets foreign
    pages in on most hosts."""
    typed = request.headers.get("content-type", "").startswith("application/json")
    return not typed or is_from_another_site(request.headers)


def name_of(authority: str) -> str:
    """The name of a host in lower case, without its port; empty for nonsense."""
    try:
        return (urlsplit(f"//{authority.strip()}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_from_another_site(headers: Mapping[str, str], own: Collection[str] = ()) -> bool:
    """Whether a browser sends this for a page that is not the app's own.

    Args:
        headers: of the request, names in lower case.
        own: names of the app's that a proxy may not tell of.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    if origin is None:
        return False
    authority = origin.partition("://")[2].lower()
    hosts = [headers.get("host", ""), *headers.get("x-forwarded-host", "").split(",")]
    named = {_without_usual_port(host, origin) for host in hosts}
    return not authority or (authority not in named and name_of(authority) not in own)


def _without_usual_port(host: str, origin: str) -> str:
    """As a browser writes it in an origin."""
    host = host.strip().lower()
    return host.removesuffix(":443" if origin.startswith("https") else ":80")


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
