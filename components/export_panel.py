"""Take it away, as a component of the page: it holds a run's id, and the browser does the rest.

Once it is opened, the browser asks the routes of ``components/export_route.py`` and draws with ``assets/export/``.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
from pathlib import Path
from typing import Any, TypedDict

import gradio as gr

from components.live import LiveRun, live_config
from components.scripts import LOADER, versioned, with_config
from neuroal.export.forms import FORMS, ONNX

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "export"

# In the order in which they need each other; all of them need those of the live view.
SCRIPTS = ("words.js", "upload.js", "export.js")

_VISITS = itertools.count(1)

# Constant, see components/live.py.
_TEMPLATE = "<details class='na-live na-export' hidden></details>"

_ON_LOAD = (
    LOADER
    + """
const host = element.querySelector(".na-export");
const sheets = config.styles.map((path) => load(path, sheet));
const view = Promise.all([...sheets, ...config.scripts.map((path) => load(path, script))]).then(() =>
  new NeuroAL.ExportView(host, config));
const attach = () => view.then((panel) => panel.attach(props.value || {})).catch((error) => {
  host.hidden = false;
  host.textContent = "This part of the page could not be loaded. Reload the page to try again.";
  console.error(error);
});
watch("value", attach);
attach();
"""
)


class ExportValue(TypedDict, total=False):
    """Whose model is taken away: ``run``, the id of a run; empty to show nothing."""

    run: str


class ExportPanel(gr.HTML):
    """The panel, closed at first."""

    def __init__(self, value: ExportValue | None = None, **kwargs: Any) -> None:
        gr.set_static_paths([ASSETS / name for name in (*SCRIPTS, "export.css")])
        live = live_config()
        config = {
            "plotly": live["plotly"],
            "styles": [live["style"], versioned(ASSETS / "export.css")],
            "scripts": [*live["scripts"], *(versioned(ASSETS / name) for name in SCRIPTS)],
            "forms": [vars(form) | {"copies": None} for form in FORMS.values() if form.suffix],
            "onnx": ONNX,
            "oauth": has_sign_in(),
        }
        settings = {"apply_default_css": False, "padding": False, **kwargs}
        super().__init__(value, html_template=_TEMPLATE, js_on_load=with_config(_ON_LOAD, config), **settings)

    def postprocess(self, value: ExportValue | None) -> dict[str, Any]:
        """Plain values. ``visit`` differs each time, so that a run that has finished meanwhile is looked at again."""
        return {"run": str((value or {}).get("run") or ""), "visit": next(_VISITS)}

    def api_info(self) -> dict[str, Any]:
        """An object, for the page's own API documentation."""
        return {"type": "object"}

    def get_block_name(self) -> str:
        """The component of the browser that draws this one."""
        return "html"


def has_sign_in() -> bool:
    """Whether visitors can sign in with Hugging Face: on a Space that asks for it. Elsewhere Gradio would mock it."""
    needed = ("authlib", "itsdangerous")
    return bool(os.environ.get("OAUTH_CLIENT_ID")) and all(map(importlib.util.find_spec, needed))


def build_sign_in() -> None:
    """Gradio's own button, where visitors can sign in."""
    if has_sign_in():
        gr.LoginButton(size="sm", elem_id="sign-in")


def wire_export(panel: ExportPanel, live: LiveRun) -> None:
    """The panel is about the run that the live view looks at."""

    def follow(value: dict[str, Any] | None) -> ExportValue:
        return {"run": (value or {}).get("run", "")}

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    live.change(follow, live, panel, **quiet)
    live.finished(follow, live, panel, **quiet)
