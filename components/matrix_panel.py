"""Inside one matrix, as a component of the page: it holds a run's id, and the browser does the rest.

Once it is opened, the browser asks the routes of ``components/matrix_route.py`` and draws with ``assets/matrix/``.
A link with ``?run=...&matrix=3.mlp.down_proj`` opens it at that matrix.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, TypedDict

import gradio as gr

from components.live import LiveRun, live_config
from components.scripts import LOADER, versioned, with_config

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "matrix"

# It keeps the address of the page as the history does.

# In the order in which they need each other; all of them need those of the live view. The first ones are enough for a
# canvas alone: ``NeuroAL.MatrixCanvas``.
CANVAS = ("cells.js", "viewport.js", "paint.js", "gestures.js", "canvas.js")
SCRIPTS = (*CANVAS, "figures.js", "words.js", "source.js", "cards.js", "matrix.js")

_VISITS = itertools.count(1)

# Constant, see components/live.py.
_TEMPLATE = "<details class='na-live na-matrix' hidden></details>"

_ON_LOAD = (
    LOADER
    + """
const host = element.querySelector(".na-matrix");
const sheets = config.styles.map((path) => load(path, sheet));
const view = Promise.all([...sheets, ...config.scripts.map((path) => load(path, script))]).then(() =>
  new NeuroAL.MatrixView(host, { palettes: config.palettes, plotly }));
const attach = () => view.then((matrix) => matrix.attach(props.value || {})).catch((error) => {
  host.hidden = false;
  host.textContent = "The view of a matrix could not be loaded. Reload the page to try again.";
  console.error(error);
});
watch("value", attach);
attach();
"""
)


class MatrixValue(TypedDict, total=False):
    """What is looked into: ``run``, the id of a run; empty to show nothing."""

    run: str


class MatrixPanel(gr.HTML):
    """The panel, closed at first."""

    def __init__(self, value: MatrixValue | None = None, **kwargs: Any) -> None:
        gr.set_static_paths([ASSETS / name for name in (*SCRIPTS, "matrix.css")])
        live = live_config()
        config = {
            "plotly": live["plotly"],
            "palettes": live["palettes"],
            "styles": [live["style"], versioned(ASSETS / "matrix.css")],
            "scripts": [*live["scripts"], *(versioned(ASSETS / name) for name in SCRIPTS)],
        }
        settings = {"apply_default_css": False, "padding": False, **kwargs}
        super().__init__(value, html_template=_TEMPLATE, js_on_load=with_config(_ON_LOAD, config), **settings)

    def postprocess(self, value: MatrixValue | None) -> dict[str, Any]:
        """Plain values. ``visit`` differs each time, so that a run that has finished meanwhile is looked at again."""
        return {"run": str((value or {}).get("run") or ""), "visit": next(_VISITS)}

    def api_info(self) -> dict[str, Any]:
        """An object, for the page's own API documentation."""
        return {"type": "object"}

    def get_block_name(self) -> str:
        """The component of the browser that draws this one."""
        return "html"


def wire_matrix(panel: MatrixPanel, live: LiveRun) -> None:
    """The panel looks into the run that the live view looks at."""

    def follow(value: dict[str, Any] | None) -> MatrixValue:
        return {"run": (value or {}).get("run", "")}

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    live.change(follow, live, panel, **quiet)
    live.finished(follow, live, panel, **quiet)
