"""Neuron alignment: how far the activations of a pruned block are from those of the dense one, on the same inputs.

NeuroAL, arXiv 2411.07066; the score and its conventions follow the original implementation. For every linear the
activation norms of its input are normalised to sum 1; its term is the distance between dense and pruned, per feature.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neuroal.blocks import DecoderStack, Linear
from neuroal.heap import working_heap


@dataclass(frozen=True)
class Compared:
    """One block, run dense and pruned on the same inputs.

    Attributes:
        block: its index.
        dense, pruned: activation norms by consumer group, float32 [in] each.
        terms, lost: of each linear, see :func:`compared`.
    """

    block: int
    dense: list[Tensor]
    pruned: list[Tensor]
    terms: dict[Linear, float]
    lost: dict[Linear, np.ndarray]


def walk(
    stack: DecoderStack, pruned: nn.Module, tokens: Tensor, make: Callable[[], Any]
) -> Generator[Compared, None, None]:
    """Walks the blocks of a dense and a pruned model as a search does: both on the inputs that the pruned one gets.

    Args:
        stack: of the dense model; neither model is written to.
        pruned: of the same architecture.
        tokens: int64 [samples, length].
        make: makes what gathers activation norms; as ``Pruner.norms``.

    Raises:
        UserError: as ``DecoderStack.capture``.
    """
    other = DecoderStack(pruned)
    captured = stack.capture(tokens)
    hidden = captured.hidden
    with torch.no_grad(), working_heap():
        for b in range(len(stack)):
            with stack.resident(b):
                before, _ = stack.gather(b, hidden, captured, make, outputs=False)
                after, hidden = stack.gather(b, hidden, captured, make, other.blocks[b], outputs=b < len(stack) - 1)
                dense, kept = norms_of(stack, b, before), norms_of(stack, b, after)
                found = Compared(b, dense, kept, *compared(stack.groups[b], dense, kept))
            yield found


def norms_of(stack: DecoderStack, b: int, statistics: list[Any]) -> list[Tensor]:
    """Activation norms by consumer group of block ``b``, [in] each; zeros where no token arrived."""
    norms = []
    for group, stat in zip(stack.groups[b], statistics, strict=True):
        weight = group[0].weight
        norms.append(stat.norm if stat.sequences else torch.zeros(weight.shape[1], device=weight.device))
    return norms


def compared(
    groups: Sequence[tuple[Linear, ...]], dense: Sequence[Tensor], pruned: Sequence[Tensor]
) -> tuple[dict[Linear, float], dict[Linear, np.ndarray]]:
    """The term and the alignment vector (dense minus pruned norms, float64 [in]) of each linear; those of a group share
    theirs.

    All of a block come from the device at once: there it is waited for one time.
    """
    if not groups:
        return {}, {}
    pairs = list(zip(dense, pruned, strict=True))
    distances = torch.stack([torch.linalg.vector_norm(_normalised(d) - _normalised(p)) for d, p in pairs])
    values = torch.cat([distances, *(d - p for d, p in pairs)]).double().cpu().numpy()
    starts = np.cumsum([len(pairs), *(d.numel() for d in dense)])
    terms, lost = {}, {}
    for g, group in enumerate(groups):
        terms |= dict.fromkeys(group, float(values[g]) / dense[g].numel())  # per input feature
        lost |= dict.fromkeys(group, values[starts[g] : starts[g + 1]])
    return terms, lost


def _normalised(norms: Tensor) -> Tensor:
    """To sum 1; an input that is zero throughout stays zero instead of becoming NaN."""
    total = norms.sum()
    return norms / torch.where(total == 0, torch.ones_like(total), total)
