"""Rows of the events table as records, and the log of an old run packed into one row.

A row holds one event, or all of a log up to its number: the same events, compressed, so that whoever reads the log gets
the same records, folds them to the same state and can replay them. A thousand rows become one of a quarter of their
size (scores hardly compress). What happens to the run afterwards follows in rows of its own.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select
from sqlmodel import Session, col

from neuroal.runs.rows import GOING, EventRow, RunRow

PACKED = "Packed"


class Row(NamedTuple):
    """Of a row what is not the run's id."""

    n: int
    t: float
    payload: str


def read_rows(session: Session, run_id: str, after: int = 0) -> list[Row]:
    """Those of a run numbered above ``after``, in the order of their numbers.

    One statement, so never half of a log that is being packed.
    """
    log = select(EventRow.n, EventRow.t, EventRow.payload).order_by(EventRow.n)
    mine = log.where(col(EventRow.run_id) == run_id, col(EventRow.n) > after)
    return [Row(*row) for row in session.execute(mine)]


def as_records(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The flat dicts that go over the wire."""
    return [{"n": row.n, "t": row.t, **_readable(row)} for row in unpack(rows)]


def pack(rows: Sequence[Row]) -> Row:
    """One row for all of them, with the number and time of the last; some may be packed already."""
    text = json.dumps(unpack(rows), separators=(",", ":"))
    data = base64.b85encode(zlib.compress(text.encode(), 9)).decode()
    return Row(rows[-1].n, rows[-1].t, json.dumps({"kind": PACKED, "events": data}))


def unpack(rows: Iterable[Row]) -> list[Row]:
    """One row for each event; a packed one that is damaged stays as it is."""
    return [each for row in rows for each in _unpack(row)]


def packable(session: Session, before: str) -> list[str]:
    """Runs that ended, were created before a time, and have more than one row."""
    second = select(EventRow.n).where(col(EventRow.run_id) == col(RunRow.id)).offset(1).limit(1)
    old = select(RunRow.id).where(RunRow.created < before, col(RunRow.status).not_in(GOING), second.exists())
    return list(session.execute(old.order_by(RunRow.created)).scalars())


def pack_log(session: Session, run_id: str) -> bool:
    """Packs the log of a run; the caller commits. False where there is nothing to pack, or another does it as well."""
    rows = read_rows(session, run_id)
    if len(rows) < 2:
        return False
    packed = pack(rows)
    mine = (col(EventRow.run_id) == run_id) & (col(EventRow.n) <= packed.n)
    if session.execute(delete(EventRow).where(mine)).rowcount != len(rows):
        session.rollback()
        return False
    session.execute(insert(EventRow).values(run_id=run_id, **packed._asdict()))
    return True


def _unpack(row: Row) -> list[Row]:
    if not row.payload.startswith(f'{{"kind": "{PACKED}"'):
        return [row]
    try:
        data = base64.b85decode(json.loads(row.payload)["events"])
        return [Row(*each) for each in json.loads(zlib.decompress(data))]
    except (ValueError, TypeError, KeyError, zlib.error):
        return [row]


def _readable(row: Row) -> dict[str, Any]:
    """The event as JSON values; a damaged one becomes a notice, so that it does not take the whole run with it."""
    try:
        payload = json.loads(row.payload)
        if isinstance(payload["kind"], str) and payload["kind"] != PACKED:
            return payload
    except (ValueError, TypeError, KeyError):
        pass
    return {"kind": "Notice", "message": f"Event {row.n} of this run is damaged and was left out."}
