"""Weight reconstruction after pruning: the kept weights take over what the pruned ones did, by least squares.

For one linear with weight ``W`` [out, in], calibration inputs ``X`` [tokens, in] and a pattern of kept weights:

    minimise over V, zero where not kept:   ||(V - W) Xᵀ||² + δ m ||V - W||²     with m = mean of diag(XᵀX)

One quadratic problem per row, all rows with the same matrix ``A = XᵀX + δ m I``. They are solved together by conjugate
gradients with the diagonal of ``A`` as preconditioner, started at the masked weight. Nothing is trained: there is no
gradient of the model, only a linear system for each layer.

Layer-wise least squares for pruning is known from SparseGPT (arXiv 2301.00774); conjugate gradients on a fixed pattern
are the post-processing step of ALPS (arXiv 2406.07831).
"""

from __future__ import annotations

import torch
from torch import Tensor

from neuroal.statistics import InputNorm

ITERATIONS = 10
DAMPING = 0.3


class Gram(InputNorm):
    """The activation norm and, beside it, all products of two input features: ``XᵀX`` summed over every token."""

    def __init__(self) -> None:
        super().__init__()
        self._gram: Tensor | None = None

    def update(self, inputs: Tensor) -> None:
        """Takes in a batch of sequences, [batch, tokens, in]; [tokens, in] counts as one sequence."""
        super().update(inputs)
        rows = inputs.reshape(-1, inputs.shape[-1]).float()  # [tokens of the batch, in]
        if self._gram is None:
            self._gram = rows.t() @ rows
        else:
            self._gram.addmm_(rows.t(), rows)

    @property
    def gram(self) -> Tensor:
        """``XᵀX``, float32 [in, in].

        Raises:
            RuntimeError: nothing was gathered: the linear was never called.
        """
        if self._gram is None:
            raise RuntimeError("No input reached this linear, so it cannot be reconstructed.")
        return self._gram


@torch.no_grad()
def reconstruct(
    weight: Tensor, kept: Tensor, statistics: Gram, *, iterations: int = ITERATIONS, damping: float = DAMPING
) -> Tensor:
    """The weight with its pruned entries zero and its kept entries moved to make up for them.

    No row is ever worse than its masked weight in the damped objective (see the module): a row for which that fails, by
    rounding or because the inputs were not finite, keeps the masked weight.

    Args:
        weight: dense, [out, in], any float dtype; not written to.
        kept: bool [out, in], False where the weight is pruned.
        statistics: of the inputs that the linear will receive, so with everything before it already pruned.
        iterations: of conjugate gradients; each costs one product [out, in] x [in, in].
        damping: δ, in units of the mean squared input feature.

    Returns:
        a new tensor [out, in] with the dtype of ``weight``.
    """
    dense = weight.float()
    masked = torch.where(kept, dense, 0.0)
    matrix = damped(statistics.gram, damping)
    if not matrix.diagonal().gt(0).all():  # no input at all: nothing says how to move a weight
        return masked.to(weight.dtype)
    solved = _conjugate_gradients(matrix, dense, masked, kept, iterations).to(weight.dtype)
    better = _loss(matrix, solved.float() - dense) < _loss(matrix, masked - dense)  # False for NaN
    return torch.where(better, solved, masked.to(weight.dtype))


def damped(gram: Tensor, damping: float) -> Tensor:
    """``gram + damping * mean(diag(gram)) * I``, a new tensor; a feature that is always zero stays solvable."""
    matrix = gram.clone()
    mean = gram.diagonal().mean()
    matrix.diagonal().add_(mean * max(damping, 1e-6))
    return matrix


def _conjugate_gradients(matrix: Tensor, dense: Tensor, masked: Tensor, kept: Tensor, iterations: int) -> Tensor:
    """Minimises the damped objective over the kept entries, every row with step lengths of its own.

    Args:
        matrix: the damped Gram, float32 [in, in].
        dense, masked: float32 [out, in], where to go and where to start.

    Returns:
        float32 [out, in], exactly zero where not kept.
    """
    pattern, scale = kept.float(), 1.0 / matrix.diagonal()
    solution = masked.clone()
    residual = ((dense - masked) @ matrix).mul_(pattern)  # minus the gradient, half of it
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
