"""The editor of the blocks' sparsity ratios as a component of the page: bars to drag beside the text box of the form.

The browser does all of it with ``assets/editor/``. The server says how many blocks there are, and what a run chose.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, TypedDict

import gradio as gr

from components.live import live_config
from components.scripts import LOADER, versioned, with_config

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "editor"

# In the order in which they need each other; all of them need those of the live view.
SCRIPTS = ("ratios.js", "text.js", "history.js", "bars.js", "controls.js", "editor.js")

_VISITS = itertools.count(1)

# Constant, see components/live.py.
_TEMPLATE = "<div class='na-editor' hidden></div>"

_ON_LOAD = (
    LOADER
    + """
const host = element.querySelector(".na-editor");
const sheets = config.styles.map((path) => load(path, sheet));
const view = Promise.all([...sheets, ...config.scripts.map((path) => load(path, script))]).then(() => {
  const edited = (text, target) => { props.value = { ...props.value, text, target, note: "" }; trigger("edited"); };
  const borrow = () => trigger("borrow");
  return new NeuroAL.RatioEditor(host, { edited, borrow });
});
const attach = () => view.then((editor) => editor.attach(props.value || {})).catch((error) => {
  host.hidden = false;
  host.textContent = "The editor could not be loaded. Reload the page to try again, or type your ratios.";
  console.error(error);
});
watch("value", attach);
attach();
"""
)


class EditorValue(TypedDict, total=False):
    """What the editor is told, and what it tells.

    Attributes:
        shown: whether it is seen at all. (Gradio's own ``visible`` is now and then lost where the value changes too.)
        blocks: decoder blocks of the model; 0 where they cannot be known, left out while they are not known yet.
        problem: why they are not known.
        note: a sentence that stays until the next change.
        text: the ratios as the text box has them; left out where the editor is to keep its own.
        target: the mean to aim at.
        slider: the sparsity that the form's slider says; it is aimed at when it has moved.
    """

    shown: bool
    blocks: int
    problem: str
    note: str
    text: str
    target: float
    slider: float


class RatioEditor(gr.HTML):
    """The editor. Its events: ``edited``, its value has another text or target; ``borrow``, a person wants the ratios
    of the run that is looked at."""

    def __init__(self, value: EditorValue | None = None, **kwargs: Any) -> None:
        gr.set_static_paths([ASSETS / name for name in (*SCRIPTS, "editor.css")])
        live = live_config()
        config = {
            "plotly": live["plotly"],
            "styles": [live["style"], versioned(ASSETS / "editor.css")],
            "scripts": [*live["scripts"], *(versioned(ASSETS / name) for name in SCRIPTS)],
        }
        settings = {"apply_default_css": False, "padding": False, **kwargs}
        super().__init__(value, html_template=_TEMPLATE, js_on_load=with_config(_ON_LOAD, config), **settings)

    def postprocess(self, value: EditorValue | None) -> dict[str, Any]:
        """The known keys that are given. ``visit`` differs each time, so that the same value is looked at again."""
        given = {name: value[name] for name in EditorValue.__annotations__ if name in (value or {})}
        return {**given, "visit": next(_VISITS)}

    def api_info(self) -> dict[str, Any]:
        """An object, for the page's own API documentation."""
        return {"type": "object"}

    def get_block_name(self) -> str:
        """The component of the browser that draws this one."""
        return "html"
