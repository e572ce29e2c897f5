"""Weight reconstruction after pruning: the kept weights take over what the pruned ones did, by least squares.

For one linear with weight ``W`` [out, in], calibration inputs ``X`` [tokens, in] and a pattern of kept weights:

    minimise over V, zero where not kept:   ||(V - W) Xᵀ||² + δ m ||V - W||²     with m = mean of diag(XᵀX)

One quadratic problem per row, all rows with the same matrix ``A = XᵀX + δ m I``. They are solved together by conjugate
gradients with the diagonal of ``A`` as preconditioner, started at the masked weight. Nothing is trained: there is no
gradient of the model, only a linear system for each layer.

Layer-wise least squares for pruning is known from SparseGPT (arXiv 2301.00774), conjugate gradients on a fixed pattern
from ALPS (arXiv 2406.07831).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Chosen on calibration text only: SmolLM2-135M, NeuroAL's block schedule, calibrated on 6 sequences of 128 tokens,
# perplexity of 2 others. With so few tokens it is over-fitting that decides, so that the damping is large.
#
# On Wanda's pattern, sparsity 0.6 (masked only: 93.9): damping 0.01 68.4, 0.1 59.7, 0.3 59.6; on the bundled prose
# (141.7) 123.5, 112.6 and 111.3. Damping each feature in proportion to its own square: 62.2 (at 0.1), 60.6 (at 0.3).
# With the model's own continuations as more calibration text 0.1: 54.5.
ITERATIONS = 10
DAMPING = 0.3
DAMPING_WITH_CONTINUATIONS = 0.1


@torch.no_grad()
def reconstruct(
    weight: Tensor,
    kept: Tensor,
    statistics: Any,
    *,
    iterations: int = ITERATIONS,
    damping: float = DAMPING,
    start: Tensor | None = None,
) -> Tensor:
    """The weight with its pruned entries zero and its kept entries moved to make up for them.

    No row is ever worse than its masked weight in the damped objective (see the module): a row for which that fails, by
    rounding or because the inputs were not finite, keeps the masked weight.

    Args:
        weight: dense, [out, in], any float dtype; not written to.
        kept: bool [out, in], False where the weight is pruned.
        statistics: offers ``gram``, XᵀX to any scale, of the inputs that the linear will receive: with everything
            before it already pruned.
        iterations: of conjugate gradients; each costs one product [out, in] x [in, in].
        damping: δ, in units of the mean squared input feature.
        start: [out, in] where to start from instead of the masked weight; what is not kept of it is not looked at.

    Returns:
        a new tensor [out, in] with the dtype of ``weight``.
    """
    dense = weight.float()
    masked = torch.where(kept, dense, 0.0)
    matrix = damped(statistics.gram, damping)
    if not matrix.diagonal().gt(0).all():  # no input at all: nothing says how to move a weight
        return masked.to(weight.dtype)
    begin = masked if start is None else torch.where(kept, start.float(), 0.0)
    solved = _conjugate_gradients(matrix, dense, begin, kept, iterations).to(weight.dtype)
    better = _loss(matrix, solved.float() - dense) < _loss(matrix, masked - dense)  # False for NaN
    return torch.where(better, solved, masked.to(weight.dtype))


def damped(gram: Tensor, damping: float) -> Tensor:
    """``gram + damping * mean(diag(gram)) * I``, a new tensor; a feature that is always zero stays solvable."""
    matrix = gram.clone()
    mean = gram.diagonal().mean()
    matrix.diagonal().add_(mean * max(damping, 1e-6))
    return matrix


def _conjugate_gradients(matrix: Tensor, dense: Tensor, start: Tensor, kept: Tensor, iterations: int) -> Tensor:
    """Minimises the damped objective over the kept entries, every row with step lengths of its own.

    Args:
        matrix: the damped Gram, float32 [in, in].
        dense, start: float32 [out, in], where to go and where to start; ``start`` is zero where not kept.

    Returns:
        float32 [out, in], exactly zero where not kept.
    """
    pattern, scale = kept.float(), 1.0 / matrix.diagonal()
    solution = start.clone()
    residual = ((dense - start) @ matrix).mul_(pattern)  # minus the gradient, half of it
    direction = residual * scale
    energy = (residual * direction).sum(1, keepdim=True)  # [out, 1]
    for _ in range(iterations):
        product = (direction @ matrix).mul_(pattern)
        step = _ratio(energy, (direction * product).sum(1, keepdim=True))
        solution.addcmul_(direction, step)
        residual.addcmul_(product, -step)
        scaled = residual * scale
        energy, before = (residual * scaled).sum(1, keepdim=True), energy
        direction.mul_(_ratio(energy, before)).add_(scaled)
    return solution


def _ratio(over: Tensor, under: Tensor) -> Tensor:
    """A quotient that is 0 where a row has converged (0/0), so that the row stays where it is."""
    return torch.where(under > 0, over / under, 0.0)


def _loss(matrix: Tensor, difference: Tensor) -> Tensor:
    """The damped objective of every row, [out, 1], of a difference V - W [out, in]."""
    return ((difference @ matrix) * difference).sum(1, keepdim=True)
