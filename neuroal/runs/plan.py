"""The work of a run, counted before it starts: for the estimate, for progress, and for the time left.

A unit of work is one countable event (BlockScored, BlockPruned, Evaluated); its weight is the number of tokens that
pass through one decoder block for it. What a pruner does beside passes counts as tokens too, see ``Pruner``.
"""

from __future__ import annotations

from dataclasses import dataclass

from neuroal.evaluation.base import Evaluation
from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.landscape import USUAL
from neuroal.models.precision import has_cuda
from neuroal.pruners import PRUNERS
from neuroal.runs.machine import bfloat16_time
from neuroal.runs.spec import RunSpec
from neuroal.schedules import ROW_LAMBDAS, block_lambdas
from neuroal.topups import TOP_UPS
from neuroal.vectors import fast_bfloat16

# Of the time of a lambda scored in float32: what its matrix products take, which is less in bfloat16 by how much faster
# the machine multiplies it, and what all else takes then (measured on SmolLM2: 0.64 on AMD's Zen 4, 0.47 on Zen 5).
PRODUCTS, ALL_ELSE = 0.86, 0.25

# Singular values of the linears of a block, in tokens that pass through it (measured on SmolLM2).
SPECTRUM_TOKENS = 4000

# Refitting one block: passes for its groups one after another with their Gram matrices, and tokens that its conjugate
# gradients amount to; writing a token costs this many tokens read (all measured on SmolLM2).
REFIT_PASSES, REFIT_TOKENS, WRITING = 5, 11_500, 2


@dataclass(frozen=True)
class Shape:
    """What the cost of a run depends on, known before any weight is loaded."""

    blocks: int
    prunable: int
    parameters: int


def plan(spec: RunSpec, shape: Shape) -> dict[str, dict[str, float]]:
    """Units of work by stage, as in the event RunPlanned: {stage: {"units": count, "weight": of each}}."""
    search_tokens = spec.samples * spec.length
    prune_tokens = (spec.prune_samples or spec.samples) * spec.length
    stages: dict[str, dict[str, float]] = {}

    def add(stage: str, units: float, weight: float) -> None:
        stages[stage] = {"units": units, "weight": weight}

    pruner, top_up = PRUNERS.get(spec.pruner), TOP_UPS.get(spec.top_up)
    if top_up.rates:
        add("rate", shape.blocks, search_tokens if top_up.needs_data else SPECTRUM_TOKENS)
    if top_up.steps:
        weight, quick = (2 + pruner.gathering) * search_tokens + pruner.selecting, _quickness(spec)
        if spec.step == "row":
            add("alignment", shape.blocks, weight)
        else:
            scored = _candidates(spec, block_lambdas(spec.sparsity))
            again = 1 if quick < 1 and spec.step == "both" else 0  # the winner, whose alignment must not be a quick one
            share = (scored * quick + again) / (scored + again)
            add("block", shape.blocks * (scored + again), weight * share)
        if spec.step != "block":
            add("row", shape.blocks * _candidates(spec, ROW_LAMBDAS), weight * quick)
    for variant in variants(spec):
        if variant != "dense":
            add(f"prune:{variant}", shape.blocks, _pruning_weight(spec, variant, prune_tokens))
        for evaluation in asked(spec, variant):
            add(evaluation.stage(variant), *evaluation.work(spec, shape, variant))
    return stages


def _quickness(spec: RunSpec) -> float:
    """The share of the time that scoring a lambda takes where it is done in bfloat16, as neuroal.api decides."""
    some = spec.mode == "auto" and spec.lambdas is None
    if not some or spec.dtype not in ("auto", "float32") or has_cuda() or not fast_bfloat16():
        return 1.0
    return min(1.0, PRODUCTS * bfloat16_time() + ALL_ELSE)


def _candidates(spec: RunSpec, grid: tuple[float, ...]) -> float:
    """How many lambdas will be scored; where only some are, how many usually are."""
    if spec.lambdas is None and spec.mode == "auto":
        return min(USUAL, len(grid))
    return len(spec.lambdas or grid)


def _pruning_weight(spec: RunSpec, variant: str, tokens: int) -> float:
    """Work of pruning one block. What the model writes to refit on is written once, for whatever is pruned first."""
    pruner, top_up = PRUNERS.get(spec.pruner), TOP_UPS.get(spec.top_up)
    if spec.reconstruct:
        writing = WRITING * spec.continuations * tokens if variant == "chosen" else 0
        solving = 0 if pruner.refits else REFIT_TOKENS
        return writing + REFIT_PASSES * (1 + spec.continuations) * tokens + solving + pruner.selecting
    looks = pruner.needs_data or (variant == "chosen" and top_up.refines)
    return pruner.selecting + ((2 + pruner.gathering) * tokens if looks else 0)


def variants(spec: RunSpec) -> tuple[str, ...]:
    """What is pruned and measured, in order. The control is made to be measured, and a uniform run is its own."""
    with_control = spec.top_up != "uniform" and asked(spec, "uniform")
    return ("chosen", "dense", "uniform") if with_control else ("chosen", "dense")


def asked(spec: RunSpec, variant: str) -> list[Evaluation]:
    """The evaluations of a spec that look at a variant, in their order."""
    kinds = [EVALUATIONS.get(name) for name in spec.evaluations]
    return [kind() for kind in sorted(kinds, key=lambda kind: kind.rank) if variant in kind.variants]
