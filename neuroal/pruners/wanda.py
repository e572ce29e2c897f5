"""Wanda: weight magnitude times the norm of the input it multiplies (arXiv 2306.11695)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroal.pruners.base import PRUNERS, Pruner

if TYPE_CHECKING:
    from torch import Tensor


@PRUNERS.register
class Wanda(Pruner):
    """``|W_ij| · a_j`` with ``a_j`` the activation norm of input feature j."""

    name = "wanda"
    label = "Wanda: |weight| x norm of its input"
    summary = (
        "the smallest products of a weight and the norm of its input ([2306.11695](https://arxiv.org/abs/2306.11695))"
    )
    row_by_row = True
    rank = 10

    def metric(self, weight: Tensor, statistics: Any) -> Tensor:
        """float32 [out, in]."""
        return (weight.float() * statistics.norm).abs_()  # norms are not negative: one tensor less than |W| a
