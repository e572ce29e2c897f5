"""What a server exports for its visitors: one at a time for each run, in threads that outlive the tab."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from neuroal.errors import UserError
from neuroal.export.events import ExportFinished, ExportStep, PushFinished
from neuroal.export.forms import FORMS, HUB, find_form
from neuroal.export.shelf import Shelf
from neuroal.importing import import_engine
from neuroal.runs.events import Event
from neuroal.runs.examples import PREFIX
from neuroal.runs.job import sentence
from neuroal.threads import stand_back

if TYPE_CHECKING:
    from neuroal.export.source import Source
    from neuroal.runs.workshop import Workshop

logger = logging.getLogger(__name__)

# Exports of different runs that are made or wait; each takes a model's size on the disk.
MOST_WAITING = 4

RECORDED = (
    "This is a recorded run: its charts are here, its weights are not, so only its bundle can be taken away. "
    "Press Run with settings like these, and take that run's model away."
)
NO_MASKS = (
    "Only the log of this run is here (it came as a bundle, or its pruned weights were removed), so its model cannot "
    "be taken away. Press Run to ask the same question here."
)
GOING_ON = "Something of this run is being made already; wait for it, or cancel it."
FAULT = "Something went wrong on the server while this was made; try again."


@dataclass
class Job:
    """What is being made of a run: its form ("hub" for an upload), and how far it is."""

    run_id: str
    form: str
    message: str = "Waiting until another export is done."
    done: int = 0
    total: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class State:
    """What a visitor sees of a run's exports.

    Attributes:
        going: what is being made: form, message, done and total; None where nothing is.
        failed: why the last one came to nothing; empty where it did not.
        pushed: where the last upload went; None where there was none.
        kept: what can be fetched, by form.
    """

    going: dict[str, Any] | None
    failed: str
    pushed: PushFinished | None
    kept: dict[str, ExportFinished]


class Exporter:
    """Makes and keeps exports. Safe to use from several threads; nothing here waits for one to be made."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop, self.shelf = workshop, Shelf(workshop.folder / "exports")
        self._lock, self._one = threading.Lock(), threading.Lock()
        self._going: dict[str, Job] = {}
        self._failed: dict[str, str] = {}
        self._pushed: dict[str, PushFinished] = {}
        self._closed = False

    def look(self, run_id: str) -> State:
        """What there is of a run's exports.

        Raises:
            KeyError: no run has this id. UserError: nothing can be exported of it.
        """
        self._refuse(run_id)
        with self._lock:
            job = self._going.get(run_id)
            names = ("form", "message", "done", "total")
            going = {name: getattr(job, name) for name in names} if job else None
            failed, pushed = self._failed.get(run_id, ""), self._pushed.get(run_id)
        return State(going, failed, pushed, self.shelf.kept(run_id))

    def start(self, run_id: str, form: str) -> None:
        """Begins to make a file; nothing where it is there already.

        Raises:
            KeyError: no run has this id. UserError: nothing can be exported of it, the form is no file, or something of
                this run is being made already.
        """
        if find_form(form).suffix == "":
            raise UserError("A folder cannot be downloaded; choose the .zip.")
        self._refuse(run_id)
        if form not in self.shelf.kept(run_id):
            self._begin(Job(run_id, form), self._file)

    def push(self, run_id: str, repo_id: str, token: str | None, private: bool = True) -> None:
        """Begins to upload; errors as :meth:`start`, and of the name and the token once it goes on."""
        self._refuse(run_id)
        if not token:
            raise UserError("Uploading needs a Hugging Face token that may write; sign in, or paste one.")

        def upload(job: Job, source: Source) -> Generator[Event, None, Any]:
            from neuroal.export.pushing import iter_push

            return iter_push(source, repo_id, token=token, private=private)

        self._begin(Job(run_id, HUB), upload)

    def cancel(self, run_id: str) -> bool:
        """Stops what is being made of a run at its next step; False where nothing was."""
        with self._lock:
            job = self._going.get(run_id)
            if job:
                job.cancelled.set()
                job.message = "Cancelling."
            return job is not None

    def forget(self, run_id: str) -> None:
        """Removes what was kept of a run."""
        self.cancel(run_id)
        self.shelf.forget(run_id)

    def close(self) -> None:
        """What is being made ends at its next step."""
        with self._lock:
            self._closed = True
            for job in self._going.values():
                job.cancelled.set()

    def _refuse(self, run_id: str) -> None:
        if run_id.startswith(PREFIX):
            raise UserError(RECORDED)
        status = self.workshop.jobs.status(run_id)
        if status != "finished":
            raise UserError(f"This run is {status}; its model can be taken away once it has finished.")
        if not self.workshop.has_weights(run_id):
            raise UserError(NO_MASKS)

    def _begin(self, job: Job, make: Callable[[Job, Source], Generator[Event, None, Any]]) -> None:
        with self._lock:
            if self._closed:
                raise UserError("The server is stopping; try again in a moment.")
            if job.run_id in self._going:
                raise UserError(GOING_ON)
            if len(self._going) >= MOST_WAITING:
                raise UserError(f"{MOST_WAITING} exports are being made already; try again in a minute.")
            self._going[job.run_id] = job
            self._failed.pop(job.run_id, None)
        threading.Thread(target=self._work, args=(job, make), daemon=True, name="export").start()

    def _work(self, job: Job, make: Callable[[Job, Source], Generator[Event, None, Any]]) -> None:
        stand_back()
        failed = ""
        try:
            with self._one:  # each may need a second copy of a model
                self._drain(job, make)
        except UserError as refusal:
            failed = str(refusal)
        except BaseException as error:  # whatever it is, the next export must find its turn
            logger.exception("Run %s could not be exported", job.run_id)
            said = sentence(error)
            failed = FAULT if "unexpected" in said else said
        with self._lock:
            self._going.pop(job.run_id, None)
            if failed and not job.cancelled.is_set():
                self._failed[job.run_id] = failed

    def _drain(self, job: Job, make: Callable[[Job, Source], Generator[Event, None, Any]]) -> None:
        if job.cancelled.is_set():
            return
        job.message = "Loading the model and its pruned weights."
        import_engine()
        from neuroal.export.source import of_run

        with closing(make(job, of_run(self.workshop, job.run_id))) as events:
            for event in events:
                self._take(job, event)
                if job.cancelled.is_set():
                    return

    def _file(self, job: Job, source: Source) -> Generator[Event, None, Any]:
        """A file on the shelf."""
        from neuroal.export.make import iter_export

        name = f"{source.title}{FORMS[job.form].suffix}"
        target = self.shelf.place(job.run_id, name)
        target.unlink(missing_ok=True)  # of an export that nothing is told of
        finished = yield from iter_export(source, job.form, target)
        self.shelf.put(job.run_id, finished.told)

    def _take(self, job: Job, event: Event) -> None:
        with self._lock:
            if isinstance(event, ExportStep) and not job.cancelled.is_set():
                job.message, job.done, job.total = event.message, event.done, event.total
            elif isinstance(event, PushFinished):
                self._pushed[job.run_id] = event


def as_json(state: State) -> dict[str, Any]:
    """What a visitor sees, as JSON values."""
    return dataclasses.asdict(state)
