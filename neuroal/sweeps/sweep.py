"""A sweep as a generator of events: its runs are queued a few at a time, and each is told of when it is over.

It computes nothing. Pausing is ceasing to drain: the run at hand goes on, and when the sweep is resumed what is in the
store by then is an answer.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Generator, Iterable
from typing import Any, Protocol

from neuroal.errors import UserError
from neuroal.runs.events import Event, RunFinished
from neuroal.runs.jobs import NotResumable
from neuroal.runs.log import ENDED
from neuroal.runs.spec import RunSpec
from neuroal.runs.summary import Summary
from neuroal.sweeps.events import MemberFinished, MemberStarted, SweepStarted
from neuroal.sweeps.labels import labels
from neuroal.sweeps.spec import Member, SweepSpec, shown

# Seconds between two looks at the runs at hand.
PAUSE = 0.1


class Runs(Protocol):
    """Who does the runs."""

    def answered(self, spec: RunSpec) -> str | None:
        """A finished run that asked the same question."""

    def start(self, spec: RunSpec, owner: str) -> str:
        """Queues a run and returns its id; UserError where it is refused."""

    def resume(self, run_id: str, owner: str) -> None:
        """Queues a run again that was interrupted, cancelled or failed; UserError where it is refused, NotResumable
        where it goes on already."""

    def status(self, run_id: str) -> str:
        """As of ``Jobs``; KeyError where the run is not known any more."""

    def outcome(self, run_id: str) -> tuple[Summary, str]:
        """The figures of a run that is over, and why it failed or had to make way for others."""


def sweep(
    spec: SweepSpec, runs: Runs, *, owner: str, together: int = 1, records: Iterable[dict[str, Any]] = ()
) -> Generator[Event | None, None, None]:
    """Asks every question of a sweep that has no answer yet.

    Args:
        owner: whose turn the runs take in the queue: the sweep's own, so that it holds up nobody.
        together: runs that are queued or going at a time.
        records: of the log so far, where the sweep goes on after an interruption.

    Yields:
        SweepStarted once in a log, MemberStarted and MemberFinished for each run, RunFinished; None while it waits.
    """
    records = list(records)
    began = time.perf_counter()
    spent = records[-1]["t"] if records else 0.0
    if not any(record["kind"] == "SweepStarted" for record in records):
        yield _opening(spec)
    over = {r["index"] for r in records if r["kind"] == "MemberFinished" and r["status"] == "finished"}
    left = [member for member in spec.members if member.index not in over]
    begun = _begun(records)
    yield from _reuse(left, runs, begun)
    yield from _Going(runs, owner, begun).all(left, together)
    yield RunFinished(spent + time.perf_counter() - began, 0)


def _opening(spec: SweepSpec) -> SweepStarted:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    members = [
        {
            "settings": shown(member.settings),
            "label": label,
            "sparsity": member.spec.sparsity,
            "control": member.spec.top_up == "uniform",
        }
        for member, label in zip(spec.members, labels(spec.members), strict=True)
    ]
    return SweepStarted(spec.card(), tuple(members), tuple(spec.refusals), now)


def _reuse(left: list[Member], runs: Runs, begun: dict[int, str]) -> Generator[Event, None, None]:
    """What has an answer already is told at once, and taken off the list; a run of this sweep's own, which ended while
    it was paused, is not one that was there before."""
    for member in list(left):
        if answer := runs.answered(member.spec):
            left.remove(member)
            reused = begun.get(member.index) != answer
            yield MemberFinished(member.index, answer, "finished", reused, runs.outcome(answer)[0])


def _begun(records: list[dict[str, Any]]) -> dict[int, str]:
    """Runs that were started before an interruption, by the index of their member."""
    return {r["index"]: r["run"] for r in records if r["kind"] == "MemberStarted"}


class _Going:
    """The runs at hand."""

    def __init__(self, runs: Runs, owner: str, begun: dict[int, str]) -> None:
        self.runs, self.owner, self.begun = runs, owner, begun
        self.hands: dict[int, str] = {}
        self.resumed: set[int] = set()

    def all(self, left: list[Member], together: int) -> Generator[Event | None, None, None]:
        """Every member, a few at a time."""
        waiting = list(reversed(left))
        while waiting or self.hands:
            while waiting and len(self.hands) < together:
                yield self._start(waiting.pop())
            yield from self._look()
            if self.hands and (len(self.hands) >= together or not waiting):
                yield None
                time.sleep(PAUSE)

    def _start(self, member: Member) -> Event:
        """Queues a run; one that is refused is over."""
        try:
            run_id = self._queued(member)
        except UserError as error:
            return MemberFinished(member.index, "", "failed", False, {}, str(error))
        self.hands[member.index] = run_id
        return MemberStarted(member.index, run_id)

    def _queued(self, member: Member) -> str:
        if run_id := self.begun.get(member.index):
            try:
                if self.runs.status(run_id) in ENDED - {"finished"}:
                    self.runs.resume(run_id, self.owner)
                return run_id
            except NotResumable:
                return run_id  # another process was faster, and it goes on
            except KeyError:
                pass  # it was removed meanwhile
        return self.runs.start(member.spec, self.owner)

    def _look(self) -> Generator[Event, None, None]:
        """Tells of those that are over."""
        for index, run_id in list(self.hands.items()):
            try:
                status = self.runs.status(run_id)
            except KeyError:
                del self.hands[index]
                yield MemberFinished(index, run_id, "failed", False, {}, "The run was removed.")
                continue
            if status in ENDED and not self._goes_on(index, run_id, status):
                del self.hands[index]
                figures, why = self.runs.outcome(run_id)
                yield MemberFinished(index, run_id, status, False, figures, why)

    def _goes_on(self, index: int, run_id: str, status: str) -> bool:
        """Resumes, once, a run that was interrupted while the sweep was going: its process is gone, the sweep is not.

        A sweep that is resumed where another process has gone sees its run going until that one's lease is over.
        """
        if status != "interrupted" or index in self.resumed or self.runs.outcome(run_id)[1]:
            return False
        try:
            self.runs.resume(run_id, self.owner)
        except NotResumable:
            return True  # another process was faster; its log will say so in a moment
        except (UserError, KeyError):
            return False
        self.resumed.add(index)
        return True
