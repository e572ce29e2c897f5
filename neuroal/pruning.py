"""Pruning a model in place, block by block, each block seeing the outputs of the pruned ones before it."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neuroal.allocation import Allocation, mean_sparsity
from neuroal.blocks import DecoderStack, Linear
from neuroal.errors import UserError
from neuroal.pruners import PRUNERS, Pruner
from neuroal.runs.events import BlockPruned, Event, PruningFinished
from neuroal.statistics import InputNorm


@dataclass(frozen=True)
class PruneReport:
    """What was achieved, counted on the weights: {linear path: fraction of zeros}, and over all of them."""

    achieved: dict[str, float]
    overall: float


@torch.no_grad()
def iter_prune(
    model: nn.Module, tokens: Tensor, allocation: Allocation, *, variant: str = "chosen"
) -> Generator[Event, None, PruneReport]:
    """Prunes ``model`` in place.

    Args:
        model: any loaded causal language model; its weights are written to.
        tokens: int64 [samples, length], calibration; not looked at by a pruner that needs no data.
        allocation: from ``allocate``.
        variant: names this pruning in the events.

    Yields:
        BlockPruned for each block, then PruningFinished. Closing the generator stops at a block boundary and leaves the
        blocks so far pruned.
    """
    started = time.perf_counter()
    stack, pruner = DecoderStack(model), PRUNERS.get(allocation.pruner)()
    unknown = set(allocation.sparsity) - {linear.path for linear in stack.all_linears()}
    if unknown:
        raise UserError(f"The allocation was made for another model: this one has no linear {sorted(unknown)[0]!r}.")
    captured = stack.capture(tokens) if pruner.needs_data else None
    hidden = captured.hidden if captured else []
    achieved: dict[str, float] = {}
    for b, linears in enumerate(stack.linears):
        statistics = {}
        if captured:
            gathered, _ = stack.gather(b, hidden, captured, pruner.statistics, outputs=False)
            statistics = {
                linear: stat for group, stat in zip(stack.groups[b], gathered, strict=True) for linear in group
            }
        for linear in linears:
            if linear.path in allocation.sparsity:
                _prune(linear, pruner, statistics.get(linear), allocation)
            achieved[linear.path] = zeros(linear)
        if captured and b < len(stack) - 1:
            hidden = stack.replay(b, hidden, captured)
        yield _block_pruned(stack, b, allocation, achieved, variant)
    report = PruneReport(achieved, _overall(stack, achieved))
    yield PruningFinished(variant, report.overall, time.perf_counter() - started)
    return report


def zeros(linear: Linear) -> float:
    """Fraction of exact zeros in a linear's weight."""
    return 1.0 - int(torch.count_nonzero(linear.weight)) / linear.weight.numel()


def _prune(linear: Linear, pruner: Pruner, statistics: InputNorm | None, allocation: Allocation) -> None:
    """Overwrites one weight; a linear that no calibration token reached is refused by its name."""
    if statistics is None and pruner.needs_data:
        raise UserError(f"No calibration token reached {linear.path}, so it cannot be pruned by {pruner.name}.")
    pruned = pruner.prune(linear.weight, statistics, allocation.sparsity[linear.path])
    linear.weight.copy_(pruned)  # in place: the caller's tensor is this very memory


def _block_pruned(
    stack: DecoderStack, b: int, allocation: Allocation, achieved: dict[str, float], variant: str
) -> BlockPruned:
    linears = stack.linears[b]
    total = sum(linear.weight.numel() for linear in linears)
    share = sum(achieved[linear.path] * linear.weight.numel() for linear in linears) / total if total else 0.0
    requested = mean_sparsity(stack, b, allocation.sparsity)
    return BlockPruned(variant, b, requested, share, {linear.name: achieved[linear.path] for linear in linears})


def _overall(stack: DecoderStack, achieved: dict[str, float]) -> float:
    """Zeros over all prunable weights."""
    sizes = {linear.path: linear.weight.numel() for linear in stack.all_linears()}
    return sum(achieved[path] * size for path, size in sizes.items()) / sum(sizes.values())
