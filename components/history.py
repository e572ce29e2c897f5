"""The History tab: every run in a table, and two to four of them compared.

The table is a component of our own, because it has to do what gr.Dataframe cannot: buttons in cells, names and tags
edited in place, pinned rows, a deleted row that can be brought back, rows that become cards on a phone. It reads and
changes runs over the route of ``components/listing_route.py``, and the browser (``assets/history/``) does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from components.listing import HIDDEN, MOST_OWN, SECRET, STORAGE
from components.live import live_config
from components.refusal import REFUSED
from components.scripts import LOADER, versioned, with_config
from neuroal.topups import TOP_UPS

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "history"

# In the order in which they need each other; all of them need those of the live view.
SCRIPTS = (
    "labels.js", "row.js", "table.js", "undo.js", "compare_figures.js", "compare_tables.js",
    "compare_describe.js", "compare.js", "history.js",
)  # fmt: skip

# Constant, see components/live.py.
_TEMPLATE = "<div class='na-live na-history'></div>"

_ON_LOAD = (
    LOADER
    + """
const host = element.querySelector(".na-history");
const sheets = [...config.styles, config.style].map((path) => load(path, sheet));
Promise.all([...sheets, ...config.scripts.map((path) => load(path, script))]).then(() => {
  const open = (run) => trigger("opened", { run });
  return new NeuroAL.HistoryView(host, { ...config, plotly, open });
}).catch((error) => {
  host.textContent = "The list of runs could not be loaded. Reload the page to try again.";
  console.error(error);
});
"""
)

# After Run or Start was pressed, or a bundle was opened. The table may not be there yet, so this needs none of its
# scripts, only those of the live view.
_REMEMBER = f"""(run, answer) => {{
  if (!run || answer?.startsWith({json.dumps(REFUSED)})) return; // what is open is then another one
  const kept = (name) => {{ try {{ return localStorage.getItem(name); }} catch {{ return null; }} }};
  const keep = (name, value) => {{ try {{ localStorage.setItem(name, value); }} catch {{ /* it keeps nothing */ }} }};
  let own = [];
  try {{ own = JSON.parse(kept("{STORAGE}")) ?? []; }} catch {{ /* unreadable: begin anew */ }}
  keep("{STORAGE}", JSON.stringify([run, ...own.filter((id) => id !== run)].slice(0, {MOST_OWN})));
  if (!kept("{SECRET}")) {{
    const drawn = crypto.getRandomValues(new Uint8Array(16));
    keep("{SECRET}", [...drawn].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
  }}
  fetch(`${{NeuroAL.rootOf()}}/gradio_api/history`, {{
    method: "POST", headers: {{ "Content-Type": "application/json" }},
    body: JSON.stringify({{ do: "claim", id: run, browser: kept("{SECRET}") ?? "" }}),
  }}).catch(console.error).finally(() => document.dispatchEvent(new Event("na-started")));
}}"""

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class RunTable(gr.HTML):
    """The table. Its event ``opened`` (data: ``run``) says that a person wants to look at a run."""

    def __init__(self, **kwargs: Any) -> None:
        gr.set_static_paths([ASSETS / name for name in (*SCRIPTS, "history.css")])
        live = live_config()
        config = {
            **live,
            "styles": [live["style"]],
            "style": versioned(ASSETS / "history.css"),
            "scripts": [*live["scripts"], *(versioned(ASSETS / name) for name in SCRIPTS)],
            "hidden": HIDDEN,
            "claimed": claimed(),
        }
        settings = {"apply_default_css": False, "padding": False, **kwargs}
        super().__init__(None, html_template=_TEMPLATE, js_on_load=with_config(_ON_LOAD, config), **settings)

    def get_block_name(self) -> str:
        """The component of the browser that draws this one."""
        return "html"


def claimed() -> dict[str, list[str]]:
    """Settings that only some top-ups look at, and which: at others they are at rest, whatever they are set to."""
    found: dict[str, list[str]] = {}
    for top_up in TOP_UPS.entries:
        for name in (*top_up.settings, *(("step",) if top_up.steps else ())):
            found.setdefault(name, []).append(top_up.name)
    return found


@dataclass(frozen=True)
class History:
    """The components of the tab."""

    table: RunTable


def build_history() -> History:
    """The tab's components, created where the caller is; ``wire_history`` brings them to life."""
    return History(RunTable(elem_id="na-history"))


def wire_history(
    history: History,
    page: gr.Blocks,
    tabs: gr.Tabs,
    own: Iterable[tuple[Dependency, gr.components.Component, gr.components.Component]],
    show: Callable[[str], list[Any]],
    outputs: list[Any],
) -> None:
    """Connects the tab.

    Args:
        tabs: of the page; the ids ``prune`` and ``history`` are opened.
        own: what brings in a run or a sweep that is the visitor's own, such as pressing Run, where it leaves the id,
            which the browser then keeps, and where it says what came of it.
        show: values for ``outputs`` that lead to a run.
    """

    def open_run(event: gr.EventData) -> list[Any]:
        return [*show(str(event.run)), gr.Tabs(selected="prune")]

    def arrive(request: gr.Request) -> Any:
        """A link with ``?compare=`` leads here; the ids in it are read in the browser."""
        return gr.Tabs(selected="history") if request.query_params.get("compare") else gr.skip()

    for started, its_id, its_answer in own:
        started.then(None, [its_id, its_answer], None, js=_REMEMBER, **_QUIET)
    history.table.opened(open_run, None, [*outputs, tabs], concurrency_limit=None, **_QUIET)
    page.load(arrive, None, tabs, concurrency_limit=None, **_QUIET)
