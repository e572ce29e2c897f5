"""The clock of the machine jumps, by days, forwards and back: nothing expires, freezes, or takes less than no time."""

from __future__ import annotations

import ast
import datetime
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from neuroal.runs import rows
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from tests.faults.test_viewers import served
from tests.faults.viewers import reading
from tests.runs.helpers import wait_for

ROOT = Path(__file__).resolve().parents[2]
DAY = 24 * 3600.0

# Where it is asked what time it is, not how long something took: the age of files, and when a login ends.
MAY_ASK = {"neuroal/models/cache.py", "neuroal/models/hub.py", "neuroal/hosting/disk.py", "components/visitors.py"}


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Each look at the clock is a day before or after the last one; holds what was seen."""
    real, seen, steps = time.time, [], itertools.cycle((0.0, 2 * DAY, -DAY, 40 * DAY, -400 * DAY))

    def now() -> float:
        seen.append(real() + next(steps))
        return seen[-1]

    def utc() -> str:
        return rows.iso(datetime.datetime.fromtimestamp(now(), datetime.timezone.utc))

    monkeypatch.setattr(time, "time", now)
    monkeypatch.setattr(time, "time_ns", lambda: int(now() * 1e9))
    monkeypatch.setattr("neuroal.runs.store.now", utc)
    yield seen
    assert seen, "nobody looked at the clock, so nothing was tried"


def test_a_run_its_viewer_and_a_restart(
    open_workshop: Callable[[], Workshop], small_spec: RunSpec, jumping: list[float]
) -> None:
    workshop = open_workshop()
    before = time.monotonic()
    with served(workshop.jobs) as (url, _):
        ids = [workshop.jobs.start(small_spec, again=True) for _ in range(2)]
        for run_id in ids:
            with reading(url, run_id) as records:
                log = list(records)
            took = time.monotonic() - before
            assert log[-1]["kind"] == "RunFinished" and 0 < log[-1]["seconds"] < took
            stamps = [record["t"] for record in log]
            assert stamps == sorted(stamps) and 0 <= stamps[0] <= stamps[-1] < took
            assert all(r["seconds"] >= 0 for r in log if "seconds" in r)
    workshop.housekeeping.join()
    workshop.close()
    again = open_workshop()
    again.housekeeping.join()
    assert [again.jobs.status(run_id) for run_id in ids] == ["finished"] * 2
    assert {entry.id for entry in again.jobs.store.history()[0]} == set(ids)
    assert wait_for(again.jobs, again.jobs.start(small_spec, again=True)) == "finished"


def test_nothing_is_timed_by_a_clock_that_can_jump() -> None:
    """``time.monotonic`` and ``time.perf_counter`` are for that; leases go by the clock of the database."""
    asking = set()
    for file in (*ROOT.glob("neuroal/**/*.py"), *ROOT.glob("components/*.py"), ROOT / "app.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "time.time":
                asking.add(file.relative_to(ROOT).as_posix())
    assert asking == MAY_ASK
