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
from neuroal.runs.rows import GOING, STATUSES, RunRow
from neuroal.runs.summary import FIGURES, SCALE, summary

# Of the summary, what a text is searched in beside name and tags, and what lists can be ordered by beside FIGURES.
WORDS = ("model", "pruner", "top_up")

ORDERS = ("created", "status", "name", *WORDS, "sparsity", *FIGURES)

# Longest text that is searched for, and tags at a time.
MOST_LETTERS, MOST_TAGS = 200, 20

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


@dataclass(frozen=True)
class Query:
    """Which runs are asked for; deleted ones never are.

    Attributes:
        text: words that all occur in model, pruner, top-up, name or tags, in capitals or not.
        pinned: None for both.
        tags: all of which a run has, exactly so.
        order: one of ORDERS; runs without that figure come last either way, and of those that are alike the newest
            comes first.
        ids: no other runs than these.

    Raises:
        UserError: a value is not allowed.
    """

    text: str = ""
    status: str = ""
    pinned: bool | None = None
    tags: Collection[str] = ()
    order: str = "created"
    descending: bool = True
    limit: int = 50
    offset: int = 0
    ids: Collection[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", texts("Tags", self.tags, MOST_TAGS))
        if not isinstance(self.text, str) or len(self.text) > MOST_LETTERS:
            raise UserError(f"At most {MOST_LETTERS} letters can be searched for; search for fewer.")
        if self.status and self.status not in STATUSES:
            raise UserError(f"No run can be {self.status!r}; choose one of: {', '.join(STATUSES)}.")
        if self.order not in ORDERS:
            raise UserError(f"Runs cannot be sorted by {self.order!r}.{did_you_mean(str(self.order), ORDERS)}")


def texts(what: str, given: Any, most: int) -> tuple[str, ...]:
    """The first of some short texts. UserError where they are no such list."""
    if not isinstance(given, (list, tuple)) or not all(isinstance(i, str) and len(i) <= 64 for i in given[:most]):
        raise UserError(f"{what} must be a list of short texts.")
    return tuple(given[:most])


def find(session: Session, query: Query) -> tuple[list[Entry], int]:
    """As :meth:`neuroal.runs.store.Store.history`."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    wanted = [col(RunRow.kind) == "run", col(RunRow.deleted) == "", *_matches(query, sqlite)]
    if query.status:
        wanted.append(col(RunRow.status) == query.status)
    if query.pinned is not None:
        wanted.append(col(RunRow.pinned).is_(query.pinned))
    if query.ids is not None:
        wanted.append(col(RunRow.id).in_(query.ids))
    by = _column(query.order, sqlite)
    # Counted on the way: a text is looked for in every run, once.
    found = select(func.count().over(), *_SHOWN).where(*wanted).limit(query.limit).offset(query.offset)
    found = found.order_by((by.desc() if query.descending else by.asc()).nulls_last(), *_newest(query.order))
    rows = session.execute(found).all()
    if rows:
        return [_entry(*row[1:]) for row in rows], rows[0][0]
    count = select(func.count()).select_from(RunRow).where(*wanted)
    return [], session.execute(count).scalar_one() if query.offset else 0


def called(session: Session, said: str, limit: int) -> list[tuple[str, str]]:
    """As :meth:`neuroal.runs.store.Store.called`."""
    begins = col(RunRow.id).startswith(said, autoescape=True)
    wanted = (col(RunRow.deleted) == "", begins | (col(RunRow.name) == said))
    exact = (col(RunRow.id) == said).desc()
    found = select(RunRow.id, RunRow.kind).where(*wanted).order_by(exact, col(RunRow.created).desc()).limit(limit)
    return [tuple(row) for row in session.execute(found).all()]


def unsummarised(session: Session) -> list[str]:
    """Runs that ended before summaries were kept, or before they said what a perplexity depends on."""
    ended = (RunRow.kind == "run", col(RunRow.status).not_in(GOING))
    old = select(RunRow.id).where(*ended, col(RunRow.summary).not_like(f'%"{SCALE[-1]}"%'))
    return list(session.execute(old).scalars())


def _newest(order: str) -> list[ColumnElement[Any]]:
    """What decides between runs that are alike, so that a page of a list begins where the one before it ended."""
    return [*([] if order == "created" else [col(RunRow.created).desc()]), col(RunRow.id)]


def _matches(query: Query, sqlite: bool) -> list[ColumnElement[bool]]:
    """Every word is somewhere in what is searched, every tag is one of the run's."""
    searched = col(RunRow.name) + " " + col(RunRow.tags) + " " + _words(sqlite)
    wanted = [func.lower(searched).contains(word, autoescape=True) for word in query.text.lower().split()]
    for tag in query.tags:  # as it is written: after the bracket or a comma, so not within another tag
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
