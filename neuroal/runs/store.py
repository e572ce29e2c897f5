"""Where runs outlive the process: one SQLite file (WAL) through SQLModel, in the data folder.

Every event is committed before any viewer sees it, so what a page has shown survives a kill -9.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, false, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.schema import CreateColumn
from sqlmodel import Field, Session, SQLModel, col, create_engine, select

# The states of a run; the first two are the ones a stopped server leaves behind.
GOING = ("queued", "running")


# The tag of a run that came in a bundle.
ADOPTED = "from a bundle"


class RunRow(SQLModel, table=True):
    """A run: its question and where it stands.

    What came later than the first stores has a default, and is added to a store that lacks it.
    """

    __tablename__ = "runs"

    id: str = Field(primary_key=True)
    key: str = Field(index=True)
    spec: str
    status: str = Field(index=True)
    private: bool = False
    created: str
    kind: str = Field(default="run", index=True, sa_column_kwargs={"server_default": "run"})
    summary: str = Field(default="{}", sa_column_kwargs={"server_default": "{}"})
    name: str = Field(default="", sa_column_kwargs={"server_default": ""})
    tags: str = Field(default="[]", sa_column_kwargs={"server_default": "[]"})
    pinned: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    deleted: str = Field(default="", sa_column_kwargs={"server_default": ""})


class EventRow(SQLModel, table=True):
    """One event of a run's log: its number from 1, seconds since the start, and the event as JSON."""

    __tablename__ = "events"

    run_id: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    t: float
    payload: str


class Store:
    """The only keeper of runs and events. Safe to use from several threads.

    Args:
        folder: the data folder; the file is ``runs.sqlite`` in it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.engine: Engine = create_engine(
            URL.create("sqlite", database=str(folder / "runs.sqlite")), connect_args={"check_same_thread": False}
        )
        event.listen(self.engine, "connect", _tune)
        SQLModel.metadata.create_all(self.engine)
        _add_missing_columns(self.engine)

    def add_run(self, run_id: str, key: str, spec: str, *, private: bool, kind: str = "run") -> None:
        """A new run, queued; ``kind`` "sweep" for what is no run but starts some."""
        created = datetime.datetime.now(datetime.timezone.utc).isoformat()
        row = RunRow(id=run_id, key=key, spec=spec, status="queued", private=private, created=created, kind=kind)
        with Session(self.engine) as session:
            session.add(row)
            session.commit()

    def append(
        self,
        run_id: str,
        n: int,
        t: float,
        payload: dict[str, Any],
        status: str | None = None,
        summary: dict[str, Any] | None = None,
    ) -> None:
        """One event, and the run's new status and summary with it, in one transaction."""
        with Session(self.engine) as session:
            session.add(EventRow(run_id=run_id, n=n, t=t, payload=json.dumps(payload, separators=(",", ":"))))
            if status:
                row = session.get_one(RunRow, run_id)
                row.status = status
                if summary is not None:
                    row.summary = json.dumps(summary, separators=(",", ":"))
            session.commit()

    def adopt(
        self, run_id: str, spec: str, records: Sequence[dict[str, Any]], status: str, summary: dict[str, Any]
    ) -> None:
        """A run that was made elsewhere, whole. It has no key: nobody's question is answered by it."""
        created = datetime.datetime.now(datetime.timezone.utc).isoformat()
        row = RunRow(id=run_id, key="", spec=spec, status=status, created=created, tags=json.dumps([ADOPTED]))
        row.summary = json.dumps(summary, separators=(",", ":"))
        with Session(self.engine) as session:
            session.add(row)
            session.flush()
            for record in records:
                payload = {name: value for name, value in record.items() if name not in ("n", "t")}
                text_ = json.dumps(payload, separators=(",", ":"))
                session.add(EventRow(run_id=run_id, n=record["n"], t=record["t"], payload=text_))
            session.commit()

    def ask_more(self, run_id: str, spec: str) -> None:
        """Another spec for a run that goes on; it still answers the question that it began with, so its key stays."""
        with Session(self.engine) as session:
            session.get_one(RunRow, run_id).spec = spec
            session.commit()

    def run(self, run_id: str) -> RunRow | None:
        """The run of that id, or None."""
        with Session(self.engine) as session:
            return session.get(RunRow, run_id)

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """The whole log, as the flat dicts that go over the wire."""
        with Session(self.engine) as session:
            rows = session.exec(select(EventRow).where(EventRow.run_id == run_id).order_by(col(EventRow.n))).all()
            return [{"n": row.n, "t": row.t, **_readable(row)} for row in rows]

    def going(self, kind: str = "run") -> list[str]:
        """Those of a kind that were queued or running when the process that owned them ended."""
        left = select(RunRow.id).where(RunRow.kind == kind, col(RunRow.status).in_(GOING))
        with Session(self.engine) as session:
            return list(session.exec(left).all())

    def answered(self, key: str) -> str | None:
        """The newest finished public run that asked the same question, or None."""
        with Session(self.engine) as session:
            found = select(RunRow.id).where(
                RunRow.key == key, RunRow.status == "finished", col(RunRow.private).is_(False)
            )
            return session.exec(found.order_by(col(RunRow.created).desc())).first()

    def close(self) -> None:
        """Lets go of the file."""
        self.engine.dispose()


def _add_missing_columns(engine: Engine) -> None:
    """Brings a store of an earlier version up to date: columns are only ever added, each with a default."""
    there = {column["name"] for column in inspect(engine).get_columns(RunRow.__tablename__)}
    table = SQLModel.metadata.tables[RunRow.__tablename__]
    with engine.begin() as connection:
        for column in table.columns:
            if column.name not in there:
                added = CreateColumn(column).compile(dialect=engine.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {added}"))
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _readable(row: EventRow) -> dict[str, Any]:
    """The event as JSON values; a damaged one becomes a notice, so that it does not take the whole run with it."""
    try:
        payload = json.loads(row.payload)
        if isinstance(payload["kind"], str):
            return payload
    except (ValueError, TypeError, KeyError):
        pass
    return {"kind": "Notice", "message": f"Event {row.n} of this run is damaged and was left out."}


def _tune(connection: Any, _: Any) -> None:
    """WAL lets readers go on beside the writer; NORMAL keeps every commit over a kill of the process."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")
