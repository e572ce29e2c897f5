"""Uniform: the target sparsity for every linear; the control of every experiment."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from neuroal.topups.base import TOP_UPS, TopUp

if TYPE_CHECKING:
    from neuroal.allocation import Allocation
    from neuroal.runs.events import Event
    from neuroal.scoring import Problem


@TOP_UPS.register
class Uniform(TopUp):
    """One ratio for all."""

    name = "uniform"
    label = "Uniform: the same everywhere"
    summary = "the same everywhere; the control of every run"
    needs_data = False
    varies = False
    rank = 20

    def allocate(self, problem: Problem) -> Generator[Event, None, Allocation]:
        """Needs no search and yields nothing but the result."""
        from neuroal.closing import closing

        return (yield from closing(problem, problem.spread([problem.sparsity] * len(problem.stack))))
