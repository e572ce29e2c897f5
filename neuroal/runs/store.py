"""Where runs outlive the process: one SQLite file (WAL) through SQLModel, in the data folder.

Every event is committed before any viewer sees it, so what a page has shown survives a kill -9.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, event, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.schema import CreateColumn
from sqlmodel import Session, SQLModel, col, create_engine, select

from neuroal.errors import UserError
from neuroal.runs.history import Entry, find, tags_as_json
from neuroal.runs.rows import GOING, EventRow, RunRow

__all__ = ["Entry", "EventRow", "RunRow", "Store"]

# The tag of a run that came in a bundle.
ADOPTED = "from a bundle"

# Letters of a run's name and of a tag, and tags of a run.
LONGEST_NAME, LONGEST_TAG, MOST_TAGS = 120, 40, 20


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
        with Session(self.engine) as session:
            # In memory, because viewers ask on the event loop, which must not wait for a database.
            self._deleted = set(session.exec(select(RunRow.id).where(RunRow.deleted != "")).all())

    def add_run(
        self,
        run_id: str,
        key: str,
        spec: str,
        *,
        private: bool,
        kind: str = "run",
        summary: dict[str, Any] | None = None,
    ) -> None:
        """A new run, queued; ``kind`` "sweep" for what is no run but starts some."""
        row = RunRow(
            id=run_id, key=key, spec=spec, status="queued", private=private, created=_now(), kind=kind,
            summary=_json(summary or {}),
        )  # fmt: skip
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
            session.add(EventRow(run_id=run_id, n=n, t=t, payload=_json(payload)))
            if status:
                row = session.get_one(RunRow, run_id)
                row.status = status
                if summary is not None:
                    row.summary = _json(summary)
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
                RunRow.key == key, RunRow.status == "finished", col(RunRow.private).is_(False), RunRow.deleted == ""
            )
            return session.exec(found.order_by(col(RunRow.created).desc())).first()

    # --- the history ------------------------------------------------------------------------------------------------

    def history(
        self,
        text: str = "",
        status: str = "",
        pinned: bool | None = None,
        tags: Collection[str] = (),
        order: str = "created",
        descending: bool = True,
        limit: int = 50,
        offset: int = 0,
        ids: Collection[str] | None = None,
    ) -> tuple[list[Entry], int]:
        """Runs that are not deleted, and how many there are without ``limit`` and ``offset``.

        Args:
            text: words that all occur in model, pruner, top-up, name or tags, in capitals or not.
            tags: all of which a run has, exactly so.
            order: one of ``neuroal.runs.history.ORDERS``; runs without that figure come last either way, and of those
                that are alike the newest comes first.
            ids: no other runs than these.

        Raises:
            UserError: no such order.
        """
        with Session(self.engine) as session:
            return find(session, text, status, pinned, tags, order, descending, limit, offset, ids)

    def edit(
        self, run_id: str, name: str | None = None, tags: Iterable[str] | None = None, pinned: bool | None = None
    ) -> None:
        """What people say of a run; None leaves it as it is.

        Raises:
            KeyError: no run has this id.
            UserError: the name or a tag is too long, or there are too many tags.
        """
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = _short(name, "name", LONGEST_NAME)
        if tags is not None:
            kept = tuple(dict.fromkeys(filter(None, (_short(tag, "tag", LONGEST_TAG) for tag in tags))))
            if len(kept) > MOST_TAGS:
                raise UserError(f"A run can have {MOST_TAGS} tags; these are {len(kept)}.")
            changes["tags"] = tags_as_json(kept)
        if pinned is not None:
            changes["pinned"] = bool(pinned)
        self._change(run_id, **changes)

    def delete(self, run_id: str) -> None:
        """Takes a run out of lists and answers, and breaks its link, until it is restored or purged.

        Raises:
            KeyError: no run has this id.
            UserError: it is queued or running.
        """
        row = self.run(run_id)
        if row is not None and row.status in GOING:
            raise UserError(f"This run is {row.status}; cancel it before you delete it.")
        self._change(run_id, deleted=_now())
        self._deleted.add(run_id)

    def restore(self, run_id: str) -> None:
        """Undoes :meth:`delete`. KeyError when no run has this id (any more)."""
        self._change(run_id, deleted="")
        self._deleted.discard(run_id)

    def is_deleted(self, run_id: str) -> bool:
        """Whether it was deleted and not restored. Asks nobody, so it is quick."""
        return run_id in self._deleted

    def purge(self, before: datetime.datetime) -> list[str]:
        """Really removes what was deleted before a time (which has a time zone), and returns the ids."""
        at = before.astimezone(datetime.timezone.utc).isoformat(timespec="microseconds")
        with Session(self.engine) as session:
            old = select(RunRow.id).where(RunRow.deleted != "", RunRow.deleted < at, col(RunRow.status).not_in(GOING))
            gone = list(session.exec(old).all())
            for run_id in gone:
                session.execute(delete(EventRow).where(col(EventRow.run_id) == run_id))
                session.execute(delete(RunRow).where(col(RunRow.id) == run_id))
            session.commit()
        self._deleted.difference_update(gone)
        return gone

    def _change(self, run_id: str, **changes: Any) -> None:
        with Session(self.engine) as session:
            row = session.get(RunRow, run_id)
            if row is None:
                raise KeyError(run_id)
            row.sqlmodel_update(changes)
            session.commit()

    def close(self) -> None:
        """Lets go of the file."""
        self.engine.dispose()


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _now() -> str:
    """UTC, always as long, so that the order of the texts is that of the times, whatever collation a database has."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")


def _short(given: str, what: str, longest: int) -> str:
    """One line of what can be printed: control characters and broken ones would not survive every database."""
    line = " ".join("".join(c for c in given if c.isprintable() or c.isspace()).split())
    if len(line) > longest:
        raise UserError(f"A {what} can have {longest} letters; this one has {len(line)}.")
    return line


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
    connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows the letters of ASCII only


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
