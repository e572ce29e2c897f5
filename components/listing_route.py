"""The list of runs over HTTP: ``POST /gradio_api/history``, a JSON object in, a JSON object out.

A route of its own, because an event of Gradio's would go through its queue and resend the whole list for each change.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from components.json_route import INCOMPLETE, add_json_route
from components.listing import Listing
from neuroal.errors import UserError
from neuroal.runs.history import Query

PATH = "/gradio_api/history"


def add_listing_route(app: FastAPI, listing: Listing) -> None:
    """Adds the route to a launched Gradio app."""
    add_json_route(app, PATH, lambda asked: answer(listing, asked))


def answer(listing: Listing, asked: dict[str, Any]) -> dict[str, Any]:
    """What the route says to a request.

    Args:
        asked: ``do`` is "list" (with fields of Query, those of ``Listing.page``, and ``seen`` of the answer that is
            already there), "named" (``ids``), "edit" (``id`` and ``name``, ``tags`` or ``pinned``), "claim", "delete"
            or "restore" (``id``). All but "named" with ``browser``, the asking browser's secret.

    Raises:
        UserError: it asks for what is not known or not allowed.
    """
    given = dict(asked)
    do = given.pop("do", None)
    actions = {name: getattr(listing, name) for name in ("claim", "edit", "delete", "restore")}
    browser = given.pop("browser", "")
    try:
        if do == "list":
            seen, page, own = given.pop("seen", ""), given.pop("page", 0), given.pop("own", ())
            found = listing.page(Query(**given), page, own, browser)
            return {"same": True} if found["seen"] == seen else found
        if do == "named":
            return {"rows": listing.named(given["ids"])}
        if do in actions:
            actions[do](given.pop("id"), browser, **given)
            return {}
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(INCOMPLETE) from error
    raise UserError("This request is not known here; reload the page.")
