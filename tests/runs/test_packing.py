"""Old logs are packed into one row: read as before, whoever reads, whatever happens, and only old ones."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlmodel import Session, col

from neuroal.folding.fold import fold_all
from neuroal.runs import packing
from neuroal.runs.events import Notice, RunFinished
from neuroal.runs.housekeeping import Housekeeping
from neuroal.runs.log import RunLog
from neuroal.runs.packing import Row, as_records, pack, unpack
from neuroal.runs.rows import EventRow, RunRow
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.summary import ASKED, summary
from neuroal.runs.workshop import Workshop, known
from tests.components.logs import realistic
from tests.runs.helpers import SMALL, eventually, wait_for

ROOT = Path(__file__).resolve().parents[2]
LOG = realistic(blocks=6)
NOW = datetime.datetime.now(datetime.timezone.utc)
OLD = NOW - datetime.timedelta(days=31)


@pytest.fixture
def store(either_store: Store) -> Store:
    return either_store


def add(store: Store, run_id: str, records: list[dict[str, Any]], status: str = "finished") -> None:
    """A run of 31 days ago with these records."""
    store.add_run(run_id, "key", "{}", private=False)
    with Session(store.engine) as session:
        for record in records:
            payload = json.dumps({k: v for k, v in record.items() if k not in ("n", "t")})
            session.add(EventRow(run_id=run_id, n=record["n"], t=record["t"], payload=payload))
        row = session.get_one(RunRow, run_id)
        row.status, row.created = status, OLD.isoformat(timespec="microseconds")
        session.commit()


def rows(store: Store, run_id: str) -> int:
    with Session(store.engine) as session:
        return session.execute(select(func.count()).where(col(EventRow.run_id) == run_id)).scalar_one()


def test_a_packed_log_reads_and_folds_as_before(store: Store) -> None:
    add(store, "r", LOG)
    before = store.events("r")
    assert len(before) == len(LOG) > 200 and rows(store, "r") == len(LOG)
    assert store.pack("r") is True
    assert rows(store, "r") == 1 and store.events("r") == before
    assert fold_all(store.events("r")) == fold_all(before)
    assert summary(store.events("r")) == summary(before) and known(store.events("r")) == known(before)
    assert store.pack("r") is False and rows(store, "r") == 1


def test_a_packed_log_is_a_quarter_of_its_size() -> None:
    whole = [Row(r["n"], r["t"], json.dumps(r)) for r in realistic(blocks=30)]
    assert len(pack(whole).payload) < sum(len(row.payload) for row in whole) / 4


def test_what_happens_later_follows_and_is_packed_as_well(store: Store) -> None:
    add(store, "r", LOG)
    store.pack("r")
    log = RunLog("r", store, store.events("r"))
    last = LOG[-1]["n"]
    assert [log.append(Notice("once more"))["n"], log.append(RunFinished(1.0, 1))["n"]] == [last + 1, last + 2]
    assert rows(store, "r") == 3
    before = store.events("r")
    assert [r["n"] for r in before] == [*(r["n"] for r in LOG), last + 1, last + 2]
    assert store.pack("r") and rows(store, "r") == 1 and store.events("r") == before


def test_numbers_and_damaged_events_stay_as_they_are(store: Store) -> None:
    add(store, "r", [LOG[0], LOG[3], LOG[7], LOG[8]])
    with store.engine.begin() as connection:
        connection.execute(update(EventRow).where(col(EventRow.n) == LOG[3]["n"]).values(payload="{nonsense"))
    before = store.events("r")
    assert "damaged" in before[1]["message"] and [r["n"] for r in before] == [1, 4, 8, 9]
    store.pack("r")
    assert store.events("r") == before
    not_finite = [Row(1, 0.1 + 0.2, '{"kind":"Measured","value":Infinity}'), Row(2, 1e-300, "\x00")]
    assert unpack([pack(not_finite)]) == not_finite


@pytest.mark.parametrize(
    "payload", ['{"kind": "Packed"}', '{"kind": "Packed", "events": "x"}', '{"kind": "Packed", "events": 5}',
                '{"kind": "Packed", "events": "\\u00fc"}', '{"kind": "Packed", "even'],
)  # fmt: skip
def test_a_damaged_row_costs_no_more_than_itself(payload: str) -> None:
    records = as_records([Row(7, 1.0, payload), Row(8, 2.0, '{"kind":"RunFinished"}')])
    assert [(r["n"], r["kind"]) for r in records] == [(7, "Notice"), (8, "RunFinished")]


def test_only_old_runs_that_ended_are_packed(store: Store) -> None:
    for status in ("finished", "failed", "cancelled", "interrupted", "queued", "running"):
        add(store, status, LOG[:3], status)
    add(store, "short", LOG[:1])
    store.add_run("new", "key", "{}", private=False)
    for n in (1, 2):
        store.append("new", n, 0.0, {"kind": "Notice", "message": "x"}, "finished")
    assert sorted(store.packable(NOW - datetime.timedelta(days=30))) == [
        "cancelled",
        "failed",
        "finished",
        "interrupted",
    ]
    assert store.packable(OLD - datetime.timedelta(days=1)) == []


def test_whoever_reads_meanwhile_sees_the_whole_log(store: Store) -> None:
    for i in range(20):
        add(store, str(i), LOG[:30])
    wanted, seen, over = store.events("0"), [], threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.extend(store.events(str(i)) == wanted for i in range(20))

    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: len(seen) > 20)
    assert all(store.pack(str(i)) for i in range(20))
    over.set()
    reader.join()
    assert all(seen)


def test_of_two_that_pack_one_does(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other has read the log already, and gone on is the run as well: nothing is lost, nothing twice."""
    add(store, "r", LOG)
    read, before = packing.read_rows, store.events("r")
    last = LOG[-1]["n"]

    def read_late(session: Session, run_id: str) -> list[Row]:
        found = read(session, run_id)
        monkeypatch.setattr(packing, "read_rows", read)
        assert store.pack("r")
        store.append("r", last + 1, 0.0, {"kind": "Notice", "message": "x"})
        return found

    monkeypatch.setattr(packing, "read_rows", read_late)
    assert store.pack("r") is False
    assert store.events("r")[:-1] == before and rows(store, "r") == 2


def test_a_failure_in_the_middle_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "r", LOG)
    before = store.events("r")

    def fail(*_: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(packing, "insert", fail)
    with pytest.raises(RuntimeError):
        store.pack("r")
    assert rows(store, "r") == len(LOG) and store.events("r") == before


KILLED = """
import os, signal, sys
from pathlib import Path
from neuroal.runs import packing
from neuroal.runs.store import Store
packing.insert = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # the events are deleted, the packed row is not there
Store(Path(sys.argv[1])).pack("r")
"""


def test_a_kill_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store, "r", LOG)
    before = store.events("r")
    store.close()
    child = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, env={**os.environ}, check=False)
    assert child.returncode == -signal.SIGKILL
    store = Store(tmp_path)
    assert rows(store, "r") == len(LOG) and store.events("r") == before
    store.close()


# --- the housekeeping -------------------------------------------------------------------------------------------------


def test_a_start_packs_sums_up_and_purges(store: Store) -> None:
    add(store, "old", LOG)
    add(store, "gone", LOG[:5])
    add(store, "lately", LOG[:5])
    for run_id, days in (("gone", 31), ("lately", 29)):
        store.delete(run_id)
        with store.engine.begin() as connection:
            at = (NOW - datetime.timedelta(days=days)).isoformat(timespec="microseconds")
            connection.execute(update(RunRow).where(col(RunRow.id) == run_id).values(deleted=at))
    forgotten: list[str] = []
    Housekeeping(store, forgotten.append).join()
    assert forgotten == ["gone"] and store.run("gone") is None and rows(store, "gone") == 0
    assert rows(store, "old") == 1 and rows(store, "lately") == 1
    figures = store.history()[0][0].summary
    assert (figures["model"], figures["perplexity"]) == (LOG[1]["spec"]["model"], 80.08)
    assert all(name in figures for name in ASKED)
    assert store.unsummarised() == []


def test_a_stopped_housekeeping_goes_on_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    for i in range(3):
        add(store, str(i), LOG[:5])
    inside, go_on = threading.Event(), threading.Event()
    pack_one = store.pack

    def wait(run_id: str) -> bool:
        inside.set()
        go_on.wait()
        return pack_one(run_id)

    monkeypatch.setattr(store, "pack", wait)
    keeping = Housekeeping(store, lambda _: None)
    inside.wait()
    keeping._stopped.set()
    go_on.set()
    keeping.stop()
    assert sorted(rows(store, str(i)) for i in range(3)) == [1, 5, 5]
    Housekeeping(store, lambda _: None).join()
    assert [rows(store, str(i)) for i in range(3)] == [1, 1, 1]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    store.close()


def test_a_packed_run_is_resumed_measured_and_compared_as_any(open_workshop: Callable[[], Workshop]) -> None:
    """Cancelled after the first candidate: that one is not scored again, though it is read from a packed log."""
    workshop = open_workshop()
    save, stopped = workshop.jobs.store.append, []

    def append(run_id: str, n: int, t: float, payload: dict[str, Any], *more: Any) -> None:
        save(run_id, n, t, payload, *more)
        if payload["kind"] == "CandidateFinished" and not stopped:
            stopped.append(workshop.jobs.cancel(run_id))

    workshop.jobs.store.append = append  # type: ignore[method-assign]
    spec = RunSpec(model="random", **{**SMALL, "eval_windows": 3})
    run_id = workshop.jobs.start(spec)
    assert wait_for(workshop.jobs, run_id) == "cancelled" and workshop.jobs.store.pack(run_id)
    workshop.close()

    workshop = open_workshop()
    workshop.jobs.resume(run_id)
    assert wait_for(workshop.jobs, run_id) == "finished"
    finished = [(r["step"], r["lam"]) for r in workshop.jobs.read(run_id)[0] if r["kind"] == "CandidateFinished"]
    assert len(finished) == len(set(finished)) == 4
    assert workshop.jobs.store.pack(run_id)
    workshop.close()

    workshop = open_workshop()
    before = workshop.jobs.read(run_id)[0]
    workshop.measure(run_id, RunSpec(model="random", **SMALL, evaluations=("divergence",)))
    assert wait_for(workshop.jobs, run_id) == "finished"
    records = workshop.jobs.read(run_id)[0]
    assert records[: len(before)] == before
    assert [r["metric"] for r in records[len(before) :] if r["kind"] == "Measured"][0] == "divergence"
    assert [r["n"] for r in records] == list(range(1, len(records) + 1))
