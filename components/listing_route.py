"""The list of runs over HTTP: ``POST /gradio_api/history``, a JSON object in, a JSON object out.

A route of its own, because an event of Gradio's would go through its queue and resend the whole list for each change.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from components.json_route import INCOMPLETE, add_json_route
from components.listing import Listing
from components.others import Others
from neuroal.errors import UserError
from neuroal.runs.history import Query

PATH = "/gradio_api/history"


def add_listing_route(app: FastAPI, listing: Listing, others: Others | None = None) -> None:
    """Adds the route to a Gradio app.

    Args:
        others: knows which runs stand beside a sweep's on a map; without it the route does not answer that.
    """
    add_json_route(app, PATH, lambda asked: answer(listing, asked, others))


def answer(listing: Listing, asked: dict[str, Any], others: Others | None = None) -> dict[str, Any]:
    """What the route says to a request.

    Args:
        asked: ``do`` is "list" (with fields of Query, those of ``Listing.page``, and ``seen`` of the answer that is
            already there), "named" (``ids``), "edit" (``id`` and ``name``, ``tags`` or ``pinned``), "claim", "delete"
            or "restore" (``id``), "around" or "place" (as the methods of Others). What lists or changes runs comes with
            ``browser``, the asking browser's secret.

    Raises:
        UserError: it asks for what is not known or not allowed.
    """
    given = dict(asked)
    do = given.pop("do", None)
    actions = {name: getattr(listing, name) for name in ("claim", "edit", "delete", "restore")}
    browser = given.pop("browser", "")
    if not all(isinstance(each, str) for each in (browser, given.get("id", ""))):
        raise UserError(INCOMPLETE)
    try:
        if do == "list":
            seen, page, own = given.pop("seen", ""), given.pop("page", 0), given.pop("own", ())
            without = given.pop("without", ())
            found = listing.page(Query(**given), page, own, browser, without)
            return {"same": True} if found["seen"] == seen else found
        if do == "named":
            return {"rows": listing.named(given["ids"])}
        if do in ("around", "place") and others is not None:
            return getattr(others, do)(**given)
        if do in actions:
            actions[do](given.pop("id"), browser, **given)
            return {}
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(INCOMPLETE) from error
    raise UserError("This request is not known here; reload the page.")
