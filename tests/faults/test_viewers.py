"""Viewers that never read, that leave in every phase, and that come when ten thousand events are over."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from components import stream
from components.closing import close_page
from components.stream import add_event_route
from neuroal.runs.events import BlockScored, Event, RunFinished
from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop
from tests.faults.viewers import never_reading, reading
from tests.runs.helpers import PATIENCE, eventually, started, wait_for

MANY = 10_000

# A message of 64 kB.
WIDE = {"t": 0.0, "kind": "Notice", "message": "x" * stream.MESSAGE_BYTES}


@contextmanager
def served(source: Any) -> Iterator[tuple[str, gr.Blocks]]:
    """A Gradio app with the event route, as ``app.py`` has it."""
    with gr.Blocks() as page:
        gr.Markdown("Nothing here.")
    app, url, _ = page.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    add_event_route(app, source)
    try:
        yield url.rstrip("/"), page
    finally:
        close_page(page)


class Endless:
    """A run that has said 200 MB, made only as they are read, and goes on."""

    def __init__(self) -> None:
        self.made = 0

    def read(self, run_id: str, after: int) -> tuple[Any, bool]:
        return _Counted(self, after), False


class _Counted(list):
    """Records made one by one."""

    def __init__(self, source: Endless, after: int) -> None:
        super().__init__([{"n": 3000}] if after < 3000 else [])
        self.source, self.after = source, after

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for n in range(self.after + 1, 3001):
            self.source.made += 1
            yield {"n": n, **WIDE}


def test_a_viewer_that_never_reads_costs_a_few_buffers_and_holds_nobody_up() -> None:
    source = Endless()
    with served(source) as (url, page), never_reading(url, "a"):
        eventually(lambda: source.made > 3)
        counts = []
        eventually(lambda: counts.append(source.made) or (len(counts) > 400 and counts[-1] == counts[-400]))
        assert source.made < 300, "the rest is not made before somebody reads it"
        with reading(url, "a", after=2990) as records:
            assert [r["n"] for r in itertools.islice(records, 10)] == list(range(2991, 3001))
        begun = time.monotonic()
        close_page(page)
        assert time.monotonic() - begun < 3, "a server that stops does not wait for it"
        with pytest.raises(httpx.TransportError):
            httpx.get(url)


def talkative(run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
    yield started(spec)
    for n in range(MANY):
        yield BlockScored("block", n // 100, 0.01 * (n // 100), n % 100, 0.5)
    yield RunFinished(1.0, 1)


def test_ten_thousand_events_while_nobody_looks_are_all_there_for_who_comes_late(tmp_path: Path) -> None:
    jobs = Jobs(Store(tmp_path), talkative)
    run_id = jobs.start(RunSpec(model="a"))
    eventually(lambda: jobs.status(run_id) == "finished")
    numbers = list(range(1, MANY + 4))  # Queued, RunStarted and RunFinished beside them
    assert [r["n"] for r in jobs.store.events(run_id)] == numbers
    with served(jobs) as (url, _):
        for _ in range(2):
            begun = time.monotonic()
            with reading(url, run_id) as records:
                assert [r["n"] for r in records] == numbers
            assert time.monotonic() - begun < 10
        with reading(url, run_id, after=MANY) as records:
            assert [r["kind"] for r in records] == ["BlockScored", "BlockScored", "RunFinished"]
    jobs.close()
    jobs.store.close()


# The last event that a viewer takes before its tab is closed.
PHASES = {
    "while it waits": "Queued",
    "while the model loads": "StageStarted",
    "while text is drawn": "ModelReady",
    "in the search": "BlockScored",
    "while it prunes": "BlockPruned",
    "while it measures": "Evaluated",
}


def test_a_tab_closed_in_any_phase_stops_nothing(
    open_workshop: Callable[[], Workshop], small_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each phase the run stands still until a viewer has come and gone; nobody else looks."""
    workshop = open_workshop()
    save = workshop.jobs.store.append
    gates = {kind: threading.Event() for kind in PHASES.values()}
    phase: list[str] = []

    def append(run_id: str, n: int, t: float, payload: dict[str, Any], *more: Any) -> None:
        if phase and phase[-1] in gates:
            assert gates[phase[-1]].wait(PATIENCE)
        save(run_id, n, t, payload, *more)
        phase.append(payload["kind"])

    def append_places(events: Any, *more: Any) -> None:
        save_places(events, *more)
        phase.append("Queued")

    save_places = workshop.jobs.store.append_together
    monkeypatch.setattr(workshop.jobs.store, "append", append)
    monkeypatch.setattr(workshop.jobs.store, "append_together", append_places)
    with served(workshop.jobs) as (url, page):
        run_id = workshop.jobs.start(small_spec)
        for kind in PHASES.values():
            with reading(url, run_id) as records:
                assert any(r["kind"] == kind for r in records)
                assert phase[-1] == kind, "the run is in this phase"
            eventually(lambda: not page.server.server_state.tasks)
            gates[kind].set()
        assert wait_for(workshop.jobs, run_id) == "finished"
        with reading(url, run_id) as records:
            assert list(records) == workshop.jobs.store.events(run_id)
    assert workshop.pair(run_id)
