"""The store: what outlives the process, and how it copes with what a process can leave behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, update
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlmodel import col

from neuroal.runs import store as stores
from neuroal.runs.instances import Instance
from neuroal.runs.rows import EventRow
from neuroal.runs.store import Store


@pytest.fixture
def store(either_store: Store) -> Store:
    return either_store


@pytest.fixture
def raw(store: Store, where: Path | str) -> Iterator[Connection]:
    """The same database as another program sees it."""
    url = where if isinstance(where, str) else f"sqlite:///{where / 'runs.sqlite'}"
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def add(store: Store, run_id: str, status: str | None = None, *, key: str = "key", private: bool = False) -> None:
    store.add_run(run_id, key, "{}", private=private)
    if status:
        store.append(run_id, 1, 0.0, {"kind": "Notice", "message": "x"}, status)


def test_an_event_is_committed_once_it_is_appended(store: Store, raw: Connection) -> None:
    add(store, "r", "running")
    assert raw.exec_driver_sql("SELECT run_id, n FROM events").fetchall() == [("r", 1)]
    assert raw.exec_driver_sql("SELECT status FROM runs").fetchall() == [("running",)]


def test_event_and_status_come_together_or_not_at_all(store: Store) -> None:
    add(store, "r", "running")
    with pytest.raises(IntegrityError):
        store.append("r", 1, 0.0, {"kind": "RunFinished"}, "finished")
    row = store.run("r")
    assert row is not None and row.status == "running"
    with pytest.raises(NoResultFound):
        store.append("nobody", 1, 0.0, {"kind": "RunFinished"}, "finished")
    assert store.events("nobody") == []


def test_events_come_back_in_the_order_of_their_numbers(store: Store) -> None:
    add(store, "r")
    add(store, "s")
    for n in (3, 11, 1, 2):
        store.append("r", n, n / 2, {"kind": "Notice", "message": str(n)})
    store.append("s", 1, 0.0, {"kind": "Notice", "message": "of another run"})
    assert [(r["n"], r["t"], r["message"]) for r in store.events("r")] == [
        (1, 0.5, "1"), (2, 1.0, "2"), (3, 1.5, "3"), (11, 5.5, "11"),
    ]  # fmt: skip


def test_going_are_the_queued_and_the_running(store: Store) -> None:
    add(store, "waits")
    for status in ("running", "finished", "failed", "cancelled", "interrupted"):
        add(store, status, status)
    assert sorted(Instance(store).runs("run")) == ["running", "waits"]


@pytest.mark.parametrize("status", [None, "running", "failed", "cancelled", "interrupted"])
def test_only_finished_runs_answer(store: Store, status: str | None) -> None:
    add(store, "r", status)
    assert store.answered("key") is None


def test_a_finished_public_run_answers_its_own_question_only(store: Store) -> None:
    add(store, "r", "finished")
    assert store.answered("key") == "r"
    assert store.answered("another") is None


def test_a_private_run_answers_nobody(store: Store) -> None:
    add(store, "r", "finished", private=True)
    assert store.answered("key") is None


def test_the_newest_answer_wins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole second is written without its fraction; it still comes before the same second with one."""
    import datetime

    class Fixed(datetime.datetime):
        at = datetime.datetime(2026, 1, 15, 10, 0, 5, tzinfo=datetime.timezone.utc)

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return cls.at

    monkeypatch.setattr(stores.datetime, "datetime", Fixed)
    add(store, "older", "finished")
    Fixed.at += datetime.timedelta(microseconds=1)
    add(store, "newer", "finished")
    assert store.answered("key") == "newer"


@pytest.mark.parametrize(
    "payload", ["", "{", "nonsense", "5", "null", "[]", '"text"', "{}", '{"kind": 5}', '{"message": "no kind"}', "\x00"]
)
def test_a_damaged_event_becomes_a_notice_and_the_others_stay(store: Store, raw: Connection, payload: str) -> None:
    if payload == "\x00" and store.engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL keeps no such text.")
    add(store, "r")
    for n in (1, 2, 3):
        store.append("r", n, 0.5 * n, {"kind": "Notice", "message": str(n)})
    raw.execute(update(EventRow).where(col(EventRow.n) == 2).values(payload=payload))
    raw.commit()
    records = store.events("r")
    assert [record["n"] for record in records] == [1, 2, 3]
    assert [record["message"] for record in records] == ["1", "Event 2 of this run is damaged and was left out.", "3"]
    assert {record["kind"] for record in records} == {"Notice"}


def test_threads_share_a_store(store: Store) -> None:
    """Each thread writes a run of its own; nothing is lost or refused as locked."""
    faults: list[Exception] = []

    def work(name: str) -> None:
        try:
            add(store, name)
            for n in range(1, 21):
                store.append(name, n, 0.0, {"kind": "Notice", "message": name}, "running")
                assert len(store.events(name)) == n
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(str(i),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted(Instance(store).runs("run")) == [str(i) for i in range(6)]
    assert all(len(store.events(str(i))) == 20 for i in range(6))
