"""How a component of ours brings its scripts and style sheets into the page, under whatever path a proxy serves it.

Gradio's own way, ``head``, does not know such a path. A file is loaded once, however many components ask for it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

# The beginning of a component's ``js_on_load``: ``load(path, script)`` and ``load(path, sheet)`` give promises, and so
# does ``seen()``, kept once the component is on the screen: what nobody looks at need not be loaded.
LOADER = """
const root = new URL(window.gradio_config?.root || ".", document.baseURI);
const origin = root.hostname === location.hostname ? location.origin : root.origin;
const base = origin + root.pathname.replace(/\\/$/, "");
const loads = (window.NeuroALLoads ||= new Map());
function load(path, make) {
  if (!loads.has(path)) loads.set(path, new Promise((resolve, reject) => {
    const node = make(`${base}/gradio_api/file=${path}`);
    node.onload = resolve;
    node.onerror = () => { loads.delete(path); reject(new Error(`${path} could not be loaded.`)); };
    document.head.append(node);
  }));
  return loads.get(path);
}
const script = (src) => Object.assign(document.createElement("script"), { src, async: false });
const sheet = (href) => Object.assign(document.createElement("link"), { rel: "stylesheet", href });
const seen = () => new Promise((resolve) => {
  const look = new ResizeObserver(() => {
    if (element.offsetWidth) { look.disconnect(); resolve(); }
  });
  look.observe(element);
});
// The page may hold another Plotly (gr.Plot brings one): this one is kept by name as soon as it has run.
const plotly = load(config.plotly, script).then(() => (window.NeuroALPlotly ||= window.Plotly));
"""


def with_config(code: str, config: dict[str, Any]) -> str:
    """A ``js_on_load`` that begins with ``config``, of which LOADER wants the path ``plotly``."""
    return f"const config = {json.dumps(config)};\n{code}"


def versioned(path: Path) -> str:
    """The path with a hash of the file, so that no stale copy is used."""
    return f"{path.as_posix()}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
