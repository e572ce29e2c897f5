"""Where commands find runs, and where they make them: in the app's own store, by the app's own jobs.

Reading needs no more than the store, so it works beside the app. Making takes the place of the app: a SQLite file is
for one process, so while the app has it there is a sentence that says what can be done.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroal.commands.output import Busy, Code, Output, Terminated
from neuroal.commands.progress import Watch
from neuroal.errors import UserError
from neuroal.models.cache import data_folder
from neuroal.runs.instances import Instance, InUse
from neuroal.runs.registry import Registry
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop, masks_in, stored_in
from neuroal.sharing.repeat import PROGRAM
from neuroal.sweeps.spec import SweepSpec
from neuroal.sweeps.sweeps import KIND

if TYPE_CHECKING:
    from torch import nn

    from neuroal.models.loading import LanguageModel

# Seconds between two looks at what has happened, and that are waited for another process to let go of the store.
LOOK_SECONDS, PATIENCE = 0.05, 2.0

# The newest run; and letters of an id that are enough to name a run.
LAST, SHORTEST = "last", 4

BUSY = (
    "The app, or another command, uses this data folder. Ask on the page, stop what uses it, or add --no-store to do "
    "it without keeping it."
)
BUSY_HERE = "The app, or another command, uses this data folder, and must make the change itself: {}, or stop it first."


@dataclass(frozen=True)
class Shelf:
    """The store as it is read."""

    folder: Path
    store: Store
    runs: Registry
    sweeps: Registry

    def find(self, said: str, kind: str | None = None) -> str:
        """The id of the run that a person means: an id or the beginning of one, a name, a link, or "last".

        Args:
            kind: "run" or "sweep", where it has to be one.

        Raises:
            UserError: there is none, or several.
        """
        wanted = said.strip()
        if linked := re.search(r"[?&](?:run|sweep)=([\w-]+)", wanted):
            wanted = linked[1]
        if wanted == LAST:
            if newest := self.store.newest(kind or "run", 1):
                return newest[0]
            raise UserError("There are no runs yet; begin with: " + f"{PROGRAM} prune.")
        found = [i for i, of in self.store.called(wanted, 3) if kind in (None, of)]
        exact = [i for i in found if i == wanted]
        if not exact and len(wanted) < SHORTEST:
            found = [i for i in found if not i.startswith(wanted)]
        if not found:
            raise UserError(f"No {kind or 'run'} is called {said!r}; see: {PROGRAM} runs list.")
        if len(found) > 1 and not exact:
            raise UserError(f"Several runs are called {said!r}: {', '.join(found)}; give more of an id.")
        return (exact or found)[0]

    @property
    def jobs(self) -> Registry:
        """As of a workshop."""
        return self.runs

    def pair(self, run_id: str) -> tuple[LanguageModel, nn.Module]:
        """As of a workshop: the dense model and the pruned twin of a finished run.

        Raises:
            UserError: the run has not finished, or what it kept is gone.
        """
        if (status := self.runs.status(run_id)) != "finished":
            raise UserError(f"This run is {status}; there is a pruned model once it has finished.")
        from neuroal.models.loading import load
        from neuroal.runs.masks_file import rebuilt_twin

        spec = self.runs.spec(run_id)
        lm = load(spec.model, revision=spec.revision, dtype=spec.dtype)
        return lm, rebuilt_twin(masks_in(self.folder, run_id), lm)

    def registry(self, run_id: str) -> Registry:
        """Of the runs, or of the sweeps."""
        return self.sweeps if is_sweep(run_id) else self.runs

    def answered(self, spec: RunSpec) -> str | None:
        """The finished run that answers a question and whose pruned model is still there."""
        answer = self.runs.answered(spec)
        return answer if answer and masks_in(self.folder, answer).exists() else None


def is_sweep(run_id: str) -> bool:
    """Whether it is the id of a sweep."""
    return run_id.startswith(f"{KIND}-")


@contextmanager
def reading() -> Iterator[Shelf]:
    """The store, whoever else uses it."""
    folder = data_folder()
    store = Store(stored_in(folder))
    try:
        instance = Instance(store)
        runs = Registry(store, "run", RunSpec.from_json, instance)
        yield Shelf(folder, store, runs, Registry(store, KIND, SweepSpec.from_json, instance))
    finally:
        store.close()


@contextmanager
def working(stored: bool = True, instead: str = "") -> Iterator[Workshop]:
    """What does runs, as the app has it.

    Args:
        stored: False for a place of its own, of which nothing is left.
        instead: what can be done on the page, where doing it without keeping it makes no sense.

    Raises:
        Busy: another process uses the data folder.
    """
    with ExitStack() as stack:
        place = None if stored else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="neuroal-")))
        try:
            workshop = Workshop(place, apart=not stored, patience=PATIENCE)
        except InUse:
            raise Busy(BUSY_HERE.format(instead) if instead else BUSY) from None
        stack.callback(workshop.close)
        yield workshop


def followed(
    out: Output,
    runs: Registry,
    run_id: str,
    watch: Watch,
    cancel: Callable[[], Any],
    stored: bool = True,
    again: str = "",
) -> Code:
    """Shows a run until it is over, and says how to go on with one that did not finish.

    Args:
        cancel: ends it; called at the first Ctrl+C. A second one is raised, and so is SIGTERM.
        stored: whether it is kept.
        again: the command that goes on, where it is not that of a run.
    """
    hint = (
        f"Go on with: {PROGRAM} {again or f'runs resume {run_id}'}" if stored else "Nothing of it is kept (--no-store)."
    )
    stopped = False
    try:
        try:
            _follow(runs, run_id, watch)
        except Terminated:
            raise
        except KeyboardInterrupt:
            stopped = True
            out.say("Stopping at the next block; what is finished is kept. Ctrl+C again leaves at once.")
            cancel()
            _follow(runs, run_id, watch)
    except KeyboardInterrupt:
        out.say(hint)
        raise
    if runs.status(run_id) == "finished":
        return Code.INTERRUPTED if stopped else Code.OK
    out.say("Stopped." if stopped else watch.ended)
    out.say(hint)
    return Code.INTERRUPTED if stopped else Code.FAILED


def _follow(runs: Registry, run_id: str, watch: Watch) -> None:
    with watch:
        while True:
            records, over = runs.read(run_id, watch.state["last"])
            watch.take(records)
            if over:
                return
            time.sleep(LOOK_SECONDS)
