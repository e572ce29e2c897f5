"""The Learn tab: the guided path through neuron alignment, as a component of the page.

The browser does all of it with ``assets/learn/``; figures come from the route of ``components/learn_route.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from components import ratio_editor
from components.live import live_config
from components.scripts import LOADER, versioned, with_config

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "learn"

# In the order in which they need each other; all of them need those of the live view and of the editor of ratios.
SCRIPTS = (
    "words.js", "formulas.js", "lessons.js", "challenges.js", "controls.js", "settings.js", "answers.js",
    "figures.js", "figures_blocks.js", "figures_challenge.js", "model_map.js", "challenge_panel.js", "stage.js",
    "learn.js",
)  # fmt: skip

# Constant, see components/live.py.
_TEMPLATE = "<div class='na-live na-learn'></div>"

_ON_LOAD = (
    LOADER
    + """
const host = element.querySelector(".na-learn");
seen().then(() => Promise.all([
  ...config.styles.map((path) => load(path, sheet)), ...config.scripts.map((path) => load(path, script)),
]))
  .then(() => new NeuroAL.LearnView(host, { palettes: config.palettes, plotly }))
  .catch((error) => {
    host.textContent = "The lessons could not be loaded. Reload the page to try again.";
    console.error(error);
  });
"""
)

# Run with the page itself: what a link's page wants is asked for (by answers.js) while Gradio still builds the tab. The
# tab says it where something could not be loaded.
_IS_LINKED = 'new URLSearchParams(location.search).has("learn")'
_ON_ARRIVAL = (
    LOADER
    + """
for (const loaded of [plotly, ...config.scripts.map((path) => load(path, script))]) loaded.catch(() => {});
return [];
"""
)


class LearnPath(gr.HTML):
    """The guided path; it holds nothing that the server would have to know."""

    def __init__(self, **kwargs: Any) -> None:
        settings = {"apply_default_css": False, "padding": False, **kwargs}
        super().__init__(None, html_template=_TEMPLATE, js_on_load=with_config(_ON_LOAD, learn_config()), **settings)

    def get_block_name(self) -> str:
        """The component of the browser that draws this one."""
        return "html"


def learn_config() -> dict[str, Any]:
    """What the scripts of the path need to know: the live view's, and files of their own."""
    own = [*(ratio_editor.ASSETS / name for name in ratio_editor.SCRIPTS), *(ASSETS / name for name in SCRIPTS)]
    styles = [ratio_editor.ASSETS / "editor.css", ASSETS / "learn.css"]
    gr.set_static_paths([*own, *styles])
    live = live_config()
    return {
        **live,
        "styles": [live["style"], *map(versioned, styles)],
        "scripts": [*live["scripts"], *map(versioned, own)],
    }


def wire_learn(page: gr.Blocks, tabs: gr.Tabs) -> None:
    """A link with ``?learn=PAGE`` opens the tab; the browser finds the page."""

    def arrive(request: gr.Request) -> Any:
        return gr.Tabs(selected="learn") if "learn" in request.query_params else gr.skip()

    script = f"() => {{ if (!{_IS_LINKED}) return []; {with_config(_ON_ARRIVAL, learn_config())} }}"
    page.load(arrive, None, tabs, js=script, concurrency_limit=None, show_progress="hidden", api_visibility="private")
