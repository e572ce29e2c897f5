"""The map of a sweep as a component of the page: it holds a sweep's id, and the browser does the rest.

The browser reads the sweep's events from the route of ``components/stream.py`` and draws with ``assets/map/``.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, TypedDict

import gradio as gr

from components.live import live_config
from components.scripts import LOADER, versioned, with_config

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "map"

# In the order in which they need each other; all of them need those of the live view.
SCRIPTS = ("fold.js", "figures.js", "narrow.js", "text.js", "map.js")

_VISITS = itertools.count(1)

# Constant, see components/live.py.
_TEMPLATE = "<div class='na-live na-map' hidden></div>"

_ON_LOAD = (
    LOADER
    + """
const host = element.querySelector(".na-map");
const sheets = config.styles.map((path) => load(path, sheet));
const view = Promise.all([...sheets, ...config.scripts.map((path) => load(path, script))]).then(() => {
  const open = (run) => trigger("opened", { run });
  const changed = (sweep, status) => trigger("changed", { sweep, status });
  return new NeuroAL.MapView(host, { ...config, plotly, open, changed });
});
const attach = () => view.then((map) => map.attach(props.value || {})).catch((error) => {
  host.hidden = false;
  host.textContent = "The map could not be loaded. Reload the page to try again.";
  console.error(error);
});
watch("value", attach);
attach();
"""
)


class MapValue(TypedDict, total=False):
    """What the map shows.

    Attributes:
        sweep: id of a sweep, or of a recorded one.
        run: one that is to be found on the map; without a sweep the map is of single runs, and without both nothing
            is shown.
        caption: plain text above the map: what a person is looking at.
    """

    sweep: str
    run: str
    caption: str


class TradeoffMap(gr.HTML):
    """The map. Its events: ``opened`` (data: ``run``), a person wants to look at a run; ``changed`` (data: ``sweep``,
    ``status``), the sweep is in another state than before."""

    def __init__(self, value: MapValue | None = None, **kwargs: Any) -> None:
        gr.set_static_paths([ASSETS / name for name in (*SCRIPTS, "map.css")])
        live = live_config()
        config = {
            **live,
            "styles": [live["style"], versioned(ASSETS / "map.css")],
            "scripts": [*live["scripts"], *(versioned(ASSETS / name) for name in SCRIPTS)],
        }
        settings = {"apply_default_css": False, "padding": False, **kwargs}
        super().__init__(value, html_template=_TEMPLATE, js_on_load=with_config(_ON_LOAD, config), **settings)

    def postprocess(self, value: MapValue | None) -> dict[str, Any]:
        """Plain values. ``visit`` differs each time, so that the same sweep can be attached again."""
        given = value or {}
        return {name: str(given.get(name) or "") for name in ("sweep", "run", "caption")} | {"visit": next(_VISITS)}

    def api_info(self) -> dict[str, Any]:
        """An object, for the page's own API documentation."""
        return {"type": "object"}

    def get_block_name(self) -> str:
        """The component of the browser that draws this one."""
        return "html"
