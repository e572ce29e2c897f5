"""One visitor asks without end, over several connections, while another one does what people do. For bench_load.py."""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.e2e.server import Server

CONNECTIONS, ROUNDS = 4, 5
QUESTION = {"model": "tiny", "top_up": "uniform", "samples": 4, "length": 64, "eval_windows": 2, "eval_length": 64}
PEACEFUL, HAMMERING = "10.0.0.1", "10.0.0.9"


class Caller:
    """One who asks the endpoints as curl does, from an address of their own.

    Attributes:
        told: how often each answer came: "complete", or the sentence of a refusal without its numbers.
    """

    def __init__(self, home: str, address: str) -> None:
        self.http = httpx.Client(base_url=home, timeout=120, headers={"X-Forwarded-For": address})
        self.told: Counter[str] = Counter()

    def ask(self, endpoint: str, **given: Any) -> Any:
        """The last answer; None where it is a refusal."""
        answer = self.http.post(f"/gradio_api/call/v2/{endpoint}", json=given)
        if answer.status_code != 200:
            self.told[f"HTTP {answer.status_code}"] += 1
            return None
        last, kind = None, ""
        with self.http.stream("GET", f"/gradio_api/call/v2/{endpoint}/{answer.json()['event_id']}") as stream:
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: ") and kind in ("generating", "complete", "error"):
                    last = json.loads(line[6:])
        said = kind if kind == "complete" else "".join(c for c in str(last) if not c.isdigit())
        self.told[said[:160]] += 1
        return last[0] if kind == "complete" and last else None

    def run(self, seed: int) -> tuple[str, float]:
        """Starts a run and waits for its end; the seconds that took."""
        began = time.perf_counter()
        run = self.ask("start_run", spec={**QUESTION, "seed": seed})["run"]
        while not self.ask("run_status", run=run, events=False, state=False)["done"]:
            time.sleep(0.1)
        return run, time.perf_counter() - began


def round_of(caller: Caller, seed: int) -> dict[str, float]:
    """Seconds until the page is there, a run has finished, and a question is answered."""
    began = time.perf_counter()
    caller.http.get("/").raise_for_status()
    page = time.perf_counter() - began
    run, ran = caller.run(seed)
    began = time.perf_counter()
    if caller.ask("generate", run=run, prompt="Once upon a time", max_tokens=32) is None:
        raise RuntimeError(f"The peaceful visitor was refused: {caller.told}")
    return {"page": page, "run": ran, "answer": time.perf_counter() - began}


def hammer(home: str, stop: threading.Event, run: str, told: Counter[str], nth: int) -> None:
    """Starts, cancels and asks, one after the other, until told to stop."""
    caller, seed = Caller(home, HAMMERING), 10_000 * (nth + 1)
    while not stop.is_set():
        seed += 1
        if begun := caller.ask("start_run", spec={**QUESTION, "seed": seed}):
            caller.ask("cancel_run", run=begun["run"])
        caller.ask("generate", run=run, prompt="Without end", max_tokens=64)
    told.update(caller.told)


def measure() -> dict[str, Any]:
    """Medians of what the peaceful visitor waits for, alone and beside the hammering one, and what that one is told."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder, "data"), Path(folder, "log"), NEUROAL_DEFAULT_MODEL="tiny")
        try:
            peaceful = Caller(server.url, PEACEFUL)
            run, _ = peaceful.run(0)
            alone = [round_of(peaceful, 1 + i) for i in range(ROUNDS)]
            stop, told = threading.Event(), Counter[str]()
            size = psutil.Process(server.process.pid).memory_info().rss
            threads = [
                threading.Thread(target=hammer, args=(server.url, stop, run, told, nth)) for nth in range(CONNECTIONS)
            ]
            for thread in threads:
                thread.start()
            time.sleep(2)
            beside = [round_of(peaceful, 100 + i) for i in range(ROUNDS)]
            stop.set()
            for thread in threads:
                thread.join()
            grown = psutil.Process(server.process.pid).memory_info().rss - size
        finally:
            server.stop()
    return {
        "alone_s": _medians(alone), "beside_s": _medians(beside), "hammer_is_told": dict(told.most_common(8)),
        "grown_mb": round(grown / 1e6, 1),
    }  # fmt: skip


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(each[name] for each in rounds), 2) for name in rounds[0]}
