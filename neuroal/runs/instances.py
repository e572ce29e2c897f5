"""The processes of the app that share one store: which are alive, and whose a run is.

Each process writes every second that it is there, and its word holds for LEASE_SECONDS. The time is told by the clock
of the database alone, so it does not matter what those of the machines say. A SQLite file is for one process, see
:func:`only_one`, and what other ones have left in it is nobody's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from sqlalchemy import ColumnElement, Float, cast, delete, extract, func, insert, or_, select, update
from sqlmodel import Session, col

from neuroal.errors import UserError
from neuroal.runs.rows import GOING, InstanceRow, RunRow
from neuroal.runs.store import Store

logger = logging.getLogger(__name__)

# Longer than the store tries to reach a server that restarts (``WAITS``), so that all get over that.
LEASE_SECONDS = 15.0

BEAT_SECONDS = 1.0

# Seconds that are waited for the process before this one, which may be stopping.
STOPPING_SECONDS = 10.0

# Seconds after which a process that is gone leaves the table.
KEPT_SECONDS = 3600.0

CLOCK = cast(extract("epoch", func.clock_timestamp()), Float)

SECOND = (
    "Another process of this app uses this store. Stop it, give this one a folder of its own (NEUROAL_DATA), or let "
    "both use one PostgreSQL database (NEUROAL_STORE)."
)


class InUse(UserError):
    """Another process serves the file of the store."""

    def __init__(self) -> None:
        super().__init__(SECOND)


class Instance:
    """This process, as the others see it.

    A process that could not write for a while, or finds that the clock of the database has jumped, gives the others
    the time of a lease to write again before it takes any for gone.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._looks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._judges_from = time.monotonic()
        self._known = False

    def join(self, look: Callable[[], None]) -> None:
        """From now on this process is alive; ``look`` is called every second, to look after its runs."""
        if not self.store.shared:
            return
        with self._lock:
            self._looks.append(look)
            if self._thread is None:
                self.beat()
                self._stopped.clear()
                self._thread = threading.Thread(target=self._work, daemon=True, name="instance")
                self._thread.start()

    def part(self, look: Callable[[], None]) -> None:
        """Undoes :meth:`join`; once nobody is left the others know at once that this process is gone."""
        with self._lock:
            if look in self._looks:
                self._looks.remove(look)
            if self._looks or self._thread is None:
                return
            thread, self._thread = self._thread, None
        self._stopped.set()
        thread.join(2 * BEAT_SECONDS)
        try:
            self.store.do(lambda session: session.execute(delete(InstanceRow).where(self._is_me(InstanceRow.id))))
        except UserError:  # the others will know when the lease ends
            logger.warning("The database does not answer, so it was not told that this process ends")

    def beat(self) -> None:
        """Writes that this process is there."""

        def write(session: Session) -> float | None:
            silent = session.execute(select(CLOCK - InstanceRow.seen).where(self._is_me(InstanceRow.id))).scalar()
            if silent is None:
                session.execute(insert(InstanceRow).values(id=self.store.instance, seen=CLOCK))
                session.execute(delete(InstanceRow).where(col(InstanceRow.seen) < CLOCK - KEPT_SECONDS))
            else:
                session.execute(update(InstanceRow).where(self._is_me(InstanceRow.id)).values(seen=CLOCK))
            return silent

        silent = self.store.do(write)
        if self._known and (silent is None or silent > LEASE_SECONDS / 2):
            self._judges_from = time.monotonic() + LEASE_SECONDS
        self._known = True

    # --- whose a run is ---------------------------------------------------------------------------------------------

    def runs(self, kind: str) -> dict[str, bool]:
        """The waiting and going runs that this process has to look after, and whether each is to be cancelled.

        Its own, and those of processes that are gone: it takes these over, and no other process does.
        """

        def take(session: Session) -> dict[str, bool]:
            wanted = or_(self._is_me(RunRow.instance), ~self._is_alive(RunRow.instance))
            found = select(RunRow.id, RunRow.instance, RunRow.cancel)
            rows = session.execute(found.where(*_going(kind), wanted)).all()
            return {i: cancel for i, of, cancel in rows if of == self.store.instance or self._taken(session, i, of)}

        return self.store.do(take)

    def claim(self, run_id: str, status: Collection[str], spec: str | None = None) -> bool:
        """Makes an ended run that of this process, queued; of several processes one gets it.

        Args:
            status: what it has to be.
            spec: what it asks from now on.
        """
        changes = {"instance": self.store.instance, "cancel": False, "status": "queued"}
        allowed = or_(col(RunRow.status).in_(status), self._is_me(RunRow.instance))  # its own end may not be saved
        mine = update(RunRow).where(RunRow.id == run_id, allowed).values(**changes, **({"spec": spec} if spec else {}))
        return self.store.do(lambda session: session.execute(mine).rowcount) == 1

    def ask_to_cancel(self, kind: str, run_id: str) -> bool:
        """Leaves word for the process whose run it is. False where the run does not wait or go."""
        asked = update(RunRow).where(*_going(kind), RunRow.id == run_id).values(cancel=True)
        return self.store.shared and self.store.do(lambda session: session.execute(asked).rowcount) == 1

    def under_way(self, kind: str, key: str) -> str | None:
        """The oldest public run of any process alive that asks the same question, and waits or goes."""
        found = select(RunRow.id).where(
            *_going(kind), RunRow.key == key, col(RunRow.private).is_(False), RunRow.deleted == "",
            col(RunRow.cancel).is_(False), self._is_alive(RunRow.instance),
        )  # fmt: skip
        return self.store.do(lambda session: session.execute(found.order_by(RunRow.created)).scalar())

    def _taken(self, session: Session, run_id: str, of: str) -> bool:
        """Takes over a run, unless another process was faster."""
        change = update(RunRow).where(RunRow.id == run_id, RunRow.instance == of, col(RunRow.status).in_(GOING))
        return session.execute(change.values(instance=self.store.instance)).rowcount == 1

    def _is_me(self, column: str) -> ColumnElement[bool]:
        return col(column) == self.store.instance

    def _is_alive(self, column: str) -> ColumnElement[bool]:
        if not self.store.shared:
            return self._is_me(column)
        if time.monotonic() < self._judges_from:
            return col(column) != ""
        alive = select(InstanceRow.id).where(col(InstanceRow.seen) > CLOCK - LEASE_SECONDS)
        return or_(self._is_me(column), col(column).in_(alive))

    def _work(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            try:
                self.beat()
                for look in list(self._looks):
                    look()
            except UserError as error:
                logger.warning("%s", error)
            except Exception:  # it may go well the next time
                logger.exception("This process could not look after its runs")


def only_one(store: Store, patience: float = STOPPING_SECONDS) -> Callable[[], None]:
    """Makes this the only process that serves a SQLite file, whatever becomes of it; returns what lets go of it.

    Args:
        patience: seconds that are waited for another one to stop.

    Raises:
        InUse: another process serves it.
    """
    return (lambda: None) if store.shared else only_one_of(Path(str(store.engine.url.database)), patience)


def only_one_of(file: Path, patience: float) -> Callable[[], None]:
    """As :func:`only_one`, of a file that need not be a database."""
    from filelock import FileLock, Timeout

    lock = FileLock(file.parent / f".{file.name}.lock", thread_local=False)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise InUse from None
    except (OSError, NotImplementedError):
        logger.warning("The folder of the store knows no locks; see to it that no second process uses it")
    return lock.release


def _going(kind: str) -> tuple[ColumnElement[bool], ...]:
    return col(RunRow.kind) == kind, col(RunRow.status).in_(GOING)
