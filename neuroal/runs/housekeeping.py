"""What a server does at its start for the runs of the past, beside whatever else it has to do.

Old logs are packed, what was deleted long ago is removed for good, and runs from before there were summaries get one.
Where a host keeps runs for some days only, or has little disk, it is done every hour.
"""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable, Iterator

from neuroal.hosting.disk import Disk
from neuroal.runs.store import Store
from neuroal.runs.summary import summary
from neuroal.threads import stand_back

logger = logging.getLogger(__name__)

# Days after which the log of a run is packed, and after which a deleted run cannot be restored any more.
PACKED_AFTER, PURGED_AFTER = 30, 30

# Seconds between two steps, in which the page and the runs have the database and the interpreter for themselves.
PAUSE = 0.02

# Seconds after which it is done again, where there is reason to.
EVERY = 3600


class Housekeeping:
    """A thread that does it once, in small steps, each a transaction of its own; stopping waits for one step.

    Args:
        forget: removes what was kept of a run outside the store.
        days: after which a run is removed; None for never.
        disk: that has a limit, or None.
    """

    def __init__(
        self, store: Store, forget: Callable[[str], None], days: int | None = None, disk: Disk | None = None
    ) -> None:
        self.store, self.forget, self.days, self.disk = store, forget, days, disk
        self._stopped, self._wanted = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="housekeeping")
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Waits until all is done."""
        self._thread.join(timeout)

    def stop(self) -> None:
        """What is left is done at the next start."""
        self._stopped.set()
        self._wanted.set()
        self._thread.join()

    def soon(self) -> None:
        """It is done again now, where it is at all."""
        self._wanted.set()

    def _work(self) -> None:
        stand_back()
        while not self._stopped.is_set():
            self._wanted.clear()
            try:
                for _ in self._steps(datetime.datetime.now(datetime.timezone.utc)):
                    if self._stopped.wait(PAUSE):
                        return
            except Exception:  # the app goes on without
                logger.exception("Tidying the store failed; it is tried again at the next start")
            if self.days is None and self.disk is None:
                return
            self._wanted.wait(EVERY)

    def _steps(self, now: datetime.datetime) -> Iterator[None]:
        if self.days is not None:
            expired = self.store.expire(now - datetime.timedelta(days=self.days))
            for run_id in expired:
                self.forget(run_id)
            if expired:
                logger.info("%d runs that were older than %d days were removed", len(expired), self.days)
            yield
        if self.disk is not None:
            yield from self.disk.make_room(self.store.ended(), self.forget)
        for run_id in self.store.purge(now - datetime.timedelta(days=PURGED_AFTER)):
            self.forget(run_id)
        yield
        for run_id in self.store.unsummarised():
            self.store.summarise(run_id, summary(self.store.events(run_id)))
            yield
        packed = 0
        for run_id in self.store.packable(now - datetime.timedelta(days=PACKED_AFTER)):
            packed += self.store.pack(run_id)
            yield
        if packed:
            logger.info("The logs of %d old runs were packed", packed)
