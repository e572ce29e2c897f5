"""The gallery of recorded runs, as cards above the live view; they need neither a model nor a wait."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from components.live import LiveValue
from components.scripts import LOADER, versioned, with_config
from neuroal.folding.titles import title
from neuroal.runs.examples import PREFIX, Example
from neuroal.runs.summary import summary

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "gallery"

UNKNOWN = "⚠️ No recorded run is called so; choose one of the cards above the charts."

# Constant, see components/live.py.
_TEMPLATE = "<div class='na-gallery-host'></div>"

_ON_LOAD = (
    LOADER
    + """
const host = element.querySelector(".na-gallery-host");
Promise.all([load(config.style, sheet), load(config.script, script)]).then(() => {
  const gallery = new NeuroAL.Gallery(host, config.examples, (example) => trigger("chosen", { example }));
  gallery.show(NeuroAL.shownRun ?? config.shown);
}).catch((error) => {
  host.textContent = "The recorded runs could not be loaded. Reload the page to try again.";
  console.error(error);
});
"""
)


class Gallery(gr.HTML):
    """The cards. Its event ``chosen`` (data: ``example``, a name) says which one a person wants to look at.

    Args:
        recorded: what there are cards of, by their ids.
        library: address of the script that draws charts. (A parameter whose name stands between quotes in the script of
            a ``gr.HTML`` is taken for an event of it, and with it the whole page copied for everyone who opens it.)
    """

    def __init__(self, recorded: Mapping[str, Example], library: str, **kwargs: Any) -> None:
        gr.set_static_paths([ASSETS / "gallery.js", ASSETS / "gallery.css"])
        config = {
            "plotly": library,
            "style": versioned(ASSETS / "gallery.css"),
            "script": versioned(ASSETS / "gallery.js"),
            "examples": [card(example) for example in recorded.values()],
            "shown": next(iter(recorded), ""),
        }
        settings = {"apply_default_css": False, "padding": False, **kwargs}
        super().__init__(None, html_template=_TEMPLATE, js_on_load=with_config(_ON_LOAD, config), **settings)

    def get_block_name(self) -> str:
        """The component of the browser that draws this one."""
        return "html"


def card(example: Example) -> dict[str, str]:
    """What the card of an example says: its title, model, method and sparsity, and why to look at it."""
    about = title(summary(example.records))
    return {"id": example.id, "name": example.name, "title": example.title, "about": about, "line": example.line}


def replayed(example: Example | None) -> LiveValue:
    """What the live view is given to replay a recorded run."""
    if example is None:
        return {}
    return {"run": example.id, "replay": True, "title": example.title, "caption": example.caption}


def wire_gallery(gallery: Gallery, examples: Mapping[str, Example], outputs: list[gr.components.Component]) -> None:
    """A card leads to its recorded run.

    Args:
        outputs: what the values of :func:`look_at` are for.
    """

    def choose(event: gr.EventData) -> list[Any]:
        return look_at(examples, str(event.example))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    gallery.chosen(choose, None, outputs, concurrency_limit=None, **quiet)


def look_at(examples: Mapping[str, Example], name: str) -> list[Any]:
    """What shows the example that a link or a card calls so: the id of the run that is looked at (none), the value of
    the live view, and an answer; an unknown name changes only the answer."""
    example = examples.get(f"{PREFIX}{name}")
    return ["", replayed(example), ""] if example else [gr.skip(), gr.skip(), UNKNOWN]
