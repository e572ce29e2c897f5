"""Lists of runs: found, ordered and counted by the database, without reading an event."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import reduce
from typing import Any

from sqlalchemy import JSON, ColumnElement, Text, cast, column, func, select
from sqlmodel import Session, col

from neuroal.errors import UserError, did_you_mean
from neuroal.runs.labels import tags_as_json
from neuroal.runs.rows import GOING, RunRow
from neuroal.runs.summary import FIGURES, SCALE, summary

# Of the summary, what a text is searched in beside name and tags, and what lists can be ordered by beside FIGURES.
WORDS = ("model", "pruner", "top_up")

ORDERS = ("created", "status", "name", *WORDS, "sparsity", *FIGURES)

_SHOWN = (
    RunRow.id, RunRow.status, RunRow.created, RunRow.name, RunRow.tags, RunRow.pinned, RunRow.private, RunRow.key,
    RunRow.summary,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A run as lists show it.

    Attributes:
        created: ISO 8601, UTC.
        summary: every name of :mod:`neuroal.runs.summary`; what is not known (yet) is None.
    """

    id: str
    status: str
    created: str
    name: str
    tags: tuple[str, ...]
    pinned: bool
    private: bool
    key: str
    summary: dict[str, Any]


def find(
    session: Session,
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
    """As :meth:`neuroal.runs.store.Store.history`."""
    if order not in ORDERS:
        raise UserError(f"Runs cannot be ordered by {order!r}.{did_you_mean(order, ORDERS)}")
    sqlite = session.get_bind().dialect.name == "sqlite"
    wanted = [col(RunRow.kind) == "run", col(RunRow.deleted) == "", *_matches(text, tags, sqlite)]
    if status:
        wanted.append(col(RunRow.status) == status)
    if pinned is not None:
        wanted.append(col(RunRow.pinned).is_(pinned))
    if ids is not None:
        wanted.append(col(RunRow.id).in_(ids))
    by = _column(order, sqlite)
    # Counted on the way: a text is looked for in every run, once.
    found = select(func.count().over(), *_SHOWN).where(*wanted).limit(limit).offset(offset)
    found = found.order_by((by.desc() if descending else by.asc()).nulls_last(), *_newest(order))
    rows = session.execute(found).all()
    if rows:
        return [_entry(*row[1:]) for row in rows], rows[0][0]
    return [], session.execute(select(func.count()).select_from(RunRow).where(*wanted)).scalar_one() if offset else 0


def unsummarised(session: Session) -> list[str]:
    """Runs that ended before summaries were kept, or before they said what a perplexity depends on."""
    ended = (RunRow.kind == "run", col(RunRow.status).not_in(GOING))
    old = select(RunRow.id).where(*ended, col(RunRow.summary).not_like(f'%"{SCALE[-1]}"%'))
    return list(session.execute(old).scalars())


def _newest(order: str) -> list[ColumnElement[Any]]:
    """What decides between runs that are alike, so that a page of a list begins where the one before it ended."""
    return [*([] if order == "created" else [col(RunRow.created).desc()]), col(RunRow.id)]


def _matches(text: str, tags: Collection[str], sqlite: bool) -> list[ColumnElement[bool]]:
    """Every word is somewhere in what is searched, every tag is one of the run's."""
    searched = col(RunRow.name) + " " + col(RunRow.tags) + " " + _words(sqlite)
    wanted = [func.lower(searched).contains(word, autoescape=True) for word in text.lower().split()]
    for tag in tags:  # as it is written: after the bracket or a comma, so not within another tag
        written = tags_as_json([tag])[1:-1]
        listed = col(RunRow.tags)
        wanted.append(
            listed.startswith(f"[{written}", autoescape=True) | listed.contains(f",{written}", autoescape=True)
        )
    return wanted


def _words(sqlite: bool) -> ColumnElement[str]:
    """WORDS of the summary, with spaces between."""
    if sqlite:
        first, *others = (func.coalesce(_figure(name, sqlite), "") for name in WORDS)
        return reduce(lambda words, word: words + " " + word, others, first)
    # Not one by one: PostgreSQL would read the whole summary anew for each.
    figures = func.json_to_record(cast(RunRow.summary, JSON)).table_valued(*(column(name, Text) for name in WORDS))
    figures = figures.render_derived(name="figures", with_types=True)
    return select(func.concat_ws(" ", *figures.c)).scalar_subquery()


def _column(order: str, sqlite: bool) -> ColumnElement[Any]:
    if order in ("created", "status", "name"):
        return col(getattr(RunRow, order))
    return _figure(order, sqlite)


def _figure(name: str, sqlite: bool) -> ColumnElement[Any]:
    """One value of the summary; NULL where there is none."""
    if sqlite:
        return func.json_extract(RunRow.summary, f"$.{name}")
    value = cast(RunRow.summary, JSON)[name]
    return value.as_string() if name in WORDS else value.as_float()


def _entry(
    run_id: str, status: str, created: str, name: str, tags: str, pinned: bool, private: bool, key: str, figures: str
) -> Entry:
    known = {**summary([]), **json.loads(figures)}
    return Entry(run_id, status, created, name, tuple(json.loads(tags)), bool(pinned), bool(private), key, known)
