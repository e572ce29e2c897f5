"""Weight reconstruction after pruning: the kept weights take over what the pruned ones did, by least squares.

For one linear with weight ``W`` [out, in], calibration inputs ``X`` [tokens, in] and a pattern of kept weights:

    minimise over V, zero where not kept:   ||(V - W) Xᵀ||² + δ m ||V - W||²     with m = mean of diag(XᵀX)

One quadratic problem per row, all rows with the same matrix ``A = XᵀX + δ m I``. They are solved together by conjugate
gradients with the diagonal of ``A`` as preconditioner, started at the masked weight. Nothing is trained: there is no
gradient of the model, only a linear system for each layer.

Which weights are kept can be chosen for the same objective (:func:`prune`): the alternating direction method
of multipliers moves weights and pattern in turn while the sparsity rises, so that a weight pruned early can come back.

Layer-wise least squares for pruning is known from SparseGPT (arXiv 2301.00774), the alternating directions from arXiv
2401.02938, conjugate gradients on a fixed pattern as the step after them from ALPS (arXiv 2406.07831).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroal.masks import select
from neuroal.statistics import InputNorm

if TYPE_CHECKING:
    import numpy as np

# Chosen on calibration text only: SmolLM2-135M, NeuroAL's block schedule, calibrated on 6 sequences of 128 tokens,
# perplexity of 2 others. With so few tokens it is over-fitting that decides, so that the damping is large.
#
# On Wanda's pattern, sparsity 0.6 (masked only: 93.9): damping 0.01 68.4, 0.1 59.7, 0.3 59.6; on the bundled prose
# (141.7) 123.5, 112.6 and 111.3. Damping each feature in proportion to its own square: 62.2 (at 0.1), 60.6 (at 0.3).
ITERATIONS = 10
DAMPING = 0.3

# On the pattern chosen here, sparsity 0.7, with three times as many sequences sampled from the dense model beside the
# calibration (Wanda's pattern: 82.4): penalty 0.3 87.4, 1 75.5, 2 77.7; 20 rounds without finishing iterations 77.1.
# Without the sampled sequences a chosen pattern over-fits too: 90.5 at damping 0.2.
ROUNDS = 15
FINISHING = 5
SAMPLED_DAMPING = 0.1
PENALTY = 1.0


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
    weight: Tensor,
    kept: Tensor,
    statistics: Gram,
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
        statistics: of the inputs that the linear will receive, so with everything before it already pruned.
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


@torch.no_grad()
def prune(
    weight: Tensor,
    statistics: Gram,
    sparsity: float | np.ndarray,
    *,
    rounds: int = ROUNDS,
    iterations: int = FINISHING,
    damping: float = SAMPLED_DAMPING,
) -> Tensor:
    """Chooses which weights to keep for what is left after reconstruction, and reconstructs them.

    Args:
        weight: dense, [out, in], any float dtype; not written to.
        statistics: as for :func:`reconstruct`.
        sparsity: one ratio for all rows, or a float64 vector with one per row; masks.py says how each rounds.
        rounds: of alternation; each costs about as much as one iteration.

    Returns:
        a new tensor [out, in] with the dtype of ``weight``. Where the inputs are all zero or not finite, the largest
        weights are kept as they are.
    """
    dense, matrix = weight.float(), damped(statistics.gram, damping)
    if not (matrix.isfinite().all() and matrix.diagonal().gt(0).all()):
        return weight.masked_fill(select(dense.abs(), sparsity), 0)
    kept, start = _alternate(matrix, dense, sparsity, rounds)
    return reconstruct(weight, kept, statistics, iterations=iterations, damping=damping, start=start)


def _alternate(matrix: Tensor, dense: Tensor, sparsity: float | np.ndarray, rounds: int) -> tuple[Tensor, Tensor]:
    """Alternating directions on inputs scaled so that ``A`` has a diagonal of ones.

    With a penalty ρ and multipliers U [out, in], from V = W and U = 0, each round does

        Z = V + U where |V + U| is among the largest of its row, else 0      (the share of zeros rises to ``sparsity``)
        U = U + V - Z
        V = (W A + ρ (Z - U)) (A + ρ I)⁻¹

    Args:
        matrix: A, the damped Gram, float32 [in, in].
        dense: W, float32 [out, in].

    Returns:
        bool [out, in], True = kept, and the weights V + U it came to, float32 [out, in], not yet masked.
    """
    scale = matrix.diagonal().sqrt()
    matrix = matrix / scale / scale.unsqueeze(1)
    inverse = _inverse(matrix, PENALTY)
    solution, multipliers = dense * scale, torch.zeros_like(dense)
    goal = solution @ matrix @ inverse
    for n in range(1, rounds + 1):
        moved = solution + multipliers
        kept = moved.masked_fill(select(moved.abs(), sparsity * _ramp(n, rounds)), 0)
        multipliers = moved - kept
        solution = torch.addmm(goal, kept - multipliers, inverse, alpha=PENALTY)
    moved = solution + multipliers
    return ~select(moved.abs(), sparsity), moved / scale


def _ramp(n: int, rounds: int) -> float:
    """Share of the sparsity asked for in round ``n``: steep first, all of it for the last quarter of the rounds."""
    progress = min(1.0, n / max(1, int(0.75 * rounds)))
    return 1.0 - (1.0 - progress) ** 3


def _inverse(matrix: Tensor, penalty: float) -> Tensor:
    """``(matrix + penalty I)⁻¹`` by Cholesky; the eigenvalues are at least the penalty."""
    shifted = matrix.clone()
    shifted.diagonal().add_(penalty)
    return torch.cholesky_inverse(torch.linalg.cholesky(shifted))


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
