"""NeuroAL Explorer's engine: prune a causal language model, and see why each block keeps the weights it keeps.

The public face; everything is loaded on first use, so that importing the package costs nothing.

    lm     = neuroal.load("SmolLM2-135M-Instruct")
    tokens = neuroal.calibration_tokens(lm.tokenizer, source="prose", samples=8, length=256, seed=0)
    alloc  = neuroal.allocate(lm.model, tokens, pruner="wanda", top_up="neuroal", step="both", sparsity=0.6)
    report = neuroal.prune(lm.model, tokens, alloc)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neuroal.threads import wait_briefly
from neuroal.vectors import choose_vectors

if TYPE_CHECKING:
    from neuroal.allocation import Allocation
    from neuroal.api import allocate, iter_allocate, prune
    from neuroal.calibration import calibration_tokens, held_out_windows
    from neuroal.errors import UserError
    from neuroal.evaluation.perplexity import iter_perplexity, perplexity
    from neuroal.models.loading import LanguageModel, load
    from neuroal.pruning import PruneReport, iter_prune
    from neuroal.runs.run import run
    from neuroal.runs.spec import RunSpec

wait_briefly()
choose_vectors()

_HOMES = {
    "Allocation": "neuroal.allocation",
    "LanguageModel": "neuroal.models.loading",
    "PruneReport": "neuroal.pruning",
    "RunSpec": "neuroal.runs.spec",
    "UserError": "neuroal.errors",
    "allocate": "neuroal.api",
    "calibration_tokens": "neuroal.calibration",
    "held_out_windows": "neuroal.calibration",
    "iter_allocate": "neuroal.api",
    "iter_perplexity": "neuroal.evaluation.perplexity",
    "iter_prune": "neuroal.pruning",
    "load": "neuroal.models.loading",
    "perplexity": "neuroal.evaluation.perplexity",
    "prune": "neuroal.api",
    "run": "neuroal.runs.run",
}

__all__ = [
    "Allocation",
    "LanguageModel",
    "PruneReport",
    "RunSpec",
    "UserError",
    "allocate",
    "calibration_tokens",
    "held_out_windows",
    "iter_allocate",
    "iter_perplexity",
    "iter_prune",
    "load",
    "perplexity",
    "prune",
    "run",
]


if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'neuroal' has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
