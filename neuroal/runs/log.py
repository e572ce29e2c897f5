"""The append-only, numbered event log of one run: in memory for viewers, in the store for ever."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from neuroal.runs.events import (
    Event,
    Notice,
    Queued,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
)
from neuroal.runs.store import Store, Taken
from neuroal.runs.summary import summary
from neuroal.sweeps.events import SweepStarted

logger = logging.getLogger(__name__)

# What an event says about where the run, or the sweep, stands; other events leave the status as it is.
STATUS: dict[type[Event], str] = {
    Queued: "queued",
    RunStarted: "running",
    SweepStarted: "running",
    RunResumed: "running",
    RunFinished: "finished",
    RunFailed: "failed",
    RunCancelled: "cancelled",
    RunInterrupted: "interrupted",
}
ENDED = frozenset({"finished", "failed", "cancelled", "interrupted"})


class Sealed(Exception):
    """The server stops, and has told the end of this run without waiting for whoever does it."""


class RunLog:
    """Numbers events, stamps them with the seconds since the run started, commits them, then shows them.

    Args:
        records: what the store already holds, for a run of the past.

    Attributes:
        mine: whether it is written here. What another process of the app writes is read by :meth:`catch_up`.
    """

    def __init__(self, run_id: str, store: Store, records: list[dict[str, Any]] | None = None) -> None:
        self.run_id = run_id
        self._store = store
        self._records = records or []
        self._writing = threading.Lock()  # one event at a time, for as long as the store takes
        self._showing = threading.Lock()  # for an instant: viewers read on the event loop, which no store may hold up
        self._zero: float | None = None  # the clock stands still
        self._sealed = False
        self.mine = False
        self.status = last_status(self._records)

    def start_clock(self) -> None:
        """Seconds go on from the last event. They stop with the end: neither waiting nor a stopped server counts."""
        with self._writing:
            self._zero = time.monotonic() - self._last("t", 0.0)

    def append(self, happened: Event) -> dict[str, Any]:
        """Commits an event and returns its record ``{"n", "t", "kind", ...}``.

        Raises:
            Taken: the run is another process's; nothing was appended.
            Sealed: nor is anything any more.
        """
        with self._writing:
            return self._append(happened, save=True)

    def seal(self, event: Event) -> None:
        """Closes the log with an event, unless it is closed already; whoever does the run cannot append any more."""
        with self._writing:
            if self.status not in ENDED:
                for each in ending(self, event):
                    self._append_at_any_cost(each)
            self._sealed = True

    def append_at_any_cost(self, happened: Event) -> None:
        """As :meth:`append`, but viewers learn of it even when the disk is full and it cannot be saved.

        The store then still says that the run is going, so the next start of the server marks it as interrupted; where
        several processes share the store, as soon as it can be written to again. Of a run that is another process's by
        now there is nothing to tell.
        """
        with self._writing:
            self._append_at_any_cost(happened)

    # --- with the lock held -----------------------------------------------------------------------------------------

    def _append_at_any_cost(self, happened: Event) -> None:
        try:
            self._append(happened, save=True)
        except Taken as error:
            logger.warning("Run %s: %s", self.run_id, error)
        except Sealed:
            logger.info("Run %s: its end was told already", self.run_id)
        except Exception:
            logger.exception("Run %s: an event could not be saved", self.run_id)
            self._append(happened, save=False)

    def _append(self, happened: Event, *, save: bool) -> dict[str, Any]:
        if self._sealed:
            raise Sealed
        status, record = STATUS.get(type(happened)), self._record(happened)
        if save:
            figures = summary([*self._records, record]) if status in ENDED else None
            try:
                self._store.append(self.run_id, record["n"], record["t"], happened.to_dict(), status, figures)
            except Taken:
                self.mine = False
                raise
        self._show(record, status)
        return record

    def _record(self, happened: Event) -> dict[str, Any]:
        n = self._last("n", 0) + 1  # not their count: one may be missing in the store
        t = self._last("t", 0.0) if self._zero is None else round(time.monotonic() - self._zero, 3)
        return {"n": n, "t": t, **happened.to_dict()}

    def _show(self, record: dict[str, Any], status: str | None) -> None:
        with self._showing:
            self._records.append(record)
            self.status = status or self.status
        if status in ENDED:
            self._zero, self.mine = None, False

    # --- reading ----------------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Reads what another process has written since; nothing where the log is written here."""
        with self._writing:
            if self.mine:
                return
            records = self._store.events(self.run_id, self._last("n", 0))
            status = last_status(records, self.status)
            with self._showing:
                self._records += records
                self.status = status

    def _last(self, name: str, otherwise: Any) -> Any:
        return self._records[-1][name] if self._records else otherwise

    @property
    def place(self) -> int | None:
        """In the queue, as last told; None where that is not the last thing that was."""
        return self._records[-1].get("position") if self._records else None

    def read(self, after: int = 0) -> tuple[list[dict[str, Any]], bool]:
        """Records numbered above ``after``, and whether the run has ended, so that none will follow."""
        with self._showing:
            return self._records[bisect_right(self._records, after, key=lambda r: r["n"]) :], self.status in ENDED


def tell_places(places: Sequence[tuple[RunLog, int]]) -> None:
    """Tells those who wait of their new places: together, for where many wait each step forward moves all of them.

    As :meth:`RunLog.append_at_any_cost`.
    """
    with ExitStack() as writing:
        for log, _ in places:
            writing.enter_context(log._writing)
        told = [(log, event, log._record(event)) for log, event in ((log, Queued(place)) for log, place in places)]
        status = STATUS[Queued]
        try:
            if told:
                events = [(log.run_id, record["n"], record["t"], event.to_dict()) for log, event, record in told]
                told[0][0]._store.append_together(events, status)
        except Exception as error:
            logger.info("The places of %d runs are saved one by one: %s", len(told), error)
        else:
            for log, _, record in told:
                log._show(record, status)
            return
    for log, place in places:
        log.append_at_any_cost(Queued(place))


def ending(log: RunLog, event: Event) -> list[Event]:
    """What closes a run. One that had finished, and was only measured once more, is finished whatever comes."""
    records, _ = log.read()
    finished = next((r for r in reversed(records) if r["kind"] == RunFinished.__name__), None)
    if finished is None:
        return [event]
    return [Notice(_AFTERWARDS[type(event)].format(event)), RunFinished(finished["seconds"], finished["peak_memory"])]


# Why a run that had finished was not measured to the end.
_AFTERWARDS = {
    RunCancelled: "Measuring was cancelled; what was measured by then is kept.",
    RunInterrupted: "The server stopped while this run was being measured; press Measure to go on.",
    RunFailed: "Measuring failed. {0.message}",
}


def last_status(records: list[dict[str, Any]], before: str = "queued") -> str:
    """Where a run stands after these records."""
    kinds = {kind.__name__: status for kind, status in STATUS.items()}
    return next((kinds[r["kind"]] for r in reversed(records) if r["kind"] in kinds), before)
