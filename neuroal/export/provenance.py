"""How a pruned model came about, as plain figures: what was asked, what was chosen, what the weights themselves say.

Zeros are counted on the weights; everything else is read from the log of the run, or from the allocation.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from neuroal.blocks import DecoderStack
from neuroal.export.events import ExportStep
from neuroal.export.source import Source
from neuroal.masks import true_entries
from neuroal.residence import read_weight

FORMAT = 1

COUNTING = "Counting the zeros of every linear."


@dataclass(frozen=True)
class LinearFacts:
    """One linear: its path, its decoder block, its weights, how many are zero, and the ratio asked for (its rows' mean)
    where it is known."""

    path: str
    block: int
    weights: int
    zeros: int
    requested: float | None


@dataclass(frozen=True)
class Provenance:
    """What is known of a pruned model.

    Attributes:
        settings: pruner, top_up, step, mode, target and options, those that are known.
        lambdas: chosen, by step ("block", "row"); scores: [lambda, alignment score] of every candidate, by step.
        requested: ratio of each block; empty where it is not known.
        linears: in block, then registration order.
        measured: figures of the run, as in its Measured events, without their details.
    """

    settings: dict[str, Any]
    lambdas: dict[str, float]
    scores: dict[str, list[list[float]]]
    requested: tuple[float, ...]
    linears: tuple[LinearFacts, ...]
    measured: tuple[dict[str, Any], ...] = field(default=())

    @property
    def overall(self) -> float:
        """Fraction of zeros over all prunable weights."""
        return sum(each.zeros for each in self.linears) / sum(each.weights for each in self.linears)

    @property
    def blocks(self) -> tuple[float, ...]:
        """Fraction of zeros of each block; NaN for one without linears."""
        count = 1 + max(each.block for each in self.linears)
        sums = np.zeros((count, 2))
        for each in self.linears:
            sums[each.block] += each.zeros, each.weights
        return tuple(float(zeros / weights) if weights else float("nan") for zeros, weights in sums)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: the file allocation.json."""
        blocks = []
        for b, achieved in enumerate(self.blocks):
            asked = self.requested[b] if b < len(self.requested) else None
            blocks.append({"block": b, "requested": asked, "achieved": achieved if achieved == achieved else None})
        linears = {}
        for each in self.linears:
            facts = asdict(each) | {"sparsity": each.zeros / each.weights}
            linears[facts.pop("path")] = facts
        return {
            "format": FORMAT, **self.settings, "achieved": self.overall, "lambdas": self.lambdas, "scores": self.scores,
            "blocks": blocks, "linears": linears,
        }  # fmt: skip


@torch.no_grad()
def iter_provenance(source: Source) -> Generator[ExportStep, None, Provenance]:
    """Counts block by block, weights that are kept elsewhere one at a time.

    Raises:
        UserError: the model has no stack of decoder blocks with linears in it.
    """
    stack, linears = DecoderStack(source.model), []
    asked = source.allocation.sparsity if source.allocation else {}
    for b in range(len(stack)):
        for linear in stack.linears[b]:
            weight = read_weight(stack.model, linear.path)
            ratio = float(np.mean(asked[linear.path])) if linear.path in asked else None
            zeros = weight.numel() - true_entries(weight != 0)
            linears.append(LinearFacts(linear.path, b, weight.numel(), zeros, ratio))
        yield ExportStep("read", COUNTING, b + 1, len(stack))
    found = _of_allocation(source, stack) if source.allocation else _of_log(source)
    return Provenance(**found, linears=tuple(linears), measured=_measured(source))


def _of_allocation(source: Source, stack: DecoderStack) -> dict[str, Any]:
    made = source.allocation
    names = ("pruner", "top_up", "step", "mode", "target", "options")
    lambdas = {"block": made.block_lambda, "row": made.row_lambda}
    scores = {"block": made.block_scores, "row": made.row_scores}
    return {
        "settings": {name: getattr(made, name) for name in names},
        "lambdas": {step: lam for step, lam in lambdas.items() if lam is not None},
        "scores": {step: [[lam, s] for lam, s in by.items()] for step, by in scores.items() if by},
        "requested": made.per_block(stack),
    }


def _of_log(source: Source) -> dict[str, Any]:
    spec = source.spec
    names = ("pruner", "top_up", "step", "mode", "pattern", "exclude", "reconstruct")
    settings = {name: spec[name] for name in names if name in spec}
    found: dict[str, Any] = {"settings": settings, "lambdas": {}, "scores": {}, "requested": ()}
    if "sparsity" in spec:
        settings["target"] = spec["sparsity"]
    for record in source.records:
        if record["kind"] == "CandidateFinished":
            found["scores"].setdefault(record["step"], {})[record["lam"]] = record["score"]
        elif record["kind"] == "LambdaChosen":
            found["lambdas"][record["step"]] = record["lam"]
        elif record["kind"] == "AllocationReady":
            found["requested"] = tuple(record["sparsity"])
    found["scores"] = {step: [[lam, s] for lam, s in by.items()] for step, by in found["scores"].items()}
    return found


def _measured(source: Source) -> tuple[dict[str, Any], ...]:
    """The last figure of each metric and variant; details are left out, they quote texts."""
    names = ("variant", "metric", "source", "value", "stderr", "tokens", "length")
    figures = (r for r in source.records if r["kind"] == "Measured")
    last = {(r["metric"], r["variant"]): {name: r[name] for name in names} for r in figures}
    return tuple(last.values())
