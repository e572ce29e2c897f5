"""Two processes of the app on one PostgreSQL: a run is watched at the other one, and goes on there after a kill -9."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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


def test_a_run_is_watched_at_the_other_replica_and_goes_on_there(page: Page, replicas: list[Server], url: str) -> None:
    a, b = replicas
    open_page(page, a)
    for fold in ("Calibration text and size", "Advanced"):
        page.get_by_role("button", name=fold).click()
    choose(page)
    for label, value in (("Samples", "16"), ("Length", "256")):
        field(page, label).fill(value)
        page.keyboard.press("Tab")
    page.get_by_label("Every lambda of the paper's grid").check()  # ten seconds of search, which a second page takes up
    run = press_run(page)
    watching = page.context.new_page()
    open_page(watching, b, f"?run={run}")
    expect(watching.locator("#answer")).to_contain_text("It was started on another instance of this app", timeout=LONG)
    search_seen(watching)

    a.kill()
    lapse(url, run)
    status(watching, "The server stopped while this run was going. It can be resumed.")
    before = records_of(b, run)
    assert before[-1]["kind"] == "RunInterrupted"
    watching.click("#resume")
    expect(watching.locator("#answer")).to_contain_text("Resumed from what was finished.", timeout=LONG)
    status(watching, "Finished in .* Perplexity")

    records = records_of(b, run)
    assert [r["n"] for r in records] == list(range(1, len(records) + 1)) and records[: len(before)] == before
    scored = [(r["step"], r["lam"]) for r in records if r["kind"] == "CandidateFinished"]
    assert len(scored) == len(set(scored)), "what was finished before the kill is not done again"
