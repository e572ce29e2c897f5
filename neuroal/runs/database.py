"""The database behind the store: a SQLite file (WAL) in a folder, or a PostgreSQL server given by its URL.

Whatever differs between the two is here. What a URL holds, a password above all, never gets into a message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, event, func, inspect, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.schema import CreateColumn
from sqlmodel import Session, SQLModel, create_engine

from neuroal.errors import DISK_FULL, UserError
from neuroal.runs.rows import RunRow

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between attempts while a server that was there does not answer: it may be restarting.
WAITS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)

# Of a PostgreSQL connection, unless its URL says otherwise: seconds, then milliseconds without a sign of the server.
POSTGRESQL = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "client_encoding": "utf8",
    "application_name": "neuroal",
}

# Errors of PostgreSQL after which another connection may do better: of the connection, and while the server restarts.
LOST = ("08", "57P")

# The number of PostgreSQL's lock under which tables are made: any that nobody else in the database would use.
PREPARING = 0x6E6575726F616C

# The file of SQLite in a data folder.
STORE = "runs.sqlite"

UNWRITABLE = (
    "The data folder cannot be written any more; see to it that its disk is there and this process may write to it, "
    "then ask again or resume the run."
)
DAMAGED = "The file with the runs is damaged; start the app again, which keeps it aside and makes a new one."
LOCKED = "The file with the runs is locked by another program; try again in a moment."

_TROUBLES = {
    "is full": DISK_FULL,
    "no space left": DISK_FULL,
    "malformed": DAMAGED,
    "not a database": DAMAGED,
    "no such table": DAMAGED,  # cut to nothing while the app goes on: an empty file is a database for SQLite
    "readonly": UNWRITABLE,
    "unable to open": UNWRITABLE,
    "disk i/o error": UNWRITABLE,
    "is locked": LOCKED,
}

HOW = "NEUROAL_STORE takes postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, or sqlite:////PATH/OF/A/FILE"


class Damaged(UserError):
    """The file is no database, or not any more."""


class Database:
    """A connection pool, and transactions in it. Safe to use from several threads.

    Args:
        where: as of :func:`open_database`.
    """

    def __init__(self, where: Path | str) -> None:
        self.engine: Engine = open_database(where)

    @property
    def shared(self) -> bool:
        """Whether several processes of the app may serve it: a server, not a file."""
        return self.engine.dialect.name != "sqlite"

    def close(self) -> None:
        """Lets go of the database."""
        self.engine.dispose()

    def do(self, work: Callable[[Session], T], done: Callable[[Session], bool] | None = None) -> T:
        """One transaction, tried again where the connection was lost; not what ``done`` finds to be done already."""

        def attempt(again: bool) -> T:
            with Session(self.engine, expire_on_commit=False) as session:
                if again and done is not None and done(session):
                    return None  # type: ignore[return-value]
                result = work(session)
                session.commit()
                return result

        return patiently(attempt)


def open_database(where: Path | str) -> Engine:
    """Connects to a database in which the tables are there with all their columns.

    Args:
        where: a folder, whose ``runs.sqlite`` it is, or a URL.

    Raises:
        UserError: no database can be opened there; one sentence says why.
    """
    if isinstance(where, Path):
        try:
            where.mkdir(parents=True, exist_ok=True)
        except OSError:
            raise UserError(UNWRITABLE) from None
        url = URL.create("sqlite", database=str(where / STORE))
    else:
        url = _read(where)
    try:
        engine = _engine(url)
    except ImportError:
        raise UserError('PostgreSQL needs one more package: pip install "psycopg[binary]".') from None
    try:
        _prepare(engine)
    except DBAPIError as error:
        engine.dispose()
        if _trouble(error) == DAMAGED:
            raise Damaged(_reason(error)) from None
        raise UserError(_reason(error)) from None
    return engine


def patiently(work: Callable[[bool], T]) -> T:
    """What ``work`` returns, trying again where the connection to the server was lost meanwhile.

    Args:
        work: is told whether this is another attempt. The one before may have been committed for all that.

    Raises:
        UserError: the server did not come back in about six seconds; or the disk is full, or the file damaged, locked,
            or on a disk that cannot be written any more.
    """
    for attempt, wait in enumerate((*WAITS, None)):
        try:
            return work(attempt > 0)
        except DBAPIError as error:
            if trouble := _trouble(error):
                logger.error("The store cannot be used: %s", error.orig)
                raise UserError(trouble) from error
            if not _is_lost(error):
                raise
            if wait is None:
                raise UserError("The database of runs does not answer; try again in a moment.") from error
            logger.warning("The database does not answer (%s); trying again", type(error.orig).__name__)
            time.sleep(wait)
    raise AssertionError("unreachable")


def _trouble(error: DBAPIError) -> str:
    """What has befallen the file of SQLite, as a sentence; "" for anything else. SQLite has no finer words for it."""
    if hasattr(error.orig, "sqlstate"):
        return ""
    said = str(error.orig).lower()
    return next((sentence for sign, sentence in _TROUBLES.items() if sign in said), "")


def _is_lost(error: DBAPIError) -> bool:
    """Whether it is about the connection. SQLite has none to lose, and waits for other writers by itself."""
    if not hasattr(error.orig, "sqlstate"):
        return False
    state = error.orig.sqlstate  # None where there was no server to ask
    return error.connection_invalidated or state is None or state.startswith(LOST)


def _read(address: str) -> URL:
    try:
        url = make_url(address.strip())
    except (ArgumentError, ValueError):
        raise UserError(f"The address of the store cannot be read: {HOW}.") from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("postgresql+psycopg", "sqlite", "sqlite+pysqlite"):
        raise UserError(f"Runs are stored in SQLite or PostgreSQL: {HOW}.")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise UserError(f"A store in memory would not outlive the process: {HOW}.")
    return url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _tune)
        return engine
    settings = {name: value for name, value in POSTGRESQL.items() if name not in url.query}
    return create_engine(url, connect_args=settings, pool_pre_ping=True)


def _reason(error: DBAPIError) -> str:
    """Why the store could not be opened, by what is known of it; the database's own words may quote the address."""
    said = str(error.orig).lower()
    if not hasattr(error.orig, "sqlstate"):
        if "locked" in said:
            return "The file of the store is locked by another program."
        if "full" in said:
            return DISK_FULL
        return "The file of the store cannot be opened: it is no SQLite database, or its folder cannot be written to."
    if "password" in said or "authentication" in said or "no pg_hba.conf entry" in said:
        return "The PostgreSQL server of NEUROAL_STORE refused the user or the password."
    if "role" in said and "does not exist" in said:
        return "The PostgreSQL server of NEUROAL_STORE does not know the user."
    if "database" in said and "does not exist" in said:
        return "The PostgreSQL server of NEUROAL_STORE has no such database; make it with createdb."
    if "permission denied" in said:
        return "The user of NEUROAL_STORE may not make tables in that PostgreSQL database."
    if _is_lost(error):
        return "The PostgreSQL server of NEUROAL_STORE cannot be reached; is it running, and are host and port right?"
    return f"The database of NEUROAL_STORE could not be prepared ({type(error.orig).__name__})."


def _prepare(engine: Engine) -> None:
    """Makes what is missing: tables, and in a store of an earlier version columns, each of which has a default.

    Of processes that start together one does it, and the others find it done.
    """
    table = SQLModel.metadata.tables[RunRow.__tablename__]
    with engine.begin() as connection:
        if engine.dialect.name != "sqlite":
            connection.execute(select(func.pg_advisory_xact_lock(PREPARING)))
        SQLModel.metadata.create_all(connection)
        there = {column["name"] for column in inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                added = CreateColumn(column).compile(dialect=engine.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {added}"))
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _tune(connection: Any, _: Any) -> None:
    """SQLite: WAL lets readers go on beside the writer; NORMAL keeps every commit over a kill of the process."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows the letters of ASCII only


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
