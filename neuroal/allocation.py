"""The result of a top-up: how sparse each linear, or each of its rows, is to become."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from neuroal.blocks import DecoderStack


# By linear path: one ratio for all rows, or float64 [rows].
Sparsity = dict[str, "float | np.ndarray"]


@dataclass(frozen=True)
class Allocation:
    """Sparsity ratios and how they were found. It remembers its pruner and options; ``prune`` needs no more.

    Attributes:
        target: the sparsity asked for.
        sparsity: {linear path: one ratio (granularity "row"), or a float64 vector [rows] (granularity "neuron")}.
        block_lambda, row_lambda: chosen; None where the step did not run.
        block_scores, row_scores: {lambda: alignment score}, lower is better; None where the step did not run.
        mode: how the candidates were chosen.
        options: the options it was made with, defaults included (neuroal.options.Options).

    Example:
        >>> lm = neuroal.load("tiny")
        >>> tokens = neuroal.calibration_tokens(lm.tokenizer, samples=2, length=32)
        >>> allocation = neuroal.allocate(lm.model, tokens, top_up="custom", block_sparsity=(0.5,) * lm.info.blocks)
        >>> allocation.per_block(lm.stack) == (0.5,) * lm.info.blocks, allocation.block_lambda
        (True, None)
    """

    pruner: str
    top_up: str
    step: str | None
    target: float
    sparsity: Sparsity
    block_lambda: float | None = None
    row_lambda: float | None = None
    block_scores: dict[float, float] | None = None
    row_scores: dict[float, float] | None = None
    mode: str = "exact"
    options: dict[str, Any] = field(default_factory=dict)

    def per_block(self, stack: DecoderStack) -> tuple[float, ...]:
        """The requested ratio of each block, weighted by parameters."""
        return tuple(mean_sparsity(stack, b, self.sparsity) for b in range(len(stack)))


def mean_sparsity(stack: DecoderStack, b: int, sparsity: Sparsity) -> float:
    """Requested ratio of block ``b``, weighted by parameters; linears without a ratio count as dense."""
    linears = stack.linears[b]
    total = sum(linear.weight.numel() for linear in linears)
    asked = sum(linear.weight.numel() * float(np.mean(sparsity.get(linear.path, 0.0))) for linear in linears)
    return asked / total if total else 0.0
