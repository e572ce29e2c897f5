"""How long a learner waits: from the move of a control to the redrawn figure, for every page of the guided path.

    python tests/benchmarks/bench_learn.py [--moves 8] [--json FILE]

Starts the app and Chromium on this machine. Each move asks for settings that were not asked before, so nothing comes
from a cache; page 1 is opened once before, so that the engine and the teaching model are there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.sync_api import Page, sync_playwright

from tests.conftest import CHROMIUM, CHROMIUM_ARGS
from tests.e2e.server import Server

# Moves the control and waits until every figure of the page has been drawn from the answer.
MOVE = """async ([label, value]) => {
  const input = [...document.querySelectorAll(".na-learn .na-control")]
    .find((node) => node.textContent.startsWith(label)).querySelector("input, select");
  const quiet = () => !document.querySelector(".na-learn").hasAttribute("aria-busy");
  const before = performance.now();
  input.value = value;
  input.dispatchEvent(new Event(input.tagName === "SELECT" ? "change" : "input", { bubbles: true }));
  await new Promise((wait) => setTimeout(wait, 70));
  while (!quiet()) await new Promise((wait) => setTimeout(wait, 4));
  await new Promise((frame) => requestAnimationFrame(() => requestAnimationFrame(frame)));
  return performance.now() - before;
}"""


def moves(page: Page, lesson: str, count: int) -> list[float]:
    """Milliseconds of each move on one page; none on that of a challenge, which is measured by its attempts."""
    page.wait_for_selector(".na-learn .js-plotly-plot", timeout=60_000)
    page.wait_for_function("() => !document.querySelector('.na-learn').hasAttribute('aria-busy')")
    labels = page.locator(".na-learn .na-control").all_inner_texts()
    if any(text.startswith("Sparsity") for text in labels):
        asked = [("Sparsity", str(round(0.3 + 0.05 * i, 2))) for i in range(count)]
    elif any(text.startswith("Block") for text in labels):
        asked = [("Block", str(i)) for i in (0, 1, 2, 4, 5, 6, 7)][:count]
    else:
        return []
    return [page.evaluate(MOVE, list(move)) for move in asked]


def main() -> None:
    """Prints a table, and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=8)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder) / "data", Path(folder) / "log", NEUROAL_DEFAULT_MODEL="tiny", OMP_NUM_THREADS="2")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        try:
            page.goto(f"{server.url}/?learn=linear")
            page.wait_for_selector(".na-learn .js-plotly-plot", timeout=60_000)
            for lesson in page.evaluate("() => NeuroAL.LESSONS.map((lesson) => lesson.id)"):
                page.goto(f"{server.url}/?learn={lesson}")
                waits = moves(page, lesson, arguments.moves)
                if not waits:
                    continue
                found[lesson] = {"median": statistics.median(waits), "largest": max(waits)}
                print(
                    f"{lesson:12} median {found[lesson]['median']:6.0f} ms   largest {max(waits):6.0f} ms", flush=True
                )
        finally:
            browser.close()
            server.stop()
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
