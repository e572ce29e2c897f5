"""Which alignment drives which rows: the consumer-group rule, for any family.

The rows of a group's linears feed the inputs of the next group (the first group of the next block, for the last one),
so each row is driven by what its consumer lost. Nothing consumes the last block within the stack: it keeps its ratio.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import nn

from neuroal.blocks import DecoderStack, Linear
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
    for b, linear, driver in _driven(stack, alignment, gqa):
        sparsity[linear.path] = row_schedule(driver, base[b], lam)
    return sparsity


def undriven(stack: DecoderStack, alignment: Alignment, gqa: str) -> list[str]:
    """Names of linears whose consumer's width does not match their rows: they keep the block's ratio."""
    driven = {linear.path for _, linear, _ in _driven(stack, alignment, gqa)}
    names = {
        linear.name: None
        for b, groups in enumerate(stack.groups[:-1])
        for group in groups
        for linear in group
        if linear.path not in driven and not (gqa == "base" and _is_grouped_query(group, _consumer(stack, b, group)))
    }
    return list(names)


def _driven(stack: DecoderStack, alignment: Alignment, gqa: str) -> Iterator[tuple[int, Linear, np.ndarray]]:
    """(block, linear, driver [rows]) for every linear whose rows can be varied."""
    for b, groups in enumerate(stack.groups[:-1]):
        for group in groups:
            consumer = _consumer(stack, b, group)
            if gqa == "base" and _is_grouped_query(group, consumer):
                continue
            for linear in group:
                driver = _folded(alignment[consumer.path], linear, stack.blocks[b])
                if driver is not None:
                    yield b, linear, driver


def _consumer(stack: DecoderStack, b: int, group: tuple[Linear, ...]) -> Linear:
    """The first linear of the group that reads what this group writes."""
    groups = stack.groups[b]
    following = groups.index(group) + 1
    return groups[following][0] if following < len(groups) else stack.groups[b + 1][0][0]


def _is_grouped_query(group: tuple[Linear, ...], consumer: Linear) -> bool:
    """Several linears read one input and some have fewer rows than their consumer has columns: shared k/v heads."""
    width = consumer.weight.shape[1]
    return any(width != linear.weight.shape[0] and width % linear.weight.shape[0] == 0 for linear in group)


def _folded(driver: np.ndarray, linear: Linear, block: nn.Module) -> np.ndarray | None:
    """The driver at the width of the linear's rows: itself, the mean over each query-head group, or None."""
    rows = linear.weight.shape[0]
    if driver.shape[0] == rows:
        return driver
    head = _head_dim(linear, block)
    if head is None or driver.shape[0] % rows or rows % head:
        return None
    # [kv heads, query heads of each, head] -> [kv heads * head]
    return driver.reshape(rows // head, driver.shape[0] // rows, head).mean(1).reshape(-1)


def _head_dim(linear: Linear, block: nn.Module) -> int | None:
    """Width of one attention head, as the module that owns the linear states it."""
    owner = block.get_submodule(linear.name.rpartition(".")[0])
    return getattr(owner, "head_dim", None)
