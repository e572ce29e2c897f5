"""Before a sweep starts: how many runs it is, and how long they will take."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from neuroal.errors import UserError
from neuroal.runs.estimate import check, duration, estimate
from neuroal.runs.plan import asked
from neuroal.runs.shared import control_key, dense_key
from neuroal.runs.spec import RunSpec
from neuroal.sweeps.spec import SweepSpec


@dataclass(frozen=True)
class SweepEstimate:
    """What a sweep will cost here.

    Attributes:
        runs: that it consists of; ``answered``: of these, those that were done before; ``refused``: why some cannot be
            done, a sentence each.
        seconds: of the others, one after the other.
        workers: that do them at the same time; ``spread``: seconds until the last of them is done.
    """

    runs: int
    answered: int
    refused: tuple[str, ...]
    seconds: float
    workers: int = 1
    spread: float = 0.0

    @property
    def sentence(self) -> str:
        """For a person."""
        new = self.runs - self.answered - len(self.refused)
        parts = [f"{self.runs} run{'s' * (self.runs != 1)}"]
        if self.answered:
            parts.append(f"{self.answered} of them answered before")
        if self.refused:
            parts.append(f"{len(self.refused)} not possible here ({self.refused[0]})")
        told = ", ".join(parts)
        if not new:
            return f"{told}. Nothing is left to compute."
        told = f"{told}. About {duration(self.seconds)} in all"
        if self.workers == 1:
            return f"{told}."
        return f"{told}; over {self.workers} workers about {duration(self.spread)}, if each is as fast as this machine."


def estimate_sweep(
    spec: SweepSpec, answered: Callable[[RunSpec], str | None], workers: int = 1, pace: float = 1.0
) -> SweepEstimate:
    """Counts what runs share (``neuroal.runs.shared``) once.

    Args:
        answered: the finished run that asked the same question.
        workers: that do runs at the same time.
        pace: how many times as long as here a run takes on one of them.

    Raises:
        UserError: not one of the runs is possible here.
    """
    known, refused = 0, []
    seconds: list[float] = []
    shared: set[str] = set()
    for member in spec.members:
        if answered(member.spec):
            known += 1
            continue
        try:
            seconds.append(sum(estimate(member.spec, without=_told(member.spec, shared)).seconds.values()))
        except UserError as error:
            refused.append(str(error))
    if len(refused) == len(spec.members):
        raise UserError(refused[0])
    spread = pace * spread_over(seconds, workers)
    return SweepEstimate(len(spec.members), known, tuple(refused), sum(seconds), workers, spread)


def spread_over(seconds: Iterable[float], workers: int) -> float:
    """Seconds until the last of runs is done, each taken in order by the worker that is free first.

    What this leaves out: the start of the workers, and where they share one machine, its memory and its processors.
    """
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def check_sweep(spec: SweepSpec) -> None:
    """Raises UserError where not one of the runs is possible here."""
    for i, member in enumerate(spec.members):
        try:
            return check(member.spec)
        except UserError:
            if i + 1 == len(spec.members):
                raise


def _told(spec: RunSpec, shared: set[str]) -> set[str]:
    """Stages of a run that an earlier one of the sweep makes unnecessary; what it adds is noted in ``shared``."""
    control = control_key(spec.model, "", spec.sparsity, spec)
    stages: set[str] = set()
    for variant in ("dense", "uniform"):
        for evaluation in asked(spec, variant):
            key = dense_key(spec.model, "" if variant == "dense" else control, evaluation, spec)
            if key in shared:
                stages |= {evaluation.stage(variant), *(["prune:uniform"] if variant == "uniform" else [])}
            else:  # also by a uniform run, whose own figures are those of the control
                shared.add(key)
    return stages
