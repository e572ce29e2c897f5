"""The Ray engine: a generator of a run's events, which a worker of the cluster makes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroal.background import in_background, mapped
from neuroal.cluster.attempt import LOST, WorkerLost, attempt
from neuroal.cluster.connection import Connection
from neuroal.errors import UserError
from neuroal.importing import import_engine
from neuroal.models.cache import put, scratch
from neuroal.runs.events import Event, Notice, RunResumed, StageStarted
from neuroal.runs.spec import RunSpec
from neuroal.topups import TOP_UPS

if TYPE_CHECKING:
    from neuroal.cluster.weights import Weights
    from neuroal.cluster.worker import Question
    from neuroal.models.loading import LanguageModel
    from neuroal.runs.pool import ModelPool

# Workers that one run may lose.
ATTEMPTS = 4

WORKER_LOST = "A worker of the cluster was lost; the run goes on with another one, from what it had finished."


class RayEngine:
    """Makes the generators of runs, for ``Jobs``.

    Args:
        pool: the server's models, which are sent to the workers.
        masks: where the masks of a run's pruned model are kept.
    """

    def __init__(self, connection: Connection, pool: Callable[[], ModelPool], masks: Callable[[str], Path]) -> None:
        self.connection, self._pool, self._masks = connection, pool, masks
        self._weights: Weights | None = None

    @property
    def slots(self) -> int:
        """Runs that the cluster has room for at the same time."""
        return self.connection.slots

    @property
    def pace(self) -> float:
        """How many times as long as on this machine a run takes, by the threads of torch where processors compute."""
        import torch

        return 1.0 if self.connection.gpus else max(1.0, torch.get_num_threads() / self.connection.cpus)

    def close(self) -> None:
        """Lets go of the cluster."""
        self.connection.close()

    def __call__(
        self, run_id: str, spec: RunSpec, records: list[dict[str, Any]]
    ) -> Generator[Event | None, None, None]:
        """The events of a run, each once and in order; a lost worker's run is begun again from what it had finished.

        Raises:
            UserError: what the run itself refuses, or the cluster was lost.
        """
        import_engine()
        lm = yield from self._loaded(spec)
        records = list(records)
        with self.connection.used():
            packed = self._in_store(lm)
            for tried in range(ATTEMPTS):
                try:
                    yield from self._attempt(run_id, spec, records, lm, packed)
                    return
                except WorkerLost as error:
                    if not self.connection.answers():
                        self.connection.lose()
                        raise UserError(LOST) from error
                    if tried + 1 < ATTEMPTS:
                        yield Notice(WORKER_LOST)
                        yield RunResumed()
        raise UserError(f"{ATTEMPTS} workers of the cluster were lost one after another; look at their logs.")

    def _attempt(
        self, run_id: str, spec: RunSpec, records: list[dict[str, Any]], lm: LanguageModel, packed: Any
    ) -> Generator[Event | None, None, None]:
        """One worker's; what it tells is added to the records, and its masks are kept before the last event."""
        events = attempt(self.connection, self._question(run_id, spec, records, lm), packed)

        def remembered(event: Event | None) -> Event | None:
            if event is not None:
                records.append(event.to_dict())
            return event

        finished, masks = yield from mapped(events, remembered)
        if masks is not None:
            path = self._masks(run_id)
            with scratch(path.parent) as aside:
                (aside / path.name).write_bytes(masks)
                put(aside / path.name, path)
        yield finished

    def _question(self, run_id: str, spec: RunSpec, records: list[dict[str, Any]], lm: LanguageModel) -> Question:
        from neuroal.cluster.worker import Question
        from neuroal.runs.workshop import known

        spent, path = [r["seconds"] for r in records if r["kind"] == "RunFinished"], self._masks(run_id)
        if spent and path.exists():
            return Question(spec, known(records), path.read_bytes(), spent[-1])
        return Question(spec, known(records), helpers=self._helpers(spec, lm))

    def _helpers(self, spec: RunSpec, lm: LanguageModel) -> dict[str, float] | None:
        """The size of helpers, where there is room for some and the estimate says that they are worth their weights."""
        from neuroal.cluster.spread import is_worth
        from neuroal.runs.estimate import estimate

        if self.connection.slots < 2 or not TOP_UPS.get(spec.top_up).steps:
            return None
        try:
            seconds = estimate(spec).seconds.get("search", 0.0)
        except UserError:
            return None  # the run says itself what it refuses
        weights = sum(p.numel() * p.element_size() for p in lm.model.parameters())
        return self.connection.size if is_worth(seconds, weights) else None

    def _loaded(self, spec: RunSpec) -> Generator[Event | None, None, LanguageModel]:
        """The model, on the server; what is said of a download is told."""
        pool = self._pool()
        loading = in_background(
            "model", lambda say, _: pool.get(spec.model, revision=spec.revision, dtype=spec.dtype, say=say)
        )
        return (yield from mapped(loading, lambda news: None if news is None else StageStarted("model", news)))

    def _in_store(self, lm: LanguageModel) -> Any:
        from neuroal.cluster.weights import Weights

        self._weights = self._weights or Weights()
        return self._weights.reference(lm, self.connection)
