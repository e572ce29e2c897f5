"""ALPS: weights and mask move in turn toward the layer's own outputs (after arXiv 2406.07831).

The alternating direction method of multipliers on the damped squared error of a layer, while the sparsity rises from
round to round, so that a weight pruned early can come back; then conjugate gradients on the mask it came to. Compare
arXiv 2401.02938 for the rising sparsity. Inputs are scaled to one size first, which makes one penalty fit all.

Measured on SmolLM2 at 70 % with refitting, on calibration text held apart (Wanda's mask: 82.4): penalty 0.3 87.4, 1
75.5, 2 77.7; 20 rounds without the finishing iterations 77.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroal.pruners.base import PRUNERS, Pruner

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

ROUNDS, FINISHING, DAMPING, PENALTY = 15, 5, 0.1, 1.0


@PRUNERS.register
class ALPS(Pruner):
    """Its metric is the size of a weight times that of its (damped) input, as it moves."""

    name = "alps"
    label = "ALPS: mask and weights moved in turn"
    summary = (
        "the weights that the others can best replace, found by moving mask and weights in turn "
        "(after [2406.07831](https://arxiv.org/abs/2406.07831))"
    )
    needs_gram = True
    moves_weights = True
    refits = True
    gathering = 1.0
    selecting = 19_000
    rank = 50

    def metric(self, weight: Tensor, statistics: Any) -> Tensor:
        """Before anything has moved, float32 [out, in]."""
        from neuroal.reconstruction import damped

        return weight.abs().float() * damped(statistics.gram, DAMPING).diagonal().sqrt()

    def prune(self, weight: Tensor, statistics: Any, sparsity: float | np.ndarray, of: int | None = None) -> Tensor:
        """The pruned and moved weight, [out, in]; where all inputs are zero the largest weights stay as they are."""
        from neuroal.masks import select
        from neuroal.reconstruction import damped, reconstruct

        dense, matrix = weight.float(), damped(statistics.gram, DAMPING)
        if not bool(matrix.diagonal().gt(0).all()):
            return weight.masked_fill(select(dense.abs(), sparsity, of), 0)
        if not hasattr(statistics, "scaled"):  # the linears of a consumer group share it
            statistics.scaled = _scaled(matrix)
        kept, start = _alternate(*statistics.scaled, dense, sparsity, of)
        return reconstruct(weight, kept, statistics, iterations=FINISHING, damping=DAMPING, start=start)


def _scaled(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The roots of the diagonal of A [in], A with a diagonal of ones, and the inverse of that plus the penalty."""
    import torch

    scale = matrix.diagonal().sqrt()
    matrix = matrix / scale / scale.unsqueeze(1)
    shifted = matrix.clone()
    shifted.diagonal().add_(PENALTY)  # its eigenvalues are at least the penalty: the factor always exists
    return scale, matrix, torch.cholesky_inverse(torch.linalg.cholesky(shifted))


def _alternate(
    scale: Tensor, matrix: Tensor, inverse: Tensor, dense: Tensor, sparsity: float | np.ndarray, of: int | None
) -> tuple[Tensor, Tensor]:
    """Alternating directions: with a penalty ρ and multipliers U, from V = W and U = 0, each round does

        Z = V + U where |V + U| is among the largest of its row, else 0      (the share of zeros rises to ``sparsity``)
        U = U + V - Z
        V = (W A + ρ (Z - U)) (A + ρ I)⁻¹

    Args:
        scale, matrix, inverse: see :func:`_scaled`. dense: W, float32 [out, in].

    Returns:
        bool [out, in], True = kept, and the weights V + U it came to, float32 [out, in], not yet masked.
    """
    import torch

    from neuroal.masks import select

    solution, multipliers = dense * scale, torch.zeros_like(dense)
    goal = solution @ matrix @ inverse
    for n in range(1, ROUNDS + 1):
        moved = solution + multipliers
        kept = moved.masked_fill(select(moved.abs(), sparsity * _ramp(n), of), 0)
        multipliers = moved - kept
        solution = torch.addmm(goal, kept - multipliers, inverse, alpha=PENALTY)
    moved = solution + multipliers
    return ~select(moved.abs(), sparsity, of), moved / scale


def _ramp(n: int) -> float:
    """Share of the sparsity asked for in round ``n``: steep first, all of it for the last quarter of the rounds."""
    return 1.0 - (1.0 - min(1.0, n / int(0.75 * ROUNDS))) ** 3
