"""Whether a page of another site asks, and under which name it asks.

A browser says from where a page asks; a program says nothing, and goes on. What a page cannot forge decides:
``Sec-Fetch-Site`` where the browser sends it, else the origin beside the host.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Collection, Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from components.incoming import is_from_another_site, name_of
from components.refusals import refusal
from components.visitors import HERE
from neuroal.errors import UserError

FOREIGN = (
    "A page of another site may not ask this in a visitor's name; open the app in a tab of its own. "
    "(Where that is what you did, add the name in the address bar to the setting NEUROAL_HOSTS.)"
)
NO_NAME_OF_OURS = "This app is not reached by that name; open it as localhost, or add the name to NEUROAL_HOSTS."

# Of a host, without a port: letters, or an address of IPv6.
NAME = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+:[0-9a-f:.]+:[0-9a-f:.]*|::1")

# Methods that change nothing.
SAFE = ("GET", "HEAD", "OPTIONS")

# Headers that a proxy on this machine adds: behind one, names are the proxy's business.
FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip", "via")


def hosts_from_environment(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The setting NEUROAL_HOSTS: names by which the app is reached, without ports; empty where it is not set.

    Raises:
        UserError: what is listed is no name of a host.
    """
    names = [name.strip().lower().rstrip(".") for name in environ.get("NEUROAL_HOSTS", "").split(",") if name.strip()]
    for name in names:
        if not NAME.fullmatch(name):
            raise UserError(f"NEUROAL_HOSTS has {name!r}; it is a list of names such as app.example.org, or addresses.")
    return frozenset(names)


def cannot_be_taken(name: str) -> bool:
    """Whether nobody on the internet can make this name lead elsewhere: an address, or a name without a dot."""
    if name and "." not in name or name.endswith(".localhost"):
        return True
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


class OwnSite:
    """Lets a page of another site read nothing and change nothing; links and frames still lead here.

    A name that is none of ours is refused where the app is reached on the machine itself without a proxy: a page whose
    name suddenly leads to this machine (DNS rebinding) would otherwise pass for ours.

    Args:
        hosts: as of :func:`hosts_from_environment`; where there are some, no other name with a dot is answered.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._is_reached_by(headers, scope):
            await refusal(NO_NAME_OF_OURS, 421)(scope, receive, send)
            return
        if is_from_another_site(headers, self.hosts):
            if scope["method"] not in SAFE or "access-control-request-method" in headers:
                await refusal(FOREIGN, 403)(scope, receive, send)
                return
            # Without the origin Gradio does not tell the browser that the other page may read the answer.
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"origin"]}
        await self.app(scope, receive, send)

    def _is_reached_by(self, headers: Headers, scope: Scope) -> bool:
        name = name_of(headers.get("host", ""))
        if cannot_be_taken(name):
            return True
        if self.hosts:
            return name in self.hosts
        client = (scope.get("client") or ("",))[0]
        return client not in HERE or any(header in headers for header in FORWARDED)
