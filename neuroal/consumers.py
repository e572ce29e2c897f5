"""Who reads what a linear writes: consumer groups, and which of the consumer's columns each row feeds.

Where rows and columns are of one number, row r feeds column r. Where they are not, several projections share one weight
(queries, keys and values; gate and up) or one projection serves several heads. Families lay these out in many ways,
so the layout is not assumed but found: by which rows a gradient at chosen columns of the consumer's input reaches.

Shapes: R rows of the linear; W columns of its consumer = heads * head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from neuroal.calls import Call, Stop

if TYPE_CHECKING:
    from neuroal.linears import Linear

# Columns that are looked at one by one to tell a gated layer's layout.
SAMPLED_COLUMNS = 16

# Reach [W] -> [R]: which rows a gradient at the given columns reaches.
Reach = Callable[["list[int] | slice"], np.ndarray]


@dataclass
class GroupWatcher:
    """Groups the linears of one block by the tensor they receive, in order of execution."""

    linears: tuple[Linear, ...]
    groups: list[tuple[Linear, ...]] = field(default_factory=list)
    handles: list[Any] = field(default_factory=list)
    _last: Tensor | None = None
    _seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for linear in self.linears:
            self.handles.append(linear.module.register_forward_pre_hook(self._watch(linear)))

    def _watch(self, linear: Linear) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
            if linear.name in self._seen:
                return
            self._seen.add(linear.name)
            if self._last is not None and _same_memory(self._last, args[0]):
                self.groups[-1] += (linear,)
            else:
                self.groups.append((linear,))
            self._last = args[0]  # held, so that its memory is not handed to the next tensor

        return hook


def _same_memory(a: Tensor, b: Tensor) -> bool:
    """The same values in the same place, also when they arrive through another view object."""
    return a.data_ptr() == b.data_ptr() and a.shape[-1] == b.shape[-1] and a.numel() == b.numel()


@dataclass(frozen=True)
class Fold:
    """From one value per column of the consumer to one per row: each row takes the mean over the heads it serves.

    Attributes:
        serves: float64 [chunks, heads], rows sum to 1: the heads that each chunk of ``head`` rows serves.
        repeat: rows that feed one and the same column, side by side.
    """

    serves: np.ndarray
    repeat: int = 1

    def __call__(self, driver: np.ndarray) -> np.ndarray:
        """float64 [W] -> [R]."""
        if self.serves.size == self.repeat == 1:
            return driver
        heads = driver.reshape(self.serves.shape[1], -1)  # [heads, head]
        return (self.serves @ heads).reshape(-1).repeat(self.repeat)

    @property
    def is_grouped_query(self) -> bool:
        """Some rows serve several heads."""
        return bool((np.count_nonzero(self.serves, axis=1) > 1).any())


def same_width() -> Fold:
    """Row r feeds column r."""
    return Fold(np.ones((1, 1)))


def grouped_query(rows: int, width: int, head: int) -> Fold | None:
    """Keys or values of shared heads: each takes the mean over its consecutive query heads; None if it does not fit."""
    if width % rows or rows % head:
        return None
    shared = width // rows
    return Fold(np.kron(np.eye(rows // head), np.full((1, shared), 1 / shared)))


def discovered(block: nn.Module, hidden: Tensor, call: Call, linear: Linear, consumer: Linear) -> Fold | None:
    """The layout of a linear whose rows are not the columns of its consumer in the same block, or None.

    Args:
        block: of a skeleton: hooks are put on it and taken off.
        hidden, call: what the block is run on, a short sequence.
    """
    rows, width = linear.weight.shape[0], consumer.weight.shape[1]
    written, read = _cut(block, hidden, call, linear.name, consumer.name)
    if written is None or read is None or not read.requires_grad or read.shape[-1] != width:
        return None  # the consumer does not read this linear
    reach = _reach(written, read)
    return (_gated(reach, rows, width) if rows % width == 0 else None) or _by_heads(reach, rows, width)


def _cut(
    block: nn.Module, hidden: Tensor, call: Call, linear: str, consumer: str
) -> tuple[Tensor | None, Tensor | None]:
    """The linear's output as a leaf of a new graph, [..., R], and the consumer's input that depends on it, [..., W]."""
    found: dict[str, Tensor] = {}

    def cut(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        found["written"] = output.detach().requires_grad_()
        return found["written"]

    def stop(_: nn.Module, args: tuple[Any, ...]) -> None:
        found["read"] = args[0]
        raise Stop

    handles = [
        block.get_submodule(linear).register_forward_hook(cut),
        block.get_submodule(consumer).register_forward_pre_hook(stop),
    ]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            call.run(block, hidden.detach().clone())
    except Stop:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found.get("written"), found.get("read")


def _reach(written: Tensor, read: Tensor) -> Reach:
    """The function that tells which rows, bool [R], a random gradient at some columns of ``read`` reaches.

    Rows that do not feed these columns receive exact zeros in any precision.
    """
    generator = torch.Generator().manual_seed(0)

    def reach(columns: list[int] | slice) -> np.ndarray:
        cotangent = torch.zeros(read.shape, dtype=torch.float32)
        cotangent[..., columns] = torch.randn(cotangent[..., columns].shape, generator=generator)
        cotangent = cotangent.to(read.device, read.dtype)
        (gradient,) = torch.autograd.grad(read, written, cotangent, retain_graph=True, allow_unused=True)
        if gradient is None:
            return np.zeros(written.shape[-1], dtype=bool)
        return (gradient.flatten(0, -2) != 0).any(0).cpu().numpy()

    return reach


def _gated(reach: Reach, rows: int, width: int) -> Fold | None:
    """Layers whose parts are multiplied feature by feature, such as gate and up: each column is fed by one row of each
    part. The parts lie in halves (row r feeds column r mod W) or interleaved (r // parts)."""
    parts = rows // width
    columns = np.unique(np.linspace(0, width - 1, SAMPLED_COLUMNS).astype(int))
    reached = {int(j): set(np.flatnonzero(reach([int(j)]))) for j in columns}
    halves = {j: {j + part * width for part in range(parts)} for j in reached}
    interleaved = {j: {j * parts + part for part in range(parts)} for j in reached}
    for expected, fold in ((halves, Fold(np.ones((parts, 1)))), (interleaved, Fold(np.ones((1, 1)), parts))):
        within = all(reached[j] <= expected[j] for j in reached)  # a unit that never fires is reached by fewer
        if within and any(reached[j] == expected[j] for j in reached):
            return fold
    return None


def _by_heads(reach: Reach, rows: int, width: int) -> Fold | None:
    """Attention: chunks of one head's width, in any order, each serving the heads that its rows reach."""
    first = reach([0])
    if first.all():
        return None  # everything feeds everything: no alignment value belongs to a row
    head = _head_width(reach, first, width)
    if head < 2 or rows % head:
        return None
    heads = [reach(slice(start, start + head)) for start in range(0, width, head)]
    reached = np.stack(heads).reshape(len(heads), rows // head, head)  # [heads, chunks, head]
    serves = reached.any(2).T  # [chunks, heads]
    if (serves != reached.all(2).T).any() or not serves.any(1).all():
        return None  # a chunk of rows that do not belong together, or that nothing reads
    return Fold(serves / serves.sum(1, keepdims=True))


def _head_width(reach: Reach, first: np.ndarray, width: int) -> int:
    """Columns of one head. Those of one head share the rows of its queries; only their value rows differ.

    The first divisor of W whose column has lost a good part of the rows that feed column 0 is in the next head. Within
    a head, 1 row of 2 * head + 1 is lost; in the next one all query rows are, nearly half even where keys are shared.

    Args:
        first: rows that feed column 0.
    """
    for column in range(1, width):
        if width % column == 0 and 4 * np.count_nonzero(first & ~reach([column])) > np.count_nonzero(first):
            return column
    return width
