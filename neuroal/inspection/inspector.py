"""What a server knows of the matrices of its runs: one walk for each run, in a thread, kept in memory and on disk."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroal.errors import UserError
from neuroal.importing import import_engine
from neuroal.inspection.cells import Window, packed
from neuroal.inspection.figures import Damage, Histogram, histogram, most_damaged
from neuroal.inspection.record import Inspected, Seen
from neuroal.runs.examples import PREFIX
from neuroal.runs.jobs import Jobs
from neuroal.runs.rows import GOING
from neuroal.threads import stand_back

if TYPE_CHECKING:
    from torch import nn

    from neuroal.models.loading import LanguageModel

logger = logging.getLogger(__name__)

# Runs whose norms are kept in memory (2 MB each for SmolLM2), and matrices whose bits are.
KEPT, KEPT_MASKS = 8, 2

# Runs that are walked or wait for it.
MOST_WAITING = 8

RECORDED = (
    "This is a recorded run: its charts are here, its weights are not, so its matrices cannot be shown. "
    "Press Run with settings like these, and look inside that run."
)
NO_MASKS = (
    "Only the log of this run is here (it came as a bundle, or its pruned weights were removed): its charts can be "
    "shown, its matrices cannot. Press Run to ask the same question here, and look inside that run."
)
WALKING = "Comparing what every linear receives in the dense and in the pruned model: block {} of {}."
FAULT = "Something went wrong on the server while the models were compared; try again."


@dataclass(frozen=True)
class Figures:
    """What one matrix shows beside its bits; ``zeros``: int64 [rows], pruned weights of each row."""

    seen: Seen
    zeros: np.ndarray
    histogram: Histogram
    damaged: list[Damage]


class Inspector:
    """Looks into the matrices of runs. Safe to use from several threads; nothing here waits for a walk.

    Args:
        folder: where walks are kept.
        masks: the file of a run's masks; it need not exist.
        pair: the dense and the pruned model of a run whose masks exist.
    """

    def __init__(
        self,
        jobs: Jobs,
        folder: Path,
        masks: Callable[[str], Path],
        pair: Callable[[str], tuple[LanguageModel, nn.Module]],
    ) -> None:
        self.jobs, self.folder, self.masks, self.pair = jobs, folder, masks, pair
        self._lock, self._one = threading.Lock(), threading.Lock()
        self._kept: OrderedDict[str, Inspected] = OrderedDict()
        self._bits: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()
        self._going: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._closed = threading.Event()

    def look(self, run_id: str) -> Inspected | str:
        """What is known of a run's matrices; before it is known, it is being found out, and a sentence says how far.

        Raises:
            KeyError: no run has this id.
            UserError: there are no pruned weights to look into, or comparing them has failed.
        """
        self._refuse(run_id)
        with self._lock:
            if run_id in self._kept:
                self._kept.move_to_end(run_id)
                return self._kept[run_id]
            if run_id in self._failed:  # told once; who asks again starts anew
                raise UserError(self._failed.pop(run_id))
            if run_id in self._going:
                return self._going[run_id]
        if found := self._stored(run_id):
            return self._remember(run_id, found)
        return self._start(run_id)

    def figures(self, run_id: str, place: str) -> Figures:
        """The figures of one matrix.

        Args:
            place: as ``Seen.place``.

        Raises:
            KeyError, UserError: as :meth:`look`; there is no such linear; or nothing is known of this run yet.
        """
        seen = self._known(run_id).at(place)
        zeros = seen.columns - np.count_nonzero(self._mask(run_id, seen), axis=1)
        damaged = [] if seen.dense is None or seen.pruned is None else most_damaged(seen.dense, seen.pruned)
        return Figures(seen, zeros, histogram(zeros, seen.columns), damaged)

    def cells(self, run_id: str, place: str, *, top: int, left: int, rows: int, columns: int, cell: int) -> bytes:
        """A window of a mask, see ``neuroal.inspection.cells``. Errors as :meth:`figures`, and as ``Window``."""
        seen = self._known(run_id).at(place)
        window = Window((seen.rows, seen.columns), top, left, rows, columns, cell)
        return packed(self._mask(run_id, seen), window)

    def forget(self, run_id: str) -> None:
        """Removes what was kept of a run."""
        with self._lock:
            self._kept.pop(run_id, None)
        self._aside(run_id).unlink(missing_ok=True)

    def close(self) -> None:
        """Walks that are going end at their next block."""
        self._closed.set()

    # --- what there is ----------------------------------------------------------------------------------------------

    def _refuse(self, run_id: str) -> None:
        """One sentence for a run that has nothing to look into."""
        if run_id.startswith(PREFIX):
            raise UserError(RECORDED)
        status = self.jobs.status(run_id)
        if self.masks(run_id).exists():  # they are written once the run is over but for its measuring
            return
        if status in GOING:
            raise UserError(f"This run is {status}; its matrices can be shown once it has finished.")
        if status != "finished":
            raise UserError(f"This run has {_ENDINGS[status]}, so nothing is pruned yet; press Resume to finish it.")
        raise UserError(NO_MASKS)

    def _known(self, run_id: str) -> Inspected:
        found = self.look(run_id)
        if isinstance(found, str):
            raise UserError(f"This run is still being looked into. {found}")
        return found

    def _mask(self, run_id: str, seen: Seen) -> np.ndarray:
        """bool [rows, columns], True where the weight is kept."""
        key = (run_id, seen.path)
        with self._lock:
            if key in self._bits:
                self._bits.move_to_end(key)
                return self._bits[key]
        import_engine()
        from neuroal.runs.masks_file import read_mask

        shape = (seen.rows, seen.columns)
        stored = read_mask(self.masks(run_id), seen.path, shape[::-1] if seen.transposed else shape)
        mask = np.ascontiguousarray(stored.T if seen.transposed else stored)
        with self._lock:
            self._bits[key] = mask
            while len(self._bits) > KEPT_MASKS:
                self._bits.popitem(last=False)
        return mask

    def _remember(self, run_id: str, found: Inspected) -> Inspected:
        with self._lock:
            self._kept[run_id] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found

    def _aside(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.safetensors"

    def _stored(self, run_id: str) -> Inspected | None:
        """From disk, unless the masks are newer."""
        aside = self._aside(run_id)
        if not aside.exists() or aside.stat().st_mtime < self.masks(run_id).stat().st_mtime:
            return None
        return Inspected.load(aside)

    # --- walking ----------------------------------------------------------------------------------------------------

    def _start(self, run_id: str) -> Inspected | str:
        with self._lock:
            if run_id in self._kept:  # since it was looked for
                return self._kept[run_id]
            if run_id not in self._going:
                if len(self._going) >= MOST_WAITING:
                    raise UserError(f"{MOST_WAITING} runs are being looked into already; try again in a minute.")
                self._going[run_id] = "Waiting until another run has been looked into."
                threading.Thread(target=self._work, args=(run_id,), daemon=True, name="inspection").start()
            return self._going[run_id]

    def _work(self, run_id: str) -> None:
        stand_back()
        try:
            with self._one:  # each as dear as a candidate of a search
                found = self._walk(run_id)
            if found is not None:
                self._remember(run_id, found)
        except UserError as refusal:
            self._fail(run_id, str(refusal))
        except Exception:
            logger.exception("Run %s could not be looked into", run_id)
            self._fail(run_id, FAULT)
        finally:
            with self._lock:
                self._going.pop(run_id, None)

    def _walk(self, run_id: str) -> Inspected | None:
        """Drains the walk; None where the server stops."""
        self._say(run_id, "Loading the model and its pruned weights.")
        import_engine()
        from neuroal.inspection.walk import iter_inspect

        lm, twin = self.pair(run_id)
        with closing(iter_inspect(self.jobs.spec(run_id), lm, twin)) as events:
            while not self._closed.is_set():
                try:
                    event = next(events)
                except StopIteration as end:
                    end.value.save(self._aside(run_id))
                    return end.value
                self._say(run_id, WALKING.format(event.done, event.total))
        return None

    def _say(self, run_id: str, sentence: str) -> None:
        with self._lock:
            self._going[run_id] = sentence

    def _fail(self, run_id: str, sentence: str) -> None:
        with self._lock:
            self._failed[run_id] = sentence
            while len(self._failed) > MOST_WAITING:
                self._failed.pop(next(iter(self._failed)))


# How a run that was not finished has ended.
_ENDINGS = {"failed": "failed", "cancelled": "been cancelled", "interrupted": "been interrupted"}
