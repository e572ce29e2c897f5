"""The live view as a component of the page: it holds a run's id, and the browser does the rest.

The browser reads the run's events from the route of ``components/stream.py`` and draws with ``assets/live/``. Scripts
and styles are loaded by the component itself, under whatever path a proxy serves the app; a page only creates it.
"""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any, TypedDict

import gradio as gr
import plotly

from components.charts import DARK, LIGHT
from components.listing import SECRET, STORAGE
from components.scripts import LOADER, versioned, with_config
from neuroal.runs.spec import RunSpec

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "live"
PLOTLY_JS = Path(plotly.__file__).resolve().parent / "package_data" / "plotly.min.js"

# In the order in which they need each other.
SCRIPTS = (
    "fold.js", "status.js", "plotting.js", "heatmaps.js", "spread.js", "figures.js", "facts.js", "describe.js",
    "picture.js", "cards.js", "nearness.js", "tables.js", "damage.js", "repeat.js", "source.js", "client.js",
    "narrate.js", "stops.js", "player.js", "timeline.js", "summary.js", "summary_sheet.js", "live.js",
)  # fmt: skip

_VISITS = itertools.count(1)

# Untrusted text never goes through a template (Gradio evaluates them): this one is constant, and filled by live.js.
_TEMPLATE = "<div class='na-live' hidden></div>"

_ON_LOAD = (
    LOADER
    + """
const view = Promise.all([load(config.style, sheet), ...config.scripts.map((path) => load(path, script))]).then(() => {
  const finished = (run, status) => trigger("finished", { run, status });
  const host = element.querySelector(".na-live");
  const mapped = (run, sweep) => trigger("mapped", { run, sweep });
  return new NeuroAL.LiveView(host, { ...config, plotly, finished, mapped });
});
const attach = () => view.then((live) => live.attach(props.value || {})).catch((error) => {
  const host = element.querySelector(".na-live");
  host.hidden = false;
  host.textContent = "The live view could not be loaded. Reload the page to try again.";
  console.error(error);
});
watch("value", attach);
attach();
"""
)


class LiveValue(TypedDict, total=False):
    """What the view looks at.

    Attributes:
        run: id of a run; empty to show nothing.
        replay: replay the whole log in about 20 seconds instead of following it.
        title: plain text above the caption.
        caption: plain text above the view: what a person is looking at.
    """

    run: str
    replay: bool
    title: str
    caption: str


class LiveRun(gr.HTML):
    """A run, live or replayed. Its events: ``finished`` (data: ``run``, ``status``), a followed run is over; ``mapped``
    (data: ``run``, ``sweep``), a person wants to see a run on the map of a sweep, or of single runs where that is
    empty."""

    def __init__(self, value: LiveValue | None = None, **kwargs: Any) -> None:
        gr.set_static_paths([PLOTLY_JS, *(ASSETS / name for name in (*SCRIPTS, "live.css"))])
        settings = {"apply_default_css": False, "padding": False, **kwargs}
        super().__init__(value, html_template=_TEMPLATE, js_on_load=with_config(_ON_LOAD, live_config()), **settings)

    def postprocess(self, value: LiveValue | None) -> dict[str, Any]:
        """Plain values of the known keys. ``visit`` differs each time, so that the same run can be attached again."""
        given = value or {}
        return {
            "run": str(given.get("run") or ""),
            "replay": bool(given.get("replay")),
            "title": str(given.get("title") or ""),
            "caption": str(given.get("caption") or ""),
            "visit": next(_VISITS),
        }

    def api_info(self) -> dict[str, Any]:
        """An object, for the page's own API documentation."""
        return {"type": "object"}

    def get_block_name(self) -> str:
        """The component of the browser that draws this one."""
        return "html"


def live_config() -> dict[str, Any]:
    """What the browser needs to build the view, and others that draw as it does.

    Paths carry a hash of the file, so that no stale copy is used.
    """
    return {
        "plotly": f"{PLOTLY_JS.as_posix()}?v={plotly.__version__}",
        "style": versioned(ASSETS / "live.css"),
        "scripts": [versioned(ASSETS / name) for name in SCRIPTS],
        "palettes": {"light": LIGHT, "dark": DARK},
        "settings": settings(),
        "storage": STORAGE,
        "secret": SECRET,
    }


def settings() -> list[dict[str, Any]]:
    """The fields of RunSpec as the browser needs them to tell which settings of a run were changed, and how."""
    found = []
    for field in dataclasses.fields(RunSpec):
        choices = field.metadata.get("choices")
        found.append(
            {
                "name": field.name,
                "label": field.metadata["label"],
                "default": field.default,
                "choices": choices if isinstance(choices, dict) else None,
            }
        )
    return found
