"""Where runs outlive the process: a database, through SQLModel. A SQLite file in the data folder, or PostgreSQL.

Every event is committed before any viewer sees it, so what a page has shown survives a kill -9, and a database server
that restarts.
"""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, literal, update
from sqlmodel import Session, col, select

from neuroal.errors import UserError
from neuroal.runs.database import Database
from neuroal.runs.history import Entry, Query, called, find, unsummarised
from neuroal.runs.labels import labels, tags_as_json
from neuroal.runs.packing import as_records, pack_log, packable, read_rows
from neuroal.runs.rows import GOING, EventRow, RunRow, iso, now

__all__ = ["Entry", "EventRow", "Query", "RunRow", "Store"]

# The tag of a run that came in a bundle.
ADOPTED = "from a bundle"

# The newest runs.
EVERY = Query()


class Taken(UserError):
    """A run is another process's by now, see :mod:`neuroal.runs.instances`."""

    def __init__(self) -> None:
        super().__init__("Another instance of this app has taken over this run.")


class Store(Database):
    """The only keeper of runs and events. Safe to use from several threads.

    Attributes:
        instance: the random name of this process.

    Args:
        where: the data folder, in which the file is ``runs.sqlite``; or the URL of a database.

    Raises:
        UserError: it cannot be opened, or later: its server does not answer any more.
    """

    def __init__(self, where: Path | str) -> None:
        super().__init__(where)
        self.instance = secrets.token_hex(8)
        # In memory, because viewers ask on the event loop, which must not wait for a database.
        deleted = select(RunRow.id).where(RunRow.deleted != "")
        self._deleted = set(self.do(lambda session: session.exec(deleted).all()))

    # --- a run and its log ------------------------------------------------------------------------------------------

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
        fields = {"id": run_id, "key": key, "spec": spec, "status": "queued", "private": private, "created": now()}
        self.do(
            lambda session: session.add(
                RunRow(**fields, kind=kind, summary=_json(summary or {}), instance=self.instance)
            ),
            done=lambda session: session.get(RunRow, run_id) is not None,
        )

    def append(
        self,
        run_id: str,
        n: int,
        t: float,
        payload: dict[str, Any],
        status: str | None = None,
        summary: dict[str, Any] | None = None,
    ) -> None:
        """One event, and the run's new status and summary with it, in one transaction.

        Raises:
            Taken: the run is another process's.
        """
        written = _json(payload)
        mine = select(literal(run_id), literal(n), literal(t), literal(written)).where(
            RunRow.id == run_id, col(RunRow.instance).in_(("", self.instance))
        )
        event = insert(EventRow).from_select(["run_id", "n", "t", "payload"], mine.with_for_update(read=True))

        def write(session: Session) -> None:
            # One statement, in which nobody takes the run over.
            if session.execute(event, execution_options={"preserve_rowcount": True}).rowcount != 1:
                session.get_one(RunRow, run_id)
                raise Taken
            if status:
                changes = {"status": status} | ({} if summary is None else {"summary": _json(summary)})
                session.execute(update(RunRow).where(col(RunRow.id) == run_id).values(**changes))

        def written_before(session: Session) -> bool:
            """The connection was lost between the commit and its answer; another event of this number is a fault."""
            there = session.get(EventRow, (run_id, n))
            return there is not None and (there.t, there.payload) == (t, written)

        self.do(write, done=written_before)

    def append_together(self, events: Sequence[tuple[str, int, float, dict[str, Any]]], status: str) -> None:
        """One event each, as ``(run_id, n, t, payload)``, of several runs that all come to ``status``; one transaction.

        Raises:
            Taken: one of them is another process's; none is written.
        """
        rows = [{"run_id": run_id, "n": n, "t": t, "payload": _json(payload)} for run_id, n, t, payload in events]
        ids = [row["run_id"] for row in rows]
        mine = select(RunRow.id).where(col(RunRow.id).in_(ids), col(RunRow.instance).in_(("", self.instance)))

        def write(session: Session) -> None:
            if len(session.exec(mine.with_for_update(read=True)).all()) != len(set(ids)):
                raise Taken
            session.execute(insert(EventRow), rows)
            session.execute(update(RunRow).where(col(RunRow.id).in_(ids)).values(status=status))

        self.do(write, done=lambda session: session.get(EventRow, (rows[0]["run_id"], rows[0]["n"])) is not None)

    def adopt(
        self,
        run_id: str,
        spec: str,
        records: Sequence[dict[str, Any]],
        status: str,
        summary: dict[str, Any],
        kind: str = "run",
    ) -> None:
        """A run that was made elsewhere, whole. It has no key: nobody's question is answered by it."""
        fields = {"id": run_id, "key": "", "spec": spec, "status": status, "created": now(), "summary": _json(summary)}
        fields["kind"] = kind
        log = [
            {"run_id": run_id, "n": r["n"], "t": r["t"], "payload": _json({k: r[k] for k in r if k not in ("n", "t")})}
            for r in records
        ]

        def write(session: Session) -> None:
            session.execute(insert(RunRow), [{**fields, "private": False, "tags": tags_as_json([ADOPTED])}])
            if log:
                session.execute(insert(EventRow), log)

        self.do(write, done=lambda session: session.get(RunRow, run_id) is not None)

    def run(self, run_id: str) -> RunRow | None:
        """The run of that id, deleted or not, or None."""
        return self.do(lambda session: session.get(RunRow, run_id))

    def events(self, run_id: str, after: int = 0) -> list[dict[str, Any]]:
        """The log above that number, as the flat dicts that go over the wire."""
        records = as_records(self.do(lambda session: read_rows(session, run_id, after)))
        return [record for record in records if record["n"] > after]  # others may be packed with them

    def answered(self, key: str) -> str | None:
        """The newest finished public run that asked the same question, or None."""
        found = select(RunRow.id).where(
            RunRow.key == key, RunRow.status == "finished", col(RunRow.private).is_(False), RunRow.deleted == ""
        )
        newest = found.order_by(col(RunRow.created).desc())
        return self.do(lambda session: session.exec(newest).first())

    # --- the history ------------------------------------------------------------------------------------------------

    def history(self, query: Query = EVERY) -> tuple[list[Entry], int]:
        """Runs that are not deleted, and how many there are without ``limit`` and ``offset``."""
        return self.do(lambda session: find(session, query))

    def edit(
        self, run_id: str, name: str | None = None, tags: Iterable[str] | None = None, pinned: bool | None = None
    ) -> None:
        """What people say of a run; None leaves it as it is.

        Raises:
            KeyError: no run has this id.
            UserError: the name or a tag is too long, or there are too many tags.
        """
        self._change(run_id, **labels(name, tags, pinned))

    def delete(self, run_id: str) -> None:
        """Takes a run out of lists and answers, and breaks its link, until it is restored or purged.

        Raises:
            KeyError: no run has this id.
            UserError: it is queued or running.
        """
        row = self.run(run_id)
        if row is not None and row.status in GOING:
            raise UserError(f"This run is {row.status}; cancel it before you delete it.")
        self._change(run_id, deleted=now())
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
        old = select(RunRow.id).where(
            RunRow.deleted != "", RunRow.deleted < iso(before), col(RunRow.status).not_in(GOING)
        )
        gone: dict[str, None] = {}

        def remove(session: Session) -> None:
            gone.update(dict.fromkeys(session.exec(old).all()))
            session.execute(delete(EventRow).where(col(EventRow.run_id).in_(gone)))
            session.execute(delete(RunRow).where(col(RunRow.id).in_(gone)))

        self.do(remove)
        self._deleted.difference_update(gone)
        return list(gone)

    # --- old logs ---------------------------------------------------------------------------------------------------

    def packable(self, before: datetime.datetime) -> list[str]:
        """Runs that ended, were created before a time (which has a time zone), and whose log is not packed."""
        return self.do(lambda session: packable(session, iso(before)))

    def pack(self, run_id: str) -> bool:
        """Puts the log of a run that ended into one row, from which :meth:`events` reads the same records.

        Returns:
            False where there is nothing to pack, or another process is packing it.
        """
        return self.do(lambda session: pack_log(session, run_id))

    def newest(self, kind: str, limit: int) -> list[str]:
        """Ids of a kind that are not deleted, newest first."""
        known = select(RunRow.id).where(RunRow.kind == kind, RunRow.deleted == "")
        found = known.order_by(col(RunRow.created).desc()).limit(limit)
        return list(self.do(lambda session: session.exec(found).all()))

    def called(self, said: str, limit: int = 2) -> list[tuple[str, str]]:
        """Ids and kinds of what a person may mean: whose id begins so, or whose name it is; newest first, but the one
        with exactly this id before all."""
        return self.do(lambda session: called(session, said, limit))

    def unsummarised(self) -> list[str]:
        """Runs that ended before summaries were kept."""
        return self.do(unsummarised)

    def summarise(self, run_id: str, summary: dict[str, Any]) -> None:
        """What lists show of a run. KeyError when no run has this id."""
        self._change(run_id, summary=_json(summary))

    def _change(self, run_id: str, **changes: Any) -> None:
        def change(session: Session) -> None:
            row = session.get(RunRow, run_id)
            if row is None:
                raise KeyError(run_id)
            row.sqlmodel_update(changes)

        self.do(change)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
