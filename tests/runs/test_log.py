"""The log of one run: numbered, stamped, saved before it is seen."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from neuroal.runs import log as logs
from neuroal.runs.events import (
    Notice,
    Queued,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunResumed,
    StageStarted,
)
from neuroal.runs.log import RunLog
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from tests.runs.helpers import started


class Clock:
    """Stands in for the time module: a monotonic clock that is set by hand, and no other."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(logs, "time", fake)
    return fake


@pytest.fixture
def log(store: Store) -> RunLog:
    store.add_run("r", "key", "{}", private=False)
    return RunLog("r", store)


def full_disk(*_: Any, **__: Any) -> None:
    raise OperationalError("INSERT", {}, Exception("database or disk is full"))


def test_events_are_numbered_from_one_without_gaps(log: RunLog) -> None:
    assert [log.append(Notice(str(i)))["n"] for i in range(5)] == [1, 2, 3, 4, 5]
    assert [record["message"] for record in log.read()[0]] == ["0", "1", "2", "3", "4"]


def test_a_record_is_flat(log: RunLog, clock: Clock) -> None:
    log.start_clock()
    assert log.append(Queued(1)) == {"n": 1, "t": 0.0, "kind": "Queued", "position": 1}


@pytest.mark.parametrize(("after", "numbers"), [(-5, [1, 2, 3]), (0, [1, 2, 3]), (1, [2, 3]), (3, []), (99, [])])
def test_reading_goes_on_after_a_number(log: RunLog, after: int, numbers: list[int]) -> None:
    for i in range(3):
        log.append(Notice(str(i)))
    assert [record["n"] for record in log.read(after)[0]] == numbers


def test_seconds_count_from_the_start_and_stand_still_while_nothing_goes(
    log: RunLog, store: Store, clock: Clock
) -> None:
    log.start_clock()
    clock.now += 1.2346
    assert log.append(Notice("first"))["t"] == 1.235
    clock.now += 3600
    again = RunLog("r", store, store.events("r"))
    clock.now += 3600
    again.start_clock()
    clock.now += 0.5
    assert again.append(Notice("second"))["t"] == 1.735


def test_stamps_never_go_back(log: RunLog, store: Store, clock: Clock) -> None:
    """Also over restarts of the clock, whose sums are inexact."""
    source = random.Random(0)
    for i in range(300):
        clock.now += source.choice([0.0, 1e-7, 0.0004, 0.1, 1e5])
        if i % 7 == 0:
            log = RunLog("r", store, store.events("r"))
        if i % 5 == 0:
            log.start_clock()
        log.append(Notice("x"))
    stamps = [record["t"] for record in log.read()[0]]
    assert len(stamps) == 300 and stamps == sorted(stamps)


def test_an_event_is_saved_before_it_is_seen(log: RunLog, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another connection finds the event at a moment at which no reader of the log does."""
    seen_while_saving: list[tuple[int, int]] = []
    save = store.append

    def watched(*args: Any) -> None:
        save(*args)
        seen_while_saving.append((len(store.events("r")), len(log._records)))

    monkeypatch.setattr(store, "append", watched)
    for i in range(3):
        log.append(Notice(str(i)))
        assert log.read()[0] == store.events("r")
    assert seen_while_saving == [(1, 0), (2, 1), (3, 2)]


@pytest.mark.parametrize(
    ("event", "status", "ended"),
    [
        (Queued(1), "queued", False),
        (started(RunSpec()), "running", False),
        (RunResumed(), "running", False),
        (RunFinished(1.0, 1), "finished", True),
        (RunFailed("It failed."), "failed", True),
        (RunCancelled(), "cancelled", True),
        (RunInterrupted(), "interrupted", True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_status_follows_the_events_here_in_the_store_and_after_reading(
    log: RunLog, store: Store, event: Any, status: str, ended: bool
) -> None:
    log.append(event)
    log.append(StageStarted("model", "says nothing about the status"))
    row = store.run("r")
    assert row is not None
    assert (log.status, row.status, RunLog("r", store, store.events("r")).status) == (status,) * 3
    assert log.read()[1] is ended


def test_a_new_log_is_queued(store: Store) -> None:
    assert RunLog("r", store).status == "queued"


def test_an_event_that_cannot_be_saved_is_not_seen(log: RunLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(started(RunSpec()))
    monkeypatch.setattr(log._store, "append", full_disk)
    with pytest.raises(OperationalError):
        log.append(RunFinished(1.0, 1))
    assert log.status == "running" and [r["n"] for r in log.read()[0]] == [1]


def test_an_end_that_cannot_be_saved_is_still_seen(log: RunLog, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(started(RunSpec()))
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", full_disk)
        log.append_at_any_cost(RunFailed("The disk is full."))
    assert log.status == "failed" and [r["n"] for r in log.read()[0]] == [1, 2]
    assert [r["n"] for r in store.events("r")] == [1]


def test_after_an_unsaved_event_numbers_are_never_given_twice(
    log: RunLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store lacks number 2; reading on, and appending, go by number and not by count."""
    log.append(started(RunSpec()))
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", full_disk)
        log.append_at_any_cost(RunFailed("The disk is full."))
    log.append(RunResumed())
    log.append(RunInterrupted())
    again = RunLog("r", store, store.events("r"))
    assert [r["n"] for r in again.read()[0]] == [1, 3, 4]
    assert [r["n"] for r in again.read(3)[0]] == [4]
    assert again.append(RunResumed())["n"] == 5


def test_many_threads_append_and_read_without_loss(log: RunLog) -> None:
    """Four writers, four readers: every reader sees every number once and in order."""
    each, done = 40, threading.Event()
    seen: list[list[int]] = [[] for _ in range(4)]

    def write(name: int) -> None:
        for i in range(each):
            log.append(Notice(f"{name}:{i}"))

    def read(numbers: list[int]) -> None:
        while True:
            last = done.is_set()
            numbers += [r["n"] for r in log.read(numbers[-1] if numbers else 0)[0]]
            if last:
                return

    writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    readers = [threading.Thread(target=read, args=(numbers,)) for numbers in seen]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert seen == [list(range(1, 4 * each + 1))] * 4


def test_the_log_on_disk_is_the_log_in_memory(log: RunLog, tmp_path: Path) -> None:
    log.append(started(RunSpec()))
    log.append(Notice("Grüße, 世界"))
    other = Store(tmp_path)
    on_disk = RunLog("r", other, other.events("r"))
    other.close()
    as_json = [{**r, "spec": RunSpec().card()} if "spec" in r else r for r in log.read()[0]]
    assert on_disk.read()[0] == as_json
