"""Many at once: viewers of runs, a long queue, a visitor that hammers, and hours on end.

    python tests/benchmarks/bench_load.py [--only stream,gradio,queue,hammer,hours] [--json FILE]

Server and clients share the machine over loopback. Viewers are a process of their own; delays are from the commit of an
event to its arrival there, by the one clock of the machine. ``gradio`` is the same load over Gradio's own way, a
generator for each viewer, to compare with.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a run then computes on one thread, whose time can be told from the rest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import gradio as gr
import psutil

from components.stream import add_event_route
from neuroal.runs.events import BlockScored, RunFinished
from neuroal.runs.jobs import Jobs
from neuroal.runs.log import RunLog
from neuroal.runs.queue import WAITING_EACH
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop
from tests.benchmarks.bench_stream import p95

ROOT = Path(__file__).resolve().parents[2]
VIEWERS, RUNS, EVENTS, PER_SECOND = 40, 8, 900, 45
PEOPLE = 67  # with three runs each about two hundred
HOURS, RUNS_AN_HOUR = 8, 6 * RUNS
SEARCH = RunSpec(model="tiny", mode="exact", samples=64, length=256, evaluations=())


class Fed:
    """Runs whose events come at the pace of a real search, beside those of a workshop."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop, self.logs = workshop, {}
        self.committed: dict[str, float] = {}

    def read(self, run_id: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        """As ``Jobs.read``."""
        return self.logs[run_id].read(after) if run_id in self.logs else self.workshop.jobs.read(run_id, after)

    def add(self, run_id: str) -> None:
        """A run whose log is empty."""
        store = self.workshop.jobs.store
        store.add_run(run_id, run_id, "{}", private=False)
        self.logs[run_id] = RunLog(run_id, store)

    def feed(self, run_id: str, pause: float = 1 / PER_SECOND, events: int = EVENTS) -> None:
        """Appends to it, and ends it."""
        log = self.logs[run_id]
        log.start_clock()
        for i in range(events):
            record = log.append(BlockScored("block", i // 30, 0.01, i % 30, 1.2345678901234e-05))
            self.committed[f"{run_id} {record['n']}"] = time.time()
            time.sleep(pause)
        log.append(RunFinished(1.0, 0))


# --- viewers, in a process of their own -----------------------------------------------------------------------------


def view(urls: list[str]) -> None:
    """Views all of these; prints when each record came, as JSON."""
    from tests.benchmarks.bench_stream import Viewer

    viewers = [Viewer(url) for url in urls]
    threads = [viewer.start() for viewer in viewers]
    print("looking", flush=True)
    for thread in threads:
        thread.join()
    arrivals = [[(at, record["n"]) for at, record in viewer.arrivals] for viewer in viewers]
    print(json.dumps({"arrivals": arrivals, "bytes": sum(sum(viewer.sizes) for viewer in viewers)}))


def view_gradio(home: str, runs: list[str]) -> None:
    """As :func:`view`, over Gradio's queue: each viewer asks for the stream of a run and reads what comes of it."""
    import httpx

    arrivals: list[list[tuple[float, int]]] = [[] for _ in runs]
    received = [0] * len(runs)

    def one(index: int, run: str) -> None:
        with httpx.Client(base_url=home, timeout=120) as http:
            event = http.post("/gradio_api/call/watch", json={"data": [run]}).raise_for_status().json()["event_id"]
            with http.stream("GET", f"/gradio_api/call/watch/{event}") as answer:
                kind = ""
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        kind = line[7:]
                    # What is complete is the last value once more.
                    elif kind == "generating" and line.startswith("data: [") and (records := json.loads(line[6:])[0]):
                        now = time.time()
                        arrivals[index] += [(now, record["n"]) for record in records]
                received[index] = answer.num_bytes_downloaded

    threads = [threading.Thread(target=one, args=each) for each in enumerate(runs)]
    for thread in threads:
        thread.start()
    print("looking", flush=True)
    for thread in threads:
        thread.join()
    print(json.dumps({"arrivals": arrivals, "bytes": sum(received)}))


@contextmanager
def clients(*arguments: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """The viewers' process, once it looks; what it gives is called when all is over."""
    command = [sys.executable, __file__, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdout.readline() == "looking\n"
        yield lambda: json.loads(process.stdout.read())


# --- the parts ------------------------------------------------------------------------------------------------------


def watched(gradio: bool = False) -> dict[str, Any]:
    """40 viewers of 8 runs while one search runs. A lost, doubled or disordered event is an error."""
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder), apart=True)
        source = Fed(workshop)
        names = [f"run{i}" for i in range(RUNS)]
        for name in names:
            source.add(name)
        app, url, page = _served(source, gradio)
        looked = [names[i % RUNS] for i in range(VIEWERS)]
        search = workshop.jobs.start(SEARCH)
        while not any(r["kind"] == "BlockScored" for r in workshop.jobs.read(search)[0]):
            time.sleep(0.05)
        arguments = (
            ["--view-gradio", url, *looked] if gradio else ["--view", *(_stream_of(url, each) for each in looked)]
        )
        with clients(*arguments) as results:
            time.sleep(1)
            before, began = _seconds(), time.perf_counter()
            feeders = [threading.Thread(target=source.feed, args=(name,), name="feeder") for name in names]
            for feeder in feeders:
                feeder.start()
            for feeder in feeders:
                feeder.join()
            lasted, spent = time.perf_counter() - began, _seconds(before)
            searching = workshop.jobs.status(search) == "running"
            found = results()
        page.close(verbose=False)
        workshop.close()
    numbers = [[n for _, n in seen] for seen in found["arrivals"]]
    whole = sum(each == list(range(1, EVENTS + 2)) for each in numbers)
    delays = [
        (at - source.committed[f"{name} {n}"]) * 1000
        for name, seen in zip(looked, found["arrivals"], strict=True)
        for at, n in seen
        if f"{name} {n}" in source.committed
    ]
    return {
        "viewers": VIEWERS, "runs": RUNS, "whole": whole, "searching_throughout": searching,
        "events_per_second": round(RUNS * EVENTS / lasted),
        "delay_ms_median": round(sorted(delays)[len(delays) // 2]), "delay_ms_p95": round(p95(delays)),
        "delay_ms_largest": round(max(delays)), "kilobytes": round(found["bytes"] / 1000),
        "server_cores": round((spent["all"] - spent["search"]) / lasted, 2),
        "search_cores": round(spent["search"] / lasted, 2),
    }  # fmt: skip


def _served(source: Fed, gradio: bool) -> tuple[Any, str, gr.Blocks]:
    """A page with the route of ours, or with a generator that yields what is new five times a second."""

    def watch(run: str) -> Iterator[list[dict[str, Any]]]:
        after, over = 0, False
        while not over:
            records, over = source.read(run, after)
            if records:
                after = records[-1]["n"]
                yield records
            time.sleep(0.2)

    with gr.Blocks() as page:
        gr.api(watch, api_name="watch", concurrency_limit=None)
    app, url, _ = page.launch(prevent_thread_lock=True, quiet=True)
    if not gradio:
        add_event_route(app, source)
    return app, url, page


def _stream_of(url: str, run: str) -> str:
    return f"{url}gradio_api/runs/{run}/events"


def _seconds(before: dict[str, float] | None = None) -> dict[str, float]:
    """Processor time of this process, and of the thread that does the run; since ``before``."""
    process, began = psutil.Process(), before or {"all": 0.0, "search": 0.0}
    ids = {t.native_id for t in threading.enumerate() if t.name == "run-0"}
    spent = sum(t.user_time + t.system_time for t in process.threads() if t.id in ids)
    return {"all": time.process_time() - began["all"], "search": spent - began["search"]}


def queued() -> dict[str, Any]:
    """Two hundred starts; everyone's first run goes before anyone's second, and each is told every place."""
    gate, order = threading.Event(), []

    def engine(run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Iterator[Any]:
        gate.wait()
        order.append(spec.model)
        yield RunFinished(0.0, 0)

    with tempfile.TemporaryDirectory() as folder:
        jobs = Jobs(Store(Path(folder)), engine)
        jobs.start(RunSpec(model="going"), "someone")
        before, began = psutil.Process().memory_info().rss, time.perf_counter()
        each = [(f"{p}/{n}", f"{p}") for p in range(PEOPLE) for n in range(WAITING_EACH)]
        slowest, ids = 0.0, []
        for name, owner in each:
            one = time.perf_counter()
            ids.append(jobs.start(RunSpec(model=name), owner))
            slowest = max(slowest, time.perf_counter() - one)
        started = time.perf_counter() - began
        gate.set()
        while any(jobs.status(run_id) != "finished" for run_id in ids):
            time.sleep(0.01)
        done = time.perf_counter() - began - started
        grown = psutil.Process().memory_info().rss - before
        fair = [f"{p}/{n}" for n in range(WAITING_EACH) for p in range(PEOPLE)]
        places = [[r["position"] for r in jobs.read(i)[0] if r["kind"] == "Queued"] for i in ids]
        rank = {name: i for i, name in enumerate(fair, 1)}
        right = sum(told[-rank[n] :] == list(range(rank[n], 0, -1)) for (n, _), told in zip(each, places, strict=True))
        jobs.close()
    return {
        "starts": len(ids), "in_turn": order[1:] == fair, "told_every_place": right,
        "seconds_to_start_all": round(started, 2), "slowest_start_ms": round(slowest * 1000),
        "seconds_to_serve_all": round(done, 2), "grown_mb": round(grown / 1e6, 1),
    }  # fmt: skip


def hours() -> dict[str, Any]:
    """Eight hours of eight runs at a time, each of ten minutes and watched by five, as fast as it goes."""
    from tests.benchmarks.bench_stream import Viewer

    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder), apart=True)
        source = Fed(workshop)
        _, url, page = _served(source, gradio=False)
        sizes, began = [], time.perf_counter()
        for hour in range(HOURS):
            for batch in range(RUNS_AN_HOUR // RUNS):
                names = [f"{hour}-{batch}-{i}" for i in range(RUNS)]
                for name in names:
                    source.add(name)
                viewers = [Viewer(_stream_of(url, names[i % RUNS])) for i in range(VIEWERS)]
                threads = [viewer.start() for viewer in viewers]
                feeders = [threading.Thread(target=source.feed, args=(name, 0.0)) for name in names]
                for thread in feeders:
                    thread.start()
                for thread in (*feeders, *threads):
                    thread.join()
                assert all(len(viewer.arrivals) == EVENTS + 1 for viewer in viewers), "an event was lost or doubled"
                for name in names:  # as the registry forgets what nobody looks at
                    del source.logs[name]
                source.committed.clear()
            gc.collect()
            sizes.append(round(psutil.Process().memory_info().rss / 1e6))
        page.close(verbose=False)
        workshop.close()
    return {
        "runs": HOURS * RUNS_AN_HOUR, "events": HOURS * RUNS_AN_HOUR * (EVENTS + 1),
        "seconds": round(time.perf_counter() - began), "mb_after_each_hour": sizes,
        "grown_since_the_second": round(sizes[-1] / sizes[1], 3),
    }  # fmt: skip


def hammered() -> dict[str, Any]:
    """What one visitor waits for alone, and beside one that starts, cancels and asks without end over 4 connections."""
    from tests.benchmarks.hammer import measure

    return measure()


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "stream": watched, "gradio": lambda: watched(gradio=True), "queue": queued, "hammer": hammered, "hours": hours,
}  # fmt: skip


def main() -> None:
    """Measures, prints a line for each part, and keeps them in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    known = json.loads(given.json.read_text()) if given.json and given.json.exists() else {}
    for name in given.only.split(","):
        known[name] = PARTS[name]()
        print(name, json.dumps(known[name]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--view"]:
        view(sys.argv[2:])
    elif sys.argv[1:2] == ["--view-gradio"]:
        view_gradio(sys.argv[2], sys.argv[3:])
    else:
        main()
