"""The sweeps of a server: started, paused, cancelled and resumed like runs, by jobs of their own kind."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from neuroal.runs.events import Event
from neuroal.runs.jobs import Jobs
from neuroal.runs.owners import Owners
from neuroal.runs.spec import RunSpec
from neuroal.runs.summary import Summary, summary
from neuroal.sweeps.spec import SweepSpec
from neuroal.sweeps.sweep import sweep

if TYPE_CHECKING:
    from neuroal.runs.workshop import Workshop
    from neuroal.sharing.sweep_bundle import SweepBundle

KIND = "sweep"

# Sweeps that go at the same time; they only wait for their runs, which take turns.
AT_ONCE = 8


class Sweeps:
    """Sweeps by id, whose runs are those of the workshop."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        jobs = workshop.jobs
        self.jobs = Jobs(jobs.store, self._engine, AT_ONCE, KIND, SweepSpec.from_json, jobs.instance)

    def start(self, spec: SweepSpec, owner: str = "") -> str:
        """Queues a sweep and returns its id; that of the one that is asking the same, where there is one.

        Raises:
            UserError: this person has too many sweeps waiting, or it cannot be stored.
        """
        return self.jobs.under_way(spec) or self.jobs.start(spec, owner, again=True)

    def pause(self, sweep_id: str) -> bool:
        """Starts no further run; those at hand go on. False when the sweep was not going."""
        return self.jobs.cancel(sweep_id)

    def cancel(self, sweep_id: str) -> bool:
        """Stops the sweep and the runs at hand. False when the sweep was not going."""
        going = self.jobs.cancel(sweep_id)
        for run_id in self.at_hand(sweep_id):
            self.workshop.jobs.cancel(run_id)
        return going

    def resume(self, sweep_id: str, owner: str = "") -> None:
        """Goes on with what is left.

        Raises:
            UserError: it has finished or is going. KeyError: no sweep has this id.
        """
        self.jobs.resume(sweep_id, owner)

    def adopt(self, bundle: SweepBundle) -> str:
        """Takes in a sweep that was made elsewhere, with its runs; returns the id that it has here.

        Raises:
            UserError: it cannot be stored; then none of it is.
        """
        runs = self.workshop.jobs
        ids: dict[int, str] = {}
        try:
            for index, run in bundle.runs():
                ids[index] = runs.adopt(run.spec, run.records)
            return self.jobs.adopt(bundle.spec, bundle.records(ids))
        except Exception:
            for run_id in ids.values():
                runs.store.delete(run_id)
            raise

    def at_hand(self, sweep_id: str) -> list[str]:
        """The runs that it has started and not heard the end of."""
        records, _ = self.jobs.read(sweep_id)
        started = {r["index"]: r["run"] for r in records if r["kind"] == "MemberStarted"}
        over = {r["index"] for r in records if r["kind"] == "MemberFinished"}
        return [run for index, run in started.items() if index not in over]

    def close(self, timeout: float = 5.0) -> None:
        """As ``Jobs.close``."""
        self.jobs.close(timeout)

    def _engine(
        self, sweep_id: str, spec: SweepSpec, records: list[dict[str, Any]]
    ) -> Generator[Event | None, None, None]:
        together = self.workshop.jobs.workers
        return sweep(spec, _Runs(self.workshop), owner=sweep_id, together=together, records=records)


class _Runs:
    """The workshop's runs, as a sweep needs them."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop, self.jobs, self.owners = workshop, workshop.jobs, Owners(workshop.jobs.store)

    def answered(self, spec: RunSpec) -> str | None:
        """For a map the figures will do: the pruned model itself may be gone."""
        return self.jobs.answered(spec)

    def start(self, spec: RunSpec, owner: str) -> str:
        from neuroal.importing import import_engine

        import_engine()
        from neuroal.runs.estimate import check

        check(spec, self.workshop.pool)
        run_id = self.jobs.start(spec, owner, admitted=True)
        self.owners.inherit(run_id, owner)  # the owner of a sweep's runs in the queue is the sweep
        return run_id

    def resume(self, run_id: str, owner: str) -> None:
        self.jobs.resume(run_id, owner, admitted=True)

    def status(self, run_id: str) -> str:
        return self.jobs.status(run_id)

    def outcome(self, run_id: str) -> tuple[Summary, str]:
        records, _ = self.jobs.read(run_id)
        why = next((r["message"] for r in reversed(records) if r["kind"] == "RunFailed"), "")
        return summary(records), why
