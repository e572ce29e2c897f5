"""Bytes and delay of the event stream: one and several runs that go at once, each with its viewers.

    python tests/benchmarks/bench_stream.py

Events are appended at the pace of a real search (45 a second and run) to the real log and store; viewers are HTTP
clients on loopback, in this same process. Delay: from the commit of an event to its arrival; a browser adds up to a
tenth of a second until it draws.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from components.stream import add_event_route
from neuroal.runs.events import BlockScored, RunFinished
from neuroal.runs.log import RunLog
from neuroal.runs.store import Store

EVENTS, PER_SECOND = 450, 45


@dataclass
class Viewer:
    """One HTTP viewer of one run: when each record came (as ``clock`` has it), and the size of each message.

    Attributes:
        sizes: bytes of each message on the wire, as the server compressed it.
    """

    url: str
    clock: Callable[[], float] = time.time
    arrivals: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def view(self) -> None:
        """Reads until the run is over, or the server is."""
        with suppress(httpx.RemoteProtocolError):
            self._read()

    def _read(self) -> None:
        headers = {"Accept-Encoding": "gzip"}  # as a browser
        with httpx.stream("GET", self.url, timeout=120, headers=headers) as response:
            before = 0
            for line in response.iter_lines():
                if line.startswith("data: ["):
                    now, records = self.clock(), json.loads(line[6:])
                    self.sizes.append(response.num_bytes_downloaded - before)
                    self.arrivals += [(now, record) for record in records]
                before = response.num_bytes_downloaded if line.startswith("data:") else before

    def start(self) -> threading.Thread:
        """Views in a thread."""
        thread = threading.Thread(target=self.view, daemon=True)
        thread.start()
        return thread


class Source:
    """Runs by name, and when each of their events was committed."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        store = Store(folder)
        self.logs: dict[str, RunLog] = {}
        self.committed: dict[tuple[str, int], float] = {}
        for name in names:
            store.add_run(name, name, "{}", private=False)
            self.logs[name] = RunLog(name, store)

    def read(self, run_id: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        """As ``Jobs.read``."""
        return self.logs[run_id].read(after)

    def feed(self, name: str) -> None:
        """Appends at a steady pace."""
        log = self.logs[name]
        log.start_clock()
        for i in range(EVENTS):
            record = log.append(BlockScored("block", i // 30, 0.01, i % 30, 1.2345678901234e-05))
            self.committed[name, record["n"]] = time.time()
            time.sleep(1 / PER_SECOND)
        log.append(RunFinished(1.0, 0))


def p95(values: Iterable[float]) -> float:
    """The value that one in twenty exceeds."""
    return statistics.quantiles(values, n=20)[-1]


def measure(viewers: int, runs: int = 1) -> dict[str, float]:
    """Delay in ms and bytes per message of that many viewers, spread over the runs; a lost event is an error."""
    names = [f"run{i}" for i in range(runs)]
    with tempfile.TemporaryDirectory() as folder:
        source = Source(Path(folder), names)
        with gr.Blocks() as page:
            gr.Markdown("bench")
        app, url, _ = page.launch(prevent_thread_lock=True, quiet=True)
        add_event_route(app, source)
        watched = [names[i % runs] for i in range(viewers)]
        seen = [Viewer(f"{url}gradio_api/runs/{name}/events") for name in watched]
        threads = [viewer.start() for viewer in seen]
        time.sleep(1)
        cpu, started = time.process_time(), time.perf_counter()
        feeders = [threading.Thread(target=source.feed, args=(name,)) for name in names]
        for feeder in feeders:
            feeder.start()
        for thread in (*feeders, *threads):
            thread.join()
        cores = (time.process_time() - cpu) / (time.perf_counter() - started)
        page.close(verbose=False)
    for viewer in seen:
        numbers = [record["n"] for _, record in viewer.arrivals]
        assert numbers == list(range(1, EVENTS + 2)), "an event was lost, doubled or out of order"
    arrived = [(name, at, record["n"]) for name, v in zip(watched, seen, strict=True) for at, record in v.arrivals]
    delays = [(at - source.committed[name, n]) * 1000 for name, at, n in arrived if (name, n) in source.committed]
    sizes = [size for viewer in seen for size in viewer.sizes]
    return {
        "viewers": viewers,
        "runs": runs,
        "bytes_median": statistics.median(sizes),
        "bytes_p95": p95(sizes),
        "bytes_largest": max(sizes),
        "delay_ms_median": round(statistics.median(delays)),
        "delay_ms_p95": round(p95(delays)),
        "cores_with_viewers": round(cores, 2),
    }


if __name__ == "__main__":
    for count, running in ((1, 1), (8, 1), (8, 4)):
        print(json.dumps(measure(count, running)))
