"""Which alignment drives which rows: the consumer-group rule, for any family.

The rows of a group's linears feed the inputs of the next group (the first group of the next block, for the last one),
so each row is driven by what its consumer lost. Nothing consumes the last block within the stack: it keeps its ratio.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neuroal.blocks import DecoderStack, Linear
from neuroal.consumers import Fold, discovered, grouped_query, same_width
from neuroal.schedules import row_schedule

# Alignment vectors: {linear path: float64 [in]}, the activation norms of its input, dense minus pruned.
Alignment = dict[str, np.ndarray]


def row_sparsity(
    stack: DecoderStack, alignment: Alignment, base: list[float], lam: float, gqa: str
) -> dict[str, np.ndarray]:
    """Row ratios of every linear, {path: float64 [rows]}, around each block's base ratio."""
    sparsity = {
        linear.path: np.full(linear.weight.shape[0], base[b], dtype=np.float64)
        for b, linears in enumerate(stack.linears)
        for linear in linears
    }
    for b, linear, driver in driven(stack, alignment, gqa):
        sparsity[linear.path] = row_schedule(driver, base[b], lam)
    return sparsity


def undriven(stack: DecoderStack, alignment: Alignment, gqa: str) -> list[str]:
    """Names of linears whose rows match no column of what reads them: they keep the block's ratio."""
    found = {linear.path for _, linear, _ in driven(stack, alignment, gqa)}
    names = {
        linear.name: None
        for b, groups in enumerate(stack.groups[:-1])
        for group in groups
        for linear in group
        if linear.path not in found and not (gqa == "base" and _is_grouped_query(stack, b, group))
    }
    return list(names)


def driven(stack: DecoderStack, alignment: Alignment, gqa: str) -> Iterator[tuple[int, Linear, np.ndarray]]:
    """(block, linear, driver float64 [rows]) for every linear whose rows can be varied."""
    for b, groups in enumerate(stack.groups[:-1]):
        for group in groups:
            if gqa == "base" and _is_grouped_query(stack, b, group):
                continue
            consumer = consumer_of(stack, b, group)
            if consumer is None:
                continue
            driver = alignment[consumer.path]
            for linear in group:
                fold = _fold(stack, b, linear, consumer)
                if fold is not None and driver.shape[0] == consumer.weight.shape[1]:
                    yield b, linear, fold(driver)


def consumer_of(stack: DecoderStack, b: int, group: tuple[Linear, ...]) -> Linear | None:
    """The first linear of the next group in order of execution: it reads what this group writes.

    Where attention and feed-forward run in parallel, the next group may read the block's input instead, or the normed
    stream. Such an input is the same dense and pruned, its alignment is exactly zero, and the rows keep their ratio.
    None where no block after this one has a linear.
    """
    groups = stack.groups[b]
    following = [groups[groups.index(group) + 1 :], *stack.groups[b + 1 :]]
    return next((later[0][0] for later in following if later), None)


def _is_grouped_query(stack: DecoderStack, b: int, group: tuple[Linear, ...]) -> bool:
    """Some rows of the group serve several heads: linears with fewer rows than their consumer has columns, or chunks of
    a fused one."""
    consumer = consumer_of(stack, b, group)
    if consumer is None:
        return False
    width = consumer.weight.shape[1]
    if any(width != linear.weight.shape[0] and width % linear.weight.shape[0] == 0 for linear in group):
        return True
    folds = [_fold(stack, b, linear, consumer) for linear in group]
    return any(fold.is_grouped_query for fold in folds if fold is not None)


def _fold(stack: DecoderStack, b: int, linear: Linear, consumer: Linear) -> Fold | None:
    """How the linear's rows feed the consumer's columns; found once for all blocks, remembered by the stack."""
    rows, width = linear.weight.shape[0], consumer.weight.shape[1]
    key = (linear.name, rows, width)
    if key not in stack.folds:
        stack.folds[key] = _find_fold(stack, b, linear, consumer, rows, width)
    return stack.folds[key]


def _find_fold(stack: DecoderStack, b: int, linear: Linear, consumer: Linear, rows: int, width: int) -> Fold | None:
    if rows == width:
        return same_width()
    head = getattr(stack.blocks[b].get_submodule(linear.owner), "head_dim", None)
    if head is not None and (fold := grouped_query(rows, width, head)) is not None:
        return fold
    if consumer not in stack.linears[b] or stack.examined is None:
        return None  # what lies between two blocks cannot be traced within one
    probe = stack.examined.probe
    with stack.resident(b):
        return discovered(stack.blocks[b], probe.inputs[b], probe.calls[b], linear, consumer)
