"""Everything a server keeps: the store, the jobs, the loaded models, and the pruned twins of finished runs.

One object per process. It imports nothing heavy at first; torch comes with the first use, in a thread of its own.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroal.cluster.choice import cluster
from neuroal.errors import UserError
from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.export.exporter import Exporter
from neuroal.hosting import zero
from neuroal.hosting.disk import Disk
from neuroal.hosting.limits import Limits
from neuroal.hosting.profile import Profile
from neuroal.importing import import_engine
from neuroal.inspection.inspector import Inspector
from neuroal.models.cache import data_folder
from neuroal.runs.damage import open_store
from neuroal.runs.events import Event
from neuroal.runs.housekeeping import Housekeeping
from neuroal.runs.instances import STOPPING_SECONDS
from neuroal.runs.jobs import Jobs
from neuroal.runs.pace import Pace
from neuroal.runs.rules import Rules
from neuroal.runs.spec import RunSpec
from neuroal.runs.turns import Turns
from neuroal.sweeps.sweeps import Sweeps
from neuroal.threads import stand_back

if TYPE_CHECKING:
    from torch import nn

    from neuroal.models.loading import LanguageModel
    from neuroal.runs.pool import ModelPool
    from neuroal.runs.run import Known, Outcome

# Pruned twins kept in memory for comparing; others are rebuilt from their masks in about a second.
KEPT_TWINS = 2

# Seconds that what goes has to reach its next event when the server stops.
CLOSING_SECONDS = 5.0

# Questions that pairs of models answer at the same time; more would only make each of them slower.
ANSWERS_AT_ONCE = 2

# Answers that one address gets in a minute before those of others and the runs go first.
ANSWERS_A_MINUTE = 12

# A side that is no run.
DENSE = "dense"


def stored_in(folder: Path) -> Path | str:
    """Where runs are stored: in the database that NEUROAL_STORE names, else in this data folder."""
    return os.environ.get("NEUROAL_STORE", "") or folder


def masks_in(folder: Path, run_id: str) -> Path:
    """The file of a finished run's pruned model in a data folder."""
    return folder / "pruned" / f"{run_id}.safetensors"


class Workshop:
    """The server's state.

    Attributes:
        notices: what people should know of it: a sentence for each thing that is not as it was.

    Args:
        folder: the data folder; NEUROAL_DATA or ``data`` beside the app when not given. Runs are stored there too, or
            in the database that NEUROAL_STORE names.
        workers: runs at the same time; when not given one, or as many as the Ray cluster has room for.
        apart: stored in the folder, whatever NEUROAL_STORE says.
        patience: seconds that are waited for another process on this store to stop.
        profile: of the host, whose limits hold; without one there are none.

    Raises:
        UserError: the store cannot be opened or is another process's, or the engine that NEUROAL_ENGINE asks for cannot
            be had.
    """

    def __init__(
        self,
        folder: Path | None = None,
        workers: int | None = None,
        *,
        apart: bool = False,
        patience: float = STOPPING_SECONDS,
        profile: Profile | None = None,
    ) -> None:
        self.folder, self.profile = folder or data_folder(), profile or Profile()
        self.limits, self.disk = Limits(self.profile), Disk(self.profile, self.folder)
        self._pool: ModelPool | None = None
        self._twins: OrderedDict[str, tuple[LanguageModel, nn.Module]] = OrderedDict()
        self._lock = threading.RLock()
        self._rebuilding = threading.Lock()
        self._stopped = False
        where = self.folder if apart else stored_in(self.folder)
        # Alone with it before anything that is left in the store is taken for nobody's.
        store, self._let_go, damage = open_store(where, patience)
        self.notices = (damage,) if damage else ()
        self._cluster = cluster(lambda: self.pool, self._masks)
        lending = zero.engine(self._masks, self.profile.gpu_seconds)
        slots = self._cluster.slots if self._cluster else lending.slots if lending else 1
        minutes = self.profile.minutes
        rules = Rules(self._refuse, self.profile.waiting, None if minutes is None else 60 * minutes)
        done_by = self._cluster or lending or self._engine
        self.jobs = Jobs(store, done_by, workers or slots, rules=rules)
        self.sweeps = Sweeps(self, Rules(self.limits.refuse_sweep, self.profile.waiting))
        self.inspector = Inspector(self.jobs, self.folder / "inspected", self._masks, self._pair)
        self.exporter = Exporter(self, self.disk.for_exports)
        limited = self.disk if self.disk.most is not None else None
        self.housekeeping = Housekeeping(self.jobs.store, self._forget, self.profile.retention_days, limited)
        self.pace, self.answering, self.answered = Pace(), Turns(ANSWERS_AT_ONCE), Pace(ANSWERS_A_MINUTE)

    @property
    def pool(self) -> ModelPool:
        """The loaded models; imports torch on first use."""
        import_engine()
        from neuroal.runs.pool import ModelPool

        with self._lock:
            self._pool = self._pool or ModelPool()
            return self._pool

    def workers(self) -> tuple[int, float]:
        """Workers of the cluster, and how many times as long as here a run takes on one; without a cluster 1, 1.0."""
        return (self.jobs.workers, self._cluster.pace) if self._cluster else (1, 1.0)

    def start(self, spec: RunSpec, owner: str = "") -> str:
        """As ``Jobs.start``, but a question that is being answered, here or elsewhere, is not asked a second time.

        A finished run is an answer only while its pruned model is still there to be asked.
        """
        return self.asked(spec) or self.jobs.start(spec, owner, again=True)

    def asked(self, spec: RunSpec) -> str | None:
        """The run that answers a question, or will."""
        answered = self.jobs.answered(spec)
        return answered if answered and self._masks(answered).exists() else self.jobs.under_way(spec)

    def pair(self, run_id: str) -> tuple[LanguageModel, nn.Module]:
        """The dense model and the pruned twin of a finished run.

        Raises:
            UserError: the run has not finished, or what it kept is gone.
        """
        self._refuse_unfinished(run_id)
        return self._pair(run_id)

    def sides(self, left: str, right: str) -> tuple[LanguageModel, nn.Module, nn.Module]:
        """Any two models of one kind: "dense", or the id of a finished run for its pruned twin.

        Raises:
            UserError: both are dense, the runs are of different models, or as for :meth:`pair`.
        """
        runs = [side for side in (left, right) if side != DENSE]
        if not runs:
            raise UserError("Both sides are the dense model; choose a finished run for one of them.")
        for run_id in runs:
            self._refuse_unfinished(run_id)
        specs = [self.jobs.spec(run_id) for run_id in runs]
        if len({(spec.model, spec.revision, spec.dtype) for spec in specs}) > 1:
            raise UserError("These two runs pruned different models, or in another precision; choose two of one model.")
        pairs = {run_id: self._pair(run_id) for run_id in runs}
        lm = pairs[runs[0]][0]
        first, second = (lm.model if side == DENSE else pairs[side][1] for side in (left, right))
        return lm, first, second

    def has_weights(self, run_id: str) -> bool:
        """Whether what is kept of a run's pruned model is there; it is before the run is over, where it is measured."""
        return self._masks(run_id).exists()

    def _refuse_unfinished(self, run_id: str) -> None:
        try:
            status = self.jobs.status(run_id)
        except KeyError:
            raise UserError("No run has this id; start a run, or open the link of one.") from None
        if status != "finished":
            raise UserError(f"This run is {status}; the pruned model can be asked once it has finished.")

    def _pair(self, run_id: str) -> tuple[LanguageModel, nn.Module]:
        if kept := self._kept(run_id):
            return kept
        with self._rebuilding:  # one at a time, each as large as its model; those in memory need not wait for it
            return self._kept(run_id) or self._remember(run_id, *self._rebuilt(run_id))

    def measure(self, run_id: str, asked: RunSpec, owner: str = "") -> None:
        """More evaluations of a finished run.

        Args:
            asked: whose evaluations, with the settings that these look at, are added to the run's own.

        Raises:
            UserError: nothing new is asked, the run has not finished, or its pruned model is gone.
            KeyError: no run has this id.
        """
        spec = self.jobs.spec(run_id)
        more = [name for name in asked.evaluations if not self._is_measured(run_id, name)]
        if not more:
            raise UserError("This run has all of these figures; tick another evaluation under Measuring.")
        changes = {name: getattr(asked, name) for each in more for name in EVALUATIONS.get(each).settings}
        evaluations = tuple(dict.fromkeys((*spec.evaluations, *more)))
        wider = dataclasses.replace(spec, evaluations=evaluations, **changes)
        if not self._masks(run_id).exists():
            raise UserError("The pruned model of this run is gone; run the question again.")
        for name in more:
            EVALUATIONS.get(name)().refuse(wider)
        self.jobs.measure(run_id, wider, owner)

    def _is_measured(self, run_id: str, name: str) -> bool:
        records, _ = self.jobs.read(run_id)
        return any(r["kind"] == "Measured" and r["metric"] == name and r["variant"] == "chosen" for r in records)

    def stop(self, patience: float = CLOSING_SECONDS) -> None:
        """Stops the workers; what was going is marked as interrupted, also what does not stop in so many seconds. What
        there is can still be looked at."""
        self.inspector.close()
        self.exporter.close()
        until = time.monotonic() + patience
        self.sweeps.close(patience)
        self.jobs.close(max(0.0, until - time.monotonic()))
        self._stopped = True

    def close(self) -> None:
        """Stops, unless that was done, and lets go of everything."""
        if not self._stopped:
            self.stop()
        self.housekeeping.stop()
        self.jobs.store.close()
        self._let_go()
        if self._cluster:
            self._cluster.close()

    def _refuse(self, spec: RunSpec) -> None:
        """What is more than the host allows, and everything while its disk is full."""
        self.limits.refuse(spec)
        self.disk.refuse(lambda: self.housekeeping.soon())

    def _engine(self, run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
        """A run whose pruned model is kept before it says that it has finished. It takes what others leave over."""
        stand_back()
        import_engine()
        from neuroal.runs.run import measure, run

        finished = [r["seconds"] for r in records if r["kind"] == "RunFinished"]
        if finished and self._masks(run_id).exists():
            _, twin = self._pair(run_id)
            yield from measure(spec, twin, pool=self.pool, known=known(records), spent=finished[-1])
            return

        def keep(outcome: Outcome) -> None:
            from neuroal.runs.masks_file import keep_twin

            keep_twin(self._masks(run_id), outcome)
            self._remember(run_id, outcome.language_model, outcome.twin)

        yield from run(spec, pool=self.pool, known=known(records), keep=keep)

    def _rebuilt(self, run_id: str) -> tuple[LanguageModel, nn.Module]:
        from neuroal.runs.masks_file import Unusable, rebuilt_twin

        spec, masks = self.jobs.spec(run_id), self._masks(run_id)
        lm = self.pool.get(spec.model, revision=spec.revision, dtype=spec.dtype)
        try:
            return lm, rebuilt_twin(masks, lm)
        except Unusable:
            if masks.exists():  # aside, or this run would go on answering its question
                masks.replace(masks.with_suffix(".damaged"))
            raise

    def _kept(self, run_id: str) -> tuple[LanguageModel, nn.Module] | None:
        with self._lock:
            if run_id in self._twins:
                self._twins.move_to_end(run_id)
            return self._twins.get(run_id)

    def _remember(self, run_id: str, lm: LanguageModel, twin: nn.Module) -> tuple[LanguageModel, nn.Module]:
        with self._lock:
            self._twins[run_id] = (lm, twin)
            while len(self._twins) > KEPT_TWINS:
                self._twins.popitem(last=False)
            return lm, twin

    def _forget(self, run_id: str) -> None:
        for path in (self._masks(run_id), self._masks(run_id).with_suffix(".damaged")):
            path.unlink(missing_ok=True)
        self.inspector.forget(run_id)
        self.exporter.forget(run_id)

    def _masks(self, run_id: str) -> Path:
        return masks_in(self.folder, run_id)


def known(records: list[dict[str, Any]]) -> Known:
    """What an interrupted run had finished, read from its log."""
    from neuroal.runs.run import Known

    return Known.of(records)
