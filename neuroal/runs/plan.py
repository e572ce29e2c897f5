"""The work of a run, counted before it starts: for the estimate, for progress, and for the time left.

A unit of work is one countable event (BlockScored, BlockPruned, Evaluated); its weight is the number of tokens that
pass through one decoder block for it. What a pruner does beside passes counts as tokens too, see ``Pruner``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from neuroal.pruners import PRUNERS
from neuroal.runs.spec import RunSpec
from neuroal.schedules import ROW_LAMBDAS, block_lambdas
from neuroal.topups import TOP_UPS

# Singular values of the linears of a block, in tokens that pass through it (measured on SmolLM2).
SPECTRUM_TOKENS = 2500

# Tokens per batch of an evaluation, as neuroal.evaluation.perplexity batches them.
EVALUATION_TOKENS = 1024


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
        weight = (2 + pruner.gathering) * search_tokens + pruner.selecting
        if spec.step == "row":
            add("alignment", shape.blocks, weight)
        else:
            add("block", shape.blocks * len(spec.lambdas or block_lambdas(spec.sparsity)), weight)
        if spec.step != "block":
            add("row", shape.blocks * len(spec.lambdas or ROW_LAMBDAS), weight)
    for variant in variants(spec):
        if variant == "chosen" or (variant == "uniform" and spec.evaluations):  # the control is made to be measured
            looks = pruner.needs_data or (variant == "chosen" and top_up.refines)
            passes = (2 + pruner.gathering) * prune_tokens if looks else 0
            add(f"prune:{variant}", shape.blocks, passes + pruner.selecting)
    if spec.evaluations:
        per_batch = max(1, EVALUATION_TOKENS // spec.eval_length)
        head = max(1.0, shape.parameters / shape.prunable)  # the output head is part of each evaluation
        for variant in variants(spec):
            batches = math.ceil(spec.eval_windows / per_batch)
            add(
                f"evaluate:{variant}",
                batches,
                min(per_batch, spec.eval_windows) * spec.eval_length * shape.blocks * head,
            )
    return stages


def variants(spec: RunSpec) -> tuple[str, ...]:
    """What is pruned and measured, in order. A uniform run is its own control."""
    return ("chosen", "dense") if spec.top_up == "uniform" else ("chosen", "dense", "uniform")


def seconds(spec: RunSpec, shape: Shape, flops_per_second: float) -> float:
    """Estimated seconds of the run on a machine of that speed: two floating-point operations per weight and token."""
    work = sum(stage["units"] * stage["weight"] for stage in plan(spec, shape).values())
    return work * 2 * shape.prunable / shape.blocks / flops_per_second
