"""Progress on stderr, folded from the records that the page is drawn from: a bar in a terminal, else a line a stage."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from neuroal.commands.output import Output
from neuroal.folding.fold import empty_state, fold
from neuroal.folding.status import duration_text, progress, sentence
from neuroal.folding.sweep_fold import counts, empty_sweep, fold_sweep

if TYPE_CHECKING:
    from rich.progress import Progress

Record = dict[str, Any]


class Watch:
    """What a person sees while something goes on; used as a context.

    Attributes:
        state: what the records so far come to.
    """

    def __init__(self, out: Output) -> None:
        self.out = out
        self.state = self.empty()
        self._bar: Progress | None = None
        self._task: Any = None

    # What is followed: a run, unless a subclass says otherwise.

    def empty(self) -> Any:
        """The state before the first record."""
        return empty_state()

    def fold(self, record: Record) -> None:
        """One more record."""
        fold(self.state, record)

    def where(self) -> tuple[str, float, str]:
        """A sentence of what happens now, the share that is done (0..1), and what is told beside it."""
        share, left = progress(self.state)
        return sentence(self.state), share, "" if left is None else f"about {duration_text(left)} left"

    def news(self, record: Record) -> str:
        """What is worth a line of its own where no bar is drawn."""
        return self.state["message"] if record["kind"] == "StageStarted" else ""

    @property
    def ended(self) -> str:
        """How it ended."""
        return sentence(self.state)

    # How it is shown.

    def fold_before(self, records: Iterable[Record]) -> None:
        """What had happened before, which is not shown."""
        for record in records:
            self.fold(record)

    def __enter__(self) -> Watch:
        if self.out.interactive:
            self._bar = _bar(self.out)
            self._task = self._bar.add_task("", total=1.0, beside="")
            self._bar.start()
        self._said = ""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def take(self, records: Iterable[Record]) -> None:
        """Folds records and shows where things stand."""
        for record in records:
            self.fold(record)
            if record["kind"] == "Notice":
                self.out.say(record["message"])
            elif not self._bar and (news := self.news(record)) and _stem(news) != self._said:
                self._said = _stem(news)
                self.out.say(news)
        if self._bar:
            said, share, beside = self.where()
            self._bar.update(self._task, description=said, completed=share, beside=beside)


class SweepWatch(Watch):
    """A sweep, whose steps are its runs."""

    def empty(self) -> Any:
        """The state before the first record."""
        return empty_sweep()

    def fold(self, record: Record) -> None:
        """One more record."""
        fold_sweep(self.state, record)

    def where(self) -> tuple[str, float, str]:
        """Which runs are going, and how many are done."""
        members = self.state["members"]
        going = [_called(member) for member in members if member["status"] == "running"]
        counted = counts(self.state)
        over = counted["finished"] + counted["failed"]
        failed = f", {counted['failed']} failed" if counted["failed"] else ""
        return "; ".join(going) or "Waiting.", over / max(1, len(members)), f"{over} of {len(members)} runs{failed}"

    @property
    def ended(self) -> str:
        """How it ended."""
        return self.state["failure"] or f"The sweep is {self.state['status']}."

    def news(self, record: Record) -> str:
        """Each run that begins, and each that is over."""
        if record["kind"] not in ("MemberStarted", "MemberFinished"):
            return ""
        member = self.state["members"][record["index"]]
        place = f"{record['index'] + 1} of {len(self.state['members'])}"
        if record["kind"] == "MemberStarted":
            return f"Run {place}: {_called(member)}."
        status = "was answered before" if record["reused"] else record["message"] or record["status"]
        return f"Run {place}, {_called(member)}: {status.rstrip('.')}."


def _called(member: Record) -> str:
    seed = member["settings"].get("seed")
    return f"{member['label']}, {100 * member['sparsity']:.4g} %" + (f", seed {seed}" if seed is not None else "")


def _stem(sentence: str) -> str:
    """A sentence without the seconds that it was waited for."""
    return sentence.partition(" (")[0].rstrip(".")


def _bar(out: Output) -> Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.table import Column

    said = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", table_column=said, markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[beside]}", markup=False),
        console=out.errors,
        transient=True,
        expand=True,
        refresh_per_second=8,
    )
