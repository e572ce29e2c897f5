"""The databases behind the store: opened where they should be, refused in one sentence, and none loses an event."""

from __future__ import annotations

import builtins
import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, inspect
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session

from neuroal.errors import UserError
from neuroal.runs import database
from neuroal.runs.events import Notice
from neuroal.runs.jobs import Jobs
from neuroal.runs.log import RunLog
from neuroal.runs.rows import RunRow
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop
from tests.runs.helpers import Script, eventually, kinds, wait_for
from tests.runs.postgresql import PASSWORD, Server

SAID = {"kind": "Notice", "message": "x"}


# --- SQLite -----------------------------------------------------------------------------------------------------------


def test_readers_go_on_beside_the_writer(store: Store, tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "runs.sqlite")
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.execute("BEGIN IMMEDIATE")  # another program is writing
    assert store.run("r") is None and store.events("r") == []
    raw.close()


def test_every_connection_is_tuned(store: Store) -> None:
    """NORMAL is 1; without a busy timeout a second process would make the first one's run fail."""
    with store.engine.connect() as one, store.engine.connect() as other:
        for connection in (one, other):
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
            assert connection.exec_driver_sql("SELECT lower('ÄÖ'), lower(NULL)").one() == ("äö", None)


def test_a_folder_is_made_and_its_name_may_hold_anything(tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c %20" / "düne"
    store = Store(folder)
    store.add_run("r", "key", "{}", private=False)
    store.close()
    assert (folder / "runs.sqlite").is_file()
    again = Store(folder)
    assert again.run("r") is not None
    again.close()


def test_a_file_may_be_named_by_a_url(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'mine.db'}")
    store.add_run("r", "key", "{}", private=False)
    store.close()
    assert (tmp_path / "mine.db").is_file()


# --- both -------------------------------------------------------------------------------------------------------------


def test_a_store_of_an_earlier_version_gets_the_columns_that_it_lacks(where: Path | str) -> None:
    engine = create_engine(
        where if isinstance(where, str) else f"sqlite:///{where / 'runs.sqlite'}", poolclass=NullPool
    )
    with engine.begin() as old:
        old.exec_driver_sql("DROP TABLE IF EXISTS runs")
        old.exec_driver_sql(
            "CREATE TABLE runs (id VARCHAR PRIMARY KEY, key VARCHAR NOT NULL, spec VARCHAR NOT NULL, "
            "status VARCHAR NOT NULL, private BOOLEAN NOT NULL, created VARCHAR NOT NULL)"
        )
        old.exec_driver_sql("INSERT INTO runs VALUES ('r', 'k', '{}', 'finished', false, '2026')")
    for _ in range(2):  # and nothing more the second time
        store = Store(where)
        row = store.run("r")
        assert row is not None
        assert (row.kind, row.summary, row.name, row.tags) == ("run", "{}", "", "[]")
        assert row.pinned is False and row.deleted == "" and store.answered("k") == "r"
        assert [entry.id for entry in store.history()[0]] == ["r"]
        store.close()
    there = {index["name"] for index in inspect(engine).get_indexes("runs")}
    assert there == {index.name for index in RunRow.__table__.indexes}  # type: ignore[attr-defined]


def test_runs_go_as_ever(where: Path | str) -> None:
    script = Script()
    jobs = Jobs(Store(where), script)
    run_id = jobs.start(RunSpec(model="m"))
    assert wait_for(jobs, run_id) == "finished"
    script.hold("n")
    interrupted = jobs.start(RunSpec(model="n"))
    script.wait_inside("n")
    script.release()
    jobs.close()
    jobs.store.close()

    jobs = Jobs(Store(where), script)
    assert jobs.start(RunSpec(model="m")) == run_id and jobs.status(interrupted) == "interrupted"
    jobs.resume(interrupted)
    assert wait_for(jobs, interrupted) == "finished" and "RunResumed" in kinds(jobs, interrupted)
    jobs.close()
    jobs.store.close()


# --- what cannot be opened --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nonsense secret", "cannot be read: NEUROAL_STORE takes postgresql"),
        ("/some/secret", "cannot be read"),
        ("postgresql+psycopg://u:secret@host:54x/db", "cannot be read"),
        ("mysql://u:secret@host/db", "SQLite or PostgreSQL"),
        ("postgresql+asyncpg://u:secret@host/db", "SQLite or PostgreSQL"),
        ("sqlite://", "would not outlive"),
        ("sqlite:///:memory:", "would not outlive"),
        ("sqlite:////secret/is/no/folder.db", "cannot be opened"),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/db", "cannot be reached; is it running"),
        ("postgresql://u:secret@nowhere.invalid/db", "cannot be reached"),
        ("postgres://u:sec@secret@127.0.0.1:1/db", "cannot be reached"),
    ],
)
def test_a_wrong_address_is_refused_in_one_sentence(address: str, says: str, caplog: pytest.LogCaptureFixture) -> None:
    if address.startswith("postgres"):
        pytest.importorskip("psycopg")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UserError, match=says) as refused:
        Store(address)
    assert "secret" not in str(refused.value) + caplog.text and "\n" not in str(refused.value)
    told = refused.value
    assert told.__suppress_context__ or told.__context__ is None, "a traceback would quote the address"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs.sqlite").write_text("Dear diary, " * 1000)
    with pytest.raises(UserError, match="it is no SQLite database"):
        Store(tmp_path)


def test_without_its_package_postgresql_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "psycopg":
            raise ModuleNotFoundError("No module named 'psycopg'")
        return ordinary(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r'pip install "psycopg\[binary\]"'):
        Store("postgresql+psycopg://u:secret@127.0.0.1:1/db")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"password": "secret"}, "refused the user or the password"),
        ({"user": "nobody"}, "refused the user or the password"),
        ({"database": "nowhere"}, "has no such database"),
    ],
)
def test_a_server_that_refuses_is_quoted_in_plain_words(
    postgresql: Server, wrong: dict[str, str], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UserError, match=says) as refused:
        Store(postgresql.url(**wrong))
    assert not any(word in str(refused.value) + caplog.text for word in ("secret", PASSWORD))


def test_the_workshop_looks_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROAL_STORE", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    workshop = Workshop(tmp_path / "data")
    workshop.close()
    assert (tmp_path / "elsewhere.db").is_file() and not (tmp_path / "data" / "runs.sqlite").exists()
    monkeypatch.setenv("NEUROAL_STORE", "")
    Workshop(tmp_path / "data").close()
    assert (tmp_path / "data" / "runs.sqlite").is_file()


# --- a connection is lost ---------------------------------------------------------------------------------------------


@pytest.fixture
def remote(postgresql: Server) -> Iterator[Store]:
    """A store on the server, which is running again when the test is over."""
    opened = Store(postgresql.new_database())
    yield opened
    opened.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_no_event_is_lost_when_the_server_restarts(
    remote: Store, postgresql: Server, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    remote.add_run("r", "key", "{}", private=False)
    log, faults, over = RunLog("r", remote), [], threading.Event()
    shown: list[int] = []

    def write() -> None:
        try:
            while not over.is_set():
                shown.append(log.append(Notice(str(len(shown) + 1)))["n"])
        except Exception as error:
            faults.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(2):
            before = len(shown)
            postgresql.stop(mode)
            assert log.read()[1] is False  # a viewer does not wait for the server
            postgresql.start()
            eventually(lambda before=before: len(shown) > before + 5 or faults)
    finally:
        over.set()
        thread.join()
    assert faults == [] and len(shown) > 10
    assert [(r["n"], r["message"]) for r in remote.events("r")] == [(n, str(n)) for n in shown]
    assert "trying again" in caplog.text and PASSWORD not in caplog.text


def test_a_reader_gets_over_a_restart(remote: Store, postgresql: Server) -> None:
    remote.add_run("r", "key", "{}", private=False)
    postgresql.stop()
    postgresql.start()
    assert remote.history()[1] == 1 and remote.run("r") is not None


def test_an_event_whose_commit_was_not_confirmed_is_there_once(remote: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection may be lost after the commit and before its answer: nobody can tell, but by looking."""
    import psycopg

    commit, failed = Session.commit, []

    def commit_unheard(session: Session) -> None:
        commit(session)
        if not failed:
            failed.append(True)
            raise OperationalError("COMMIT", {}, psycopg.OperationalError("server closed the connection"))

    monkeypatch.setattr(Session, "commit", commit_unheard)
    monkeypatch.setattr(database, "WAITS", (0.0,))
    remote.add_run("r", "key", "{}", private=False)
    assert failed and remote.run("r") is not None
    failed.clear()
    remote.append("r", 1, 0.5, SAID, "running")
    assert failed and remote.events("r") == [{"n": 1, "t": 0.5, **SAID}]
    failed.clear()
    with pytest.raises(IntegrityError):  # another event of this number is no such case
        remote.append("r", 1, 0.5, {"kind": "Notice", "message": "y"}, "finished")
    assert remote.run("r").status == "running"


def test_a_server_that_does_not_come_back_is_told_in_one_sentence(
    remote: Store, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAITS", (0.0, 0.0))
    remote.add_run("r", "key", "{}", private=False)
    postgresql.stop()
    try:
        with pytest.raises(UserError, match="The database of runs does not answer; try again in a moment."):
            remote.append("r", 1, 0.0, SAID)
        jobs_log = RunLog("r", remote)
        jobs_log.append_at_any_cost(Notice("seen"))
        assert jobs_log.read()[0][0]["message"] == "seen"
    finally:
        postgresql.start()
    assert remote.events("r") == []
