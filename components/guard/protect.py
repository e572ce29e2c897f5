"""Puts the guards in front of a Gradio app, outermost first."""

from __future__ import annotations

from collections.abc import Callable, Collection

from fastapi import FastAPI
from starlette.middleware import Middleware

from components.guard.attempts import Attempts, SlowLogin
from components.guard.headers import SecurityHeaders
from components.guard.limits import RequestLimits
from components.guard.members import MembersOnly
from components.guard.origin import OwnSite
from components.guard.pacing import Paced


def protect(app: FastAPI, accounts: Callable[[str, str], bool] | None = None, hosts: Collection[str] = ()) -> None:
    """Guards every route that is there or will be; call it in the app's lifespan, before the first request.

    They stand before Gradio's own layers, which let pages of other sites in, and know nothing of each other: headers
    are on refusals as well, a foreign page is refused before anything of its body is read.

    Args:
        accounts: as given to ``launch(auth=...)``; None where nobody has to log in.
        hosts: names by which the app is reached, as of ``hosts_from_environment``.
    """
    attempts = Attempts()
    app.user_middleware[:0] = [
        Middleware(SecurityHeaders),
        Middleware(OwnSite, hosts=hosts),
        Middleware(Paced),
        Middleware(RequestLimits),
        Middleware(SlowLogin, attempts=attempts),
        Middleware(MembersOnly, gradio=app, accounts=accounts, attempts=attempts),
    ]
    app.middleware_stack = app.build_middleware_stack()  # the one there was is at work already: it called the lifespan
