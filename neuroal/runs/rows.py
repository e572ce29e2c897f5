"""The tables of the store: runs and the events of their logs, whose they are, and the processes that do them."""

from __future__ import annotations

import datetime

from sqlalchemy import Index, false
from sqlmodel import Field, SQLModel

# The states of a run; the first two are the ones a stopped server leaves behind.
GOING = ("queued", "running")
STATUSES = (*GOING, "cancelled", "failed", "finished", "interrupted")


class RunRow(SQLModel, table=True):
    """A run: its question and where it stands.

    What came later than the first stores has a default, and is added to a store that lacks it.

    Attributes:
        kind: "run", or "sweep" for what is no run but starts some.
        created: ISO 8601, UTC.
        summary: JSON, see :mod:`neuroal.runs.summary`.
        tags: JSON, a list of texts.
        deleted: when a person removed it (as ``created``), or "".
        instance: the process that alone may write to it; "" for any.
        cancel: that process is asked to cancel it.
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
    instance: str = Field(default="", sa_column_kwargs={"server_default": ""})
    cancel: bool = Field(default=False, sa_column_kwargs={"server_default": false()})

    __table_args__ = (Index("ix_runs_listed", "kind", "deleted", "created"),)


class EventRow(SQLModel, table=True):
    """One event of a run's log: its number from 1, seconds since the start, and the event as JSON."""

    __tablename__ = "events"

    run_id: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    t: float
    payload: str


class InstanceRow(SQLModel, table=True):
    """A process of the app, and when it was last heard of: seconds since 1970 by the clock of the database."""

    __tablename__ = "instances"

    id: str = Field(primary_key=True)
    seen: float


class OwnerRow(SQLModel, table=True):
    """A run that was claimed, and the digest of the secret that claimed it."""

    __tablename__ = "owners"

    run_id: str = Field(primary_key=True)
    owner: str


def iso(time: datetime.datetime) -> str:
    """UTC, always as long, so that the order of the texts is that of the times, whatever collation a database has.

    Args:
        time: with a time zone.
    """
    return time.astimezone(datetime.timezone.utc).isoformat(timespec="microseconds")


def now() -> str:
    """As :func:`iso`."""
    return iso(datetime.datetime.now(datetime.timezone.utc))
