"""The logs in memory, for their viewers: those of runs that wait or go, and the last ones that were looked at.

Where several processes of the app share the store, what is not written here may be written by another one. Such a log
is followed while somebody looks at it, and forgotten soon after. The store is asked, it does not announce (LISTEN and
NOTIFY of PostgreSQL): a question gets over restarts of the database and poolers in between, and costs next to nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict

from neuroal.errors import UserError
from neuroal.runs.log import ENDED, RunLog
from neuroal.runs.store import Store

logger = logging.getLogger(__name__)

# Logs of ended runs kept in memory for their viewers; older ones are read from the store again.
KEPT_LOGS = 64

# Seconds between two looks at what other processes write, and after which nobody is looking any more.
FOLLOW_SECONDS, WATCHED_SECONDS = 0.25, 5.0


class Logs:
    """Logs by the ids of their runs. Safe to use from several threads, and no reader waits for the store of another."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._logs: OrderedDict[str, RunLog] = OrderedDict()
        self._watched: dict[str, float] = {}  # when each was last looked at, where others may write to it
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._somebody = threading.Event()
        if store.shared:
            threading.Thread(target=self._follow, daemon=True, name="followed logs").start()

    def __len__(self) -> int:
        return len(self._logs)

    def find(self, run_id: str) -> RunLog | None:
        """The log if it is in memory, and followed where others may write to it."""
        with self._lock:
            log = self._logs.get(run_id)
            if log is None or (self._store.shared and not log.mine and not self._is_watched(run_id)):
                return None
            self._logs.move_to_end(run_id)
            self._watch(run_id)
            return log

    def load(self, run_id: str) -> RunLog:
        """The log from the store, for all who ask for it from now on; the one in memory where that is better."""
        log = RunLog(run_id, self._store, self._store.events(run_id))
        with self._lock:
            there = self._logs.get(run_id)
            if there is not None and (there.mine or not self._store.shared):
                return there
            self._logs[run_id] = log
            self._watch(run_id)
            self._forget_old(log)
            return log

    def put(self, log: RunLog) -> None:
        """The log that its run is drained into, in place of what viewers may have read meanwhile."""
        with self._lock:
            log.mine = True
            self._logs[log.run_id] = log
            self._forget_old(log)

    def close(self) -> None:
        """Follows no log any more."""
        with self._lock:
            self._closed.set()
            self._somebody.set()

    def _forget_old(self, new: RunLog) -> None:
        ended = [run_id for run_id, log in self._logs.items() if log is not new and log.status in ENDED]
        for run_id in ended[: max(0, len(self._logs) - KEPT_LOGS)]:
            del self._logs[run_id]

    def _watch(self, run_id: str) -> None:
        if self._store.shared:
            self._watched[run_id] = time.monotonic()
            self._somebody.set()

    def _follow(self) -> None:
        while not self._closed.wait(FOLLOW_SECONDS):
            self._somebody.wait()
            try:
                for log in self._others():
                    log.catch_up()
            except UserError as error:
                logger.warning("%s", error)
            except Exception:  # it may go well the next time
                logger.exception("Logs that other processes write could not be read")

    def _others(self) -> list[RunLog]:
        """What may be written elsewhere and is looked at; the rest of it is forgotten."""
        with self._lock:
            self._watched = {run_id: seen for run_id, seen in self._watched.items() if self._is_watched(run_id)}
            others = {run_id: log for run_id, log in self._logs.items() if not log.mine}
            for run_id in others.keys() - self._watched.keys():
                del self._logs[run_id], others[run_id]
            if not self._watched and not self._closed.is_set():
                self._somebody.clear()
            return list(others.values())

    def _is_watched(self, run_id: str) -> bool:
        return run_id in self._watched and time.monotonic() - self._watched[run_id] < WATCHED_SECONDS
