"""Bytes and delay of the event stream with one and with several viewers of one run.

    python tests/benchmarks/bench_stream.py

Events are appended at the pace of a real search (45 a second) to the real log and store; viewers are HTTP clients on
loopback. Delay: from the commit of an event to its arrival; a browser adds up to one animation frame.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
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


class Source:
    """One run, and when each of its events was committed."""

    def __init__(self, folder: Path) -> None:
        store = Store(folder)
        store.add_run("run", "key", "{}", private=False)
        self.log, self.committed = RunLog("run", store), {}

    def read(self, run_id: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        """As ``Jobs.read``."""
        return self.log.read(after)

    def feed(self) -> None:
        """Appends at a steady pace."""
        self.log.start_clock()
        for i in range(EVENTS):
            record = self.log.append(BlockScored("block", i // 30, 0.01, i % 30, 1.2345678901234e-05))
            self.committed[record["n"]] = time.perf_counter()
            time.sleep(1 / PER_SECOND)
        self.log.append(RunFinished(1.0, 0))


def view(url: str, arrivals: list[tuple[int, float]], sizes: list[int]) -> None:
    """One viewer: notes when each event arrives and how large each message is."""
    with httpx.stream("GET", f"{url}gradio_api/runs/run/events", timeout=60) as response:
        for line in response.iter_lines():
            if line.startswith("data: ["):
                now, records = time.perf_counter(), json.loads(line[6:])
                sizes.append(len(line))
                arrivals += [(record["n"], now) for record in records]


def measure(viewers: int) -> dict[str, float]:
    """Median and p95 of delay in ms and of bytes per message; lost or doubled events are an error."""
    with tempfile.TemporaryDirectory() as folder:
        source = Source(Path(folder))
        with gr.Blocks() as page:
            gr.Markdown("bench")
        app, url, _ = page.launch(prevent_thread_lock=True, quiet=True)
        add_event_route(app, source)
        seen: list[list[tuple[int, float]]] = [[] for _ in range(viewers)]
        sizes: list[int] = []
        threads = [threading.Thread(target=view, args=(url, arrivals, sizes)) for arrivals in seen]
        for thread in threads:
            thread.start()
        time.sleep(1)
        cpu, started = time.process_time(), time.perf_counter()
        source.feed()
        for thread in threads:
            thread.join()
        cores = (time.process_time() - cpu) / (time.perf_counter() - started)
        page.close()
    for arrivals in seen:
        assert [n for n, _ in arrivals] == list(range(1, EVENTS + 2)), "an event was lost, doubled or out of order"
    delays = [(at - source.committed[n]) * 1000 for arrivals in seen for n, at in arrivals if n in source.committed]
    return {
        "viewers": viewers,
        "bytes_median": statistics.median(sizes),
        "bytes_p95": statistics.quantiles(sizes, n=20)[-1],
        "delay_ms_median": round(statistics.median(delays)),
        "delay_ms_p95": round(statistics.quantiles(delays, n=20)[-1]),
        "cores_with_viewers": round(cores, 2),
    }


if __name__ == "__main__":
    for count in (1, 8):
        print(json.dumps(measure(count)))
