"""The logs in memory, for their viewers: those of runs that wait or go, and the last ones that were looked at."""

from __future__ import annotations

import threading
from collections import OrderedDict

from neuroal.runs.log import ENDED, RunLog
from neuroal.runs.store import Store

# Logs of ended runs kept in memory for their viewers; older ones are read from the store again.
KEPT_LOGS = 64


class Logs:
    """Logs by the ids of their runs. Safe to use from several threads, and no reader waits for the store of another."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._logs: OrderedDict[str, RunLog] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._logs)

    def find(self, run_id: str) -> RunLog | None:
        """The log if it is in memory."""
        with self._lock:
            if run_id in self._logs:
                self._logs.move_to_end(run_id)
            return self._logs.get(run_id)

    def load(self, run_id: str) -> RunLog:
        """The log from the store, for all who ask for it from now on; the one in memory where there is one by then."""
        read = RunLog(run_id, self._store, self._store.events(run_id))
        with self._lock:
            log = self._logs.setdefault(run_id, read)
            self._forget_old(log)
            return log

    def put(self, log: RunLog) -> None:
        """The log that its run is drained into, in place of what viewers may have read meanwhile."""
        with self._lock:
            self._logs[log.run_id] = log
            self._forget_old(log)

    def _forget_old(self, new: RunLog) -> None:
        ended = [run_id for run_id, log in self._logs.items() if log is not new and log.status in ENDED]
        for run_id in ended[: max(0, len(self._logs) - KEPT_LOGS)]:
            del self._logs[run_id]
