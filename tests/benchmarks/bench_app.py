"""What the app costs a person in waiting: start, event to screen, bytes, answers side by side, a page beside a search.

    NEUROAL_DATA=data python tests/benchmarks/bench_app.py [--only start,stream,generate,busy] [--json FILE]

A real app process, asked over HTTP and by Chromium, with the default model in the data folder (fetched before anything
is measured). Server, viewers and browser share the machine, so figures are those of a machine that does all of it.
With ``--json`` figures of an earlier call stay in the file, so that the parts can be measured one by one.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from components.sides import USUAL
from neuroal.runs.examples import load_examples
from neuroal.runs.spec import DEFAULT_MODEL, RunSpec
from tests.benchmarks.bench_stream import Viewer, measure, p95
from tests.benchmarks.visitor import Visitor
from tests.conftest import CHROMIUM, CHROMIUM_ARGS
from tests.e2e.server import Server

ROOT = Path(__file__).resolve().parents[2]
CORES = os.cpu_count() or 1
ANSWER_TOKENS = 96
PROMPT = "Write a long story about a lighthouse keeper and the sea."

SMALL: dict[str, Any] = {"samples": 8, "length": 64, "eval_windows": 4, "eval_length": 64}
SEARCH: dict[str, Any] = {"top_up": "neuroal", "step": "both", "mode": "exact"}

# Runs in the page: when the live view drew, and the number of the last record that the picture holds.
NOTE_DRAWING = """() => {
  window.drawings = [];
  const draw = NeuroAL.LiveView.prototype.drawAll;
  NeuroAL.LiveView.prototype.drawAll = function () {
    draw.call(this);
    if (this.plotly && this.grid.offsetWidth)
      window.drawings.push([Date.now() / 1000, this.state.last]);
  };
}"""


@dataclass(frozen=True)
class Row:
    """One figure; ``most`` or ``least`` is what it is held to, where it is held to anything."""

    what: str
    figure: float
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def target(self) -> str:
        if self.most is not None:
            return f"at most {self.most:g} {self.unit}"
        return f"at least {self.least:g} {self.unit}" if self.least is not None else ""

    @property
    def met(self) -> str:
        if not self.target:
            return ""
        met = self.figure <= self.most if self.most is not None else self.figure >= (self.least or 0)
        return "yes" if met else "no"


@contextmanager
def app(**environment: str) -> Iterator[Server]:
    """The app as a person starts it, on the data folder of the caller, with a runs' store of its own."""
    data = Path(os.environ.get("NEUROAL_DATA") or ROOT / "data")
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "data")
        own.mkdir()
        (data / "models").mkdir(parents=True, exist_ok=True)
        (own / "models").symlink_to((data / "models").resolve())
        server = Server(own, Path(folder, "log"), OMP_NUM_THREADS=str(CORES), **environment)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def browser() -> Iterator[Page]:
    """A page of headless Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield chromium.new_page(viewport={"width": 1280, "height": 1000})
        chromium.close()


def wait_ready(server: Server) -> None:
    """Until the default model is loaded."""
    while not (said := re.search(r"components\.warmup: (.*)", server.log.read_text())):
        time.sleep(0.02)
    if "is ready" not in said[1]:
        raise RuntimeError(said[1])


# --- the parts ------------------------------------------------------------------------------------------------------


def start() -> list[Row]:
    """From the start of the process, best of three: other work on the machine only ever adds."""
    with app() as server:
        wait_ready(server)  # fetched and converted by now
    tries = []
    for _ in range(3):
        with browser() as page:
            began = time.perf_counter()
            with app() as server:
                answers = time.perf_counter() - began
                page.goto(server.url)
                page.wait_for_selector("#run")
                usable = time.perf_counter() - began
                wait_ready(server)
                tries.append((usable, answers, time.perf_counter() - began))
    usable, answers, ready = min(tries)
    return [
        Row("start: the page answers", answers, "s"),
        Row("start: the page is usable in a browser", usable, "s", most=6),
        Row("start: cached model ready after that", ready - usable, "s", most=3),
        Row("start: cached model ready after the start", ready, "s", most=9),
    ]


def stream() -> list[Row]:
    """Three short runs and the search of a real model, one after the other; two viewers each, one is a browser."""
    at_once = measure(8, 4)
    with app() as server, browser() as page:
        wait_ready(server)
        visitor = Visitor(server.url)
        specs = [RunSpec(model="tiny", seed=seed, **SEARCH | {"step": "block"}, **SMALL) for seed in range(3)]
        runs = [visitor.run(spec) for spec in (*specs, RunSpec(**SEARCH, **SMALL))]
        viewers = [Viewer(visitor.events(run)) for run in (*runs, *runs[:3])]
        threads = [viewer.start() for viewer in viewers]
        page.goto(f"{server.url}/?run={runs[3]}")
        page.wait_for_function("() => window.NeuroAL?.LiveView")
        page.evaluate(NOTE_DRAWING)
        for thread in threads[:3]:
            thread.join()
        page.wait_for_timeout(10_000)
        drawings = page.evaluate("() => window.drawings")
        arrivals = [list(viewer.arrivals) for viewer in viewers]
        late = whole_log(visitor.events(runs[0]))
        example = whole_log(visitor.events(next(iter(load_examples()))))
    sizes = [size for viewer in viewers for size in viewer.sizes]
    arrived = [at - moment for seen in arrivals for at, moment, _ in committed(seen)]
    drawn = [
        next((at for at, last in drawings if last >= n), None) - moment
        for _, moment, n in committed(arrivals[3])
        if drawings and moment > drawings[0][0] and n <= drawings[-1][1]
    ]
    return [
        Row("stream: event to arrival, p95", 1000 * p95(arrived), "ms", most=300),
        Row("stream: event to screen in Chromium, median", 1000 * statistics.median(drawn), "ms"),
        Row("stream: event to screen in Chromium, p95", 1000 * p95(drawn), "ms", most=300),
        Row("stream: 4 runs at once at 45 events a second, to arrival, p95", at_once["delay_ms_p95"], "ms", most=300),
        Row("stream: update, median", statistics.median(sizes), "bytes", most=1000),
        Row("stream: update, p95", p95(sizes), "bytes", most=1000),
        Row("stream: update, the largest", max(sizes), "bytes", most=1000),
        Row(f"stream: late viewer, short run ({late[1]} events)", late[0], "bytes"),
        Row("stream: late viewer, short run, per event", late[0] / late[1], "bytes", most=1000),
        Row(f"stream: late viewer, long run ({example[1]} events)", example[0], "bytes"),
        Row("stream: late viewer, long run, per event", example[0] / example[1], "bytes", most=1000),
    ]


def committed(arrivals: list[tuple[float, dict[str, Any]]]) -> Iterator[tuple[float, float, int]]:
    """(arrival, commit, number) of the records of a followed run, by the clock that its first event carries."""
    zero = None
    for at, record in arrivals:
        if record["kind"] == "RunStarted":
            zero = datetime.datetime.fromisoformat(record["started_at"]).timestamp() - record["t"]
        elif zero is not None:
            yield at, zero + record["t"], record["n"]


def whole_log(url: str) -> tuple[int, int]:
    """Bytes on the wire and events of a log that is over, as a late viewer gets it."""
    viewer = Viewer(url)
    viewer.view()
    return sum(viewer.sizes), len(viewer.arrivals)


def generate() -> list[Row]:
    """Both models in the app against one model alone, in a process of its own, on half of the cores."""
    half = max(1, CORES // 2)
    code = f"from tests.benchmarks.bench_app import alone; print(*alone({half}))"
    environment = {**os.environ, "OMP_NUM_THREADS": str(half), "OPENBLAS_NUM_THREADS": str(half)}
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    by_transformers, single = map(float, said.stdout.decode().split()[-2:])
    with app() as server:
        wait_ready(server)
        visitor = Visitor(server.url)
        run = visitor.run(RunSpec(pruner="magnitude", top_up="uniform", sparsity=0.1, **{**SMALL, "samples": 1}))
        visitor.wait_for(run, "RunFinished")
        asked = [PROMPT, True, "Greedy", 0.8, 0.95, 0, ANSWER_TOKENS, *USUAL, run]
        answer = visitor.handler("Generate", "click")
        both = max(both_rates(visitor.ask(answer, asked)[0]) for _ in range(2))
    return [
        Row("generate: one model alone on half of the cores, by transformers", by_transformers, "tokens/s"),
        Row("generate: one model alone on half of the cores, as the app multiplies", single, "tokens/s"),
        Row("generate: both together in the app", both, "tokens/s"),
        Row("generate: together against twice alone by transformers", both / (2 * by_transformers), "times", least=0.9),
        Row("generate: together against twice alone as the app multiplies", both / (2 * single), "times"),
    ]


def alone(cores: int) -> tuple[float, float]:
    """Tokens per second of the default model, nothing beside it, by transformers and as the app multiplies; the pruned
    one is as fast, its zeros are stored."""
    os.sched_setaffinity(0, range(cores))
    from neuroal.matvec import by_numpy
    from neuroal.models.loading import load
    from neuroal.twin import skeleton

    lm = load(DEFAULT_MODEL)
    ids = lm.tokenizer.apply_chat_template([{"role": "user", "content": PROMPT}], return_tensors="pt", return_dict=True)
    options = {"do_sample": False, "max_new_tokens": ANSWER_TOKENS, "min_new_tokens": ANSWER_TOKENS}
    quick = skeleton(lm.model)
    by_numpy(quick)

    def rate(model: Any) -> float:
        began = time.perf_counter()
        model.generate(**ids, **options)
        return ANSWER_TOKENS / (time.perf_counter() - began)

    return max(rate(lm.model) for _ in range(2)), max(rate(quick) for _ in range(2))


def both_rates(value: dict[str, Any]) -> float:
    """The sum of what stands below the two answers."""
    return sum(float(value[side]["stats"].split(", ")[1].split()[0]) for side in ("dense", "pruned"))


def busy(times: int = 40) -> list[Row]:
    """The page's answers while the default model is searched."""
    with app() as server:
        wait_ready(server)
        visitor, other = Visitor(server.url), Visitor(server.url)
        run = visitor.run(RunSpec(**SEARCH))
        visitor.wait_for(run, "BlockScored")
        own = other.handler("Top-up", "change", "NeuroAL step")
        asked = {
            "the estimate": lambda i: other.estimate(RunSpec(sparsity=0.5 + i / 1000)),
            "the settings of a top-up": lambda i: other.ask(own, ["owl" if i % 2 else "neuroal"]),
            "the bare page": lambda i: httpx.get(server.url).raise_for_status(),
        }
        waits = {what: waited(ask, times) for what, ask in asked.items()}
        with browser() as page:
            opened = waited(lambda _: (page.goto(f"{server.url}/?run={run}"), page.wait_for_selector("#run")), 3)
    shown = Row("busy: the page with that run, until usable in a browser", statistics.median(opened), "s")
    return [shown] + [
        row
        for what, seconds in waits.items()
        for row in (
            Row(f"busy: {what}, median", 1000 * statistics.median(seconds), "ms"),
            Row(f"busy: {what}, p95", 1000 * p95(seconds), "ms", most=200),
        )
    ]


def waited(ask: Callable[[int], object], times: int) -> list[float]:
    """Seconds of each of so many questions."""
    seconds = []
    for i in range(times):
        began = time.perf_counter()
        ask(i)
        seconds.append(time.perf_counter() - began)
        time.sleep(0.05)
    return seconds


PARTS: dict[str, Callable[[], list[Row]]] = {"start": start, "stream": stream, "generate": generate, "busy": busy}


def main() -> None:
    """Measures what is asked for and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument("--json", type=Path, help="file that the figures go to")
    given = parser.parse_args()
    rows = [row for part in given.only.split(",") for row in PARTS[part]()]
    print("| what | figure | target | met |\n|---|---|---|---|")
    for row in rows:
        figure = f"{row.figure:,.0f}" if row.figure >= 100 else f"{row.figure:.3g}"
        print(f"| {row.what} | {figure} {row.unit} | {row.target} | {row.met} |")
    if given.json:
        kept = json.loads(given.json.read_text()) if given.json.exists() else []
        names = {row.what.partition(":")[0] for row in rows}
        kept = [row for row in kept if row["what"].partition(":")[0] not in names]
        given.json.write_text(json.dumps(kept + [{**asdict(row), "met": row.met} for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
