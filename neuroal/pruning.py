"""Pruning a model in place, block by block, each block seeing the outputs of the pruned ones before it."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neuroal.allocation import Allocation, Sparsity, mean_sparsity
from neuroal.background import mapped
from neuroal.blocks import Captured, DecoderStack, Linear
from neuroal.continuations import iter_continuations
from neuroal.errors import UserError
from neuroal.heap import working_heap
from neuroal.masks import true_entries
from neuroal.method import Method
from neuroal.options import Options
from neuroal.reconstruction import DAMPING, DAMPING_WITH_CONTINUATIONS, reconstruct
from neuroal.runs.events import BlockPruned, Event, Notice, PruningFinished, StageStarted


@dataclass(frozen=True)
class PruneReport:
    """What was achieved, counted on the weights.

    Attributes:
        achieved: {linear path: fraction of zeros}.
        overall: over all of them.

    Example:
        >>> report = neuroal.PruneReport({"model.layers.0.mlp.down_proj": 0.61}, 0.6)
        >>> max(report.achieved.values()) - report.overall < 0.02
        True
    """

    achieved: dict[str, float]
    overall: float


@torch.no_grad()
def iter_prune(
    model: nn.Module, tokens: Tensor, allocation: Allocation, *, variant: str = "chosen", written: Tensor | None = None
) -> Generator[Event, None, PruneReport]:
    """Prunes ``model`` in place.

    Args:
        model: any loaded causal language model; its weights are written to. Of weights that accelerate keeps on disk,
            the pruned ones are put into the data folder; the checkpoint is not touched.
        tokens: int64 [samples, length], calibration; not looked at by a pruner that needs no data.
        allocation: from ``allocate``.
        variant: names this pruning in the events.
        written: from :func:`iter_written` with these tokens, where several prunings share it; else it is written anew.

    Yields:
        BlockPruned for each block, then PruningFinished. Closing the generator stops at a block boundary and leaves the
        blocks so far pruned.

    Returns:
        The report, as the value of the generator's StopIteration; :func:`neuroal.prune` returns it plainly.

    Raises:
        UserError: the allocation was made for another model.

    Example:
        >>> import copy
        >>> from neuroal.runs.events import BlockPruned
        >>> lm = neuroal.load("tiny")
        >>> tokens = neuroal.calibration_tokens(lm.tokenizer, samples=2, length=32)
        >>> allocation = neuroal.allocate(lm.model, tokens, top_up="uniform", sparsity=0.5)
        >>> events = neuroal.iter_prune(copy.deepcopy(lm.model), tokens, allocation)
        >>> sum(isinstance(event, BlockPruned) for event in events) == lm.info.blocks
        True
    """
    started = time.perf_counter()
    stack = DecoderStack(model)
    method = Method(allocation.pruner, allocation.top_up, Options(**allocation.options))
    unknown = set(allocation.sparsity) - {linear.path for linear in stack.all_linears()}
    if unknown:
        raise UserError(f"The allocation was made for another model: this one has no linear {sorted(unknown)[0]!r}.")
    if method.options.reconstruct and method.options.continuations:
        if written is None:
            written = yield from iter_written(stack.model, tokens, method.options.continuations, variant)
        tokens = torch.cat([tokens, written])
    captured = stack.capture(tokens) if method.needs_data else None
    hidden: list[Tensor] = []
    if captured:
        hidden, captured.hidden = captured.hidden, []  # not kept beside what follows
    achieved: dict[str, float] = {}
    prune_block = _refit_block if method.options.reconstruct else _prune_block
    with working_heap():
        for b, linears in enumerate(stack.linears):
            with stack.resident(b):
                prune_block(stack, b, hidden, captured, method, allocation.sparsity)
                achieved |= {linear.path: zeros(linear) for linear in linears}
                if captured and b < len(stack) - 1:
                    hidden = stack.replay(b, hidden, captured)
            yield _block_pruned(stack, b, allocation, achieved, variant)
    for trouble in method.troubles():
        yield Notice(trouble)
    report = PruneReport(achieved, _overall(stack, achieved))
    yield PruningFinished(variant, report.overall, time.perf_counter() - started)
    return report


def iter_written(
    model: nn.Module, tokens: Tensor, each: int, variant: str = "chosen"
) -> Generator[Event, None, Tensor]:
    """What the dense model writes on from the calibration sequences, ``each`` times; yields how far it is."""
    total = len(tokens) * each

    def tell(done: int) -> Event:
        message = f"The dense model writes text to refit on: {done} of {total} sequences."
        return StageStarted(f"prune:{variant}", message)

    return (yield from mapped(iter_continuations(model, tokens, each), tell))


def _prune_block(
    stack: DecoderStack, b: int, hidden: list[Tensor], captured: Captured | None, method: Method, sparsity: Sparsity
) -> None:
    """All linears of a block from what one pass through the dense block showed."""
    statistics = {}
    if captured:
        statistics = stack.by_linear(b, stack.gather(b, hidden, captured, method.statistics, outputs=False)[0])
    for linear, weight in method.pruned(stack, b, statistics, sparsity).items():
        stack.write(linear, weight)


def _refit_block(
    stack: DecoderStack, b: int, hidden: list[Tensor], captured: Captured, method: Method, sparsity: Sparsity
) -> None:
    """One consumer group after the other, each seeing the already pruned and refitted ones before it."""
    for g, group in enumerate(stack.groups[b]):
        if not any(linear.path in sparsity for linear in group):
            continue
        (stat,), _ = stack.gather(b, hidden, captured, method.statistics, outputs=False, groups=(g,))
        for linear, weight in method.pruned(stack, b, dict.fromkeys(group, stat), sparsity, group).items():
            stack.write(linear, _refitted(linear.weight, weight, stat, method))
    called = {linear for group in stack.groups[b] for linear in group}
    idle = [linear for linear in stack.linears[b] if linear not in called]
    method.pruned(stack, b, {}, sparsity, idle)  # prunes nothing, but remembers to say so


def _refitted(dense: Tensor, pruned: Tensor, statistics: Any, method: Method) -> Tensor:
    """The weight with the zeros of ``pruned`` and its other entries solved for; from where the pruner left them."""
    if method.pruner.refits:
        return pruned
    damping = DAMPING_WITH_CONTINUATIONS if method.options.continuations else DAMPING
    start = pruned if method.pruner.moves_weights else None
    return reconstruct(dense, pruned != 0, statistics, damping=damping, start=start)


def zeros(linear: Linear) -> float:
    """Fraction of exact zeros in a linear's weight."""
    return true_entries(linear.weight == 0) / linear.weight.numel()


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
