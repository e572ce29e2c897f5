"""Two processes of the app on one PostgreSQL: a run is watched at the other one, and goes on there after a kill -9."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import NullPool, create_engine

from tests.e2e.server import Server
from tests.e2e.steps import LONG, choose, field, open_page, press_run, records_of, search_seen, status
from tests.runs.postgresql import Server as Database


@pytest.fixture
def url(postgresql: Database) -> str:
    return postgresql.new_database()


@pytest.fixture
def replicas(url: str, tmp_path: Path) -> Iterator[list[Server]]:
    """Two that start at the same time, on an empty database and with one data folder."""

    def start(name: str) -> Server:
        return Server(tmp_path / "data", tmp_path / name, NEUROAL_STORE=url, NEUROAL_DEFAULT_MODEL="tiny")

    with ThreadPoolExecutor() as pool:
        started = list(pool.map(start, ("a.log", "b.log")))
    yield started
    for server in started:
        server.stop()


def lapse(url: str, run: str) -> None:
    """The clock of the database goes on: nobody has heard of the process that does a run for a minute."""
    with create_engine(url, poolclass=NullPool).begin() as database:
        silent = "(SELECT instance FROM runs WHERE id = %s)"
        database.exec_driver_sql(f"UPDATE instances SET seen = seen - 60 WHERE id = {silent}", (run,))


@contextmanager
def slowed(server: Server) -> Iterator[None]:
    """Inside, its process gets an eleventh of the time, so that a run is still going however long a page takes to open.
    The instance is heard of every second and more, as always."""
    over = threading.Event()

    def hinder() -> None:
        while server.process.poll() is None and not over.is_set():
            server.process.send_signal(signal.SIGSTOP)
            over.wait(1.0)
            server.process.send_signal(signal.SIGCONT)
            time.sleep(0.1)

    hindering = threading.Thread(target=hinder)
    hindering.start()
    try:
        yield
    finally:
        over.set()
        hindering.join()


def test_a_run_is_watched_at_the_other_replica_and_goes_on_there(page: Page, replicas: list[Server], url: str) -> None:
    a, b = replicas
    open_page(page, a)
    for fold in ("Calibration text and size", "Advanced"):
        page.get_by_role("button", name=fold).click()
    choose(page)
    for label, value in (("Samples", "8"), ("Length", "256")):
        field(page, label).fill(value)
        page.keyboard.press("Tab")
    page.get_by_label("Every lambda of the paper's grid").check()  # some seconds of search
    run = press_run(page)
    with slowed(a):
        watching = page.context.new_page()
        open_page(watching, b, f"?run={run}")
        answer = watching.locator("#answer")
        expect(answer).to_contain_text("It was started on another instance of this app", timeout=LONG)
        search_seen(watching)
        a.kill()
    lapse(url, run)
    status(watching, "The server stopped while this run was going. It can be resumed.")
    before = records_of(b, run)
    assert before[-1]["kind"] == "RunInterrupted"
    watching.click("#resume")
    expect(answer).to_contain_text("Resumed from what was finished.", timeout=LONG)
    status(watching, "Finished in .* Perplexity")

    records = records_of(b, run)
    assert [r["n"] for r in records] == list(range(1, len(records) + 1)) and records[: len(before)] == before
    scored = [(r["step"], r["lam"]) for r in records if r["kind"] == "CandidateFinished"]
    assert len(scored) == len(set(scored)), "what was finished before the kill is not done again"
