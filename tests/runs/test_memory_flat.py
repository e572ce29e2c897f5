"""Memory: many runs in one process leave no more behind than a few, and blocks stay shared."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from neuroal.runs.run import run
from neuroal.runs.spec import RunSpec
from neuroal.twin import own_bytes
from tests.runs.helpers import SMALL, wait_for

if TYPE_CHECKING:
    from neuroal.runs.workshop import Workshop

# Every way through the engine takes its turn.
KINDS: tuple[dict[str, Any], ...] = (
    {"step": "both"},
    {"pruner": "sparsegpt", "step": "block"},
    {"top_up": "owl", "pruner": "multiflow"},
    {"top_up": "uniform", "reconstruct": True, "continuations": 1},
    {"top_up": "dsnot"},
)


def test_fifty_runs_need_no_more_memory_than_ten(open_workshop: Callable[[], Workshop], model_folder: Path) -> None:
    """Resident memory within 5 %, models and twins included."""
    workshop, sizes = open_workshop(), {}
    for n in range(1, 51):
        settings = {**SMALL, "seed": n, **KINDS[n % len(KINDS)]}
        wait_for(workshop.jobs, workshop.start(RunSpec(model=str(model_folder), **settings)), "finished")
        if n in (10, 50):
            gc.collect()
            sizes[n] = psutil.Process().memory_info().rss
    assert sizes[50] <= 1.05 * sizes[10]


@pytest.mark.parametrize("pruner", ["wanda", "sparsegpt"])
def test_a_twin_owns_its_prunable_weights_and_nothing_else(pruner: str, loads: list[str]) -> None:
    outcomes = []
    spec = RunSpec(model="random", **{**SMALL, "pruner": pruner, "top_up": "uniform", "evaluations": ()})
    for _ in run(spec, keep=outcomes.append):
        pass
    (outcome,) = outcomes
    lm = outcome.language_model
    prunable = sum(linear.weight.nbytes for linear in lm.stack.all_linears())
    assert own_bytes(outcome.twin, lm.model) == prunable
