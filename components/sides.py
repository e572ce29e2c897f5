"""Who answers on the left and on the right of the Compare tab: the dense model, the open run, or another finished run.

A browser sends the ids of its own runs along, because on a shared host only these may be offered (``Listing``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from components.listing import STORAGE, Listing
from neuroal.errors import UserError
from neuroal.runs.history import MOST_LETTERS, Query

# Values of the menus beside ids of runs.
DENSE, OPEN = "dense", "open"
USUAL = (DENSE, OPEN)

CHOICES = [("Dense, as it came", DENSE), ("Pruned: the open run", OPEN)]

# Sends the run that is looked at, the browser's own ids and what is chosen.
_WITH_OWN = f"""(run, _, left, right) => {{
  let own = "[]";
  try {{ own = localStorage.getItem("{STORAGE}") || "[]"; }} catch {{ /* a browser that keeps nothing */ }}
  return [run, own, left, right];
}}"""


@dataclass(frozen=True)
class Sides:
    """The two menus, and what carries the browser's own ids to the server."""

    left: gr.Dropdown
    right: gr.Dropdown
    own: gr.Textbox


def build_sides() -> Sides:
    """The menus, created where the caller is."""
    with gr.Row():
        left = gr.Dropdown(CHOICES, value=DENSE, label="Left", elem_id="na-left")
        right = gr.Dropdown(CHOICES, value=OPEN, label="Right", elem_id="na-right")
    return Sides(left, right, gr.Textbox(visible=False, label="Own runs"))


def wire_sides(sides: Sides, tab: gr.Tab, listing: Listing, run_id: gr.components.Component) -> None:
    """Offers what is finished by then whenever the tab is opened."""

    def offer(run: str, own: str, left: str, right: str) -> list[Any]:
        offered = choices(listing, run, own)
        known = {value for _, value in offered}
        pairs = zip((left, right), USUAL, strict=True)
        return [gr.Dropdown(choices=offered, value=kept if kept in known else usual) for kept, usual in pairs]

    tab.select(
        offer, [run_id, sides.own, sides.left, sides.right], [sides.left, sides.right], js=_WITH_OWN,
        show_progress="hidden", api_visibility="private", queue=False,
    )  # fmt: skip


def choices(listing: Listing, run: str, own: str) -> list[tuple[str, str]]:
    """(label, value) of whoever can answer: finished runs of the open run's model, or of any where none is open.

    Args:
        run: the run that is looked at.
        own: JSON, the ids of the browser's own runs.
    """
    model = _model(listing, run)
    asked = Query(status="finished", text=model[:MOST_LETTERS])
    try:
        page = listing.page(asked, own=json.loads(own))
    except (ValueError, TypeError, UserError):
        page = listing.page(asked)
    found = [row for row in page["rows"] if row["id"] != run and model in ("", row["model"])]
    return [*CHOICES, *((label_of(row), row["id"]) for row in found)]


def label_of(row: dict[str, Any]) -> str:
    """What a run is called in a menu and above its answer."""
    return row["name"] or row["title"]


def _model(listing: Listing, run: str) -> str:
    try:
        return listing.jobs.spec(run).model
    except (KeyError, UserError):
        return ""
