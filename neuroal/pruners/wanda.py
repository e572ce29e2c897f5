"""Wanda: weight magnitude times the norm of the input it multiplies (arXiv 2306.11695)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroal.pruners.base import PRUNERS, Pruner

if TYPE_CHECKING:
    from torch import Tensor

    from neuroal.statistics import InputNorm


@PRUNERS.register
class Wanda(Pruner):
    """``|W_ij| · a_j`` with ``a_j`` the activation norm of input feature j."""

    name = "wanda"
    label = "Wanda: |weight| x norm of its input"

    def metric(self, weight: Tensor, statistics: InputNorm | None) -> Tensor:
        """float32 [out, in]."""
        return weight.abs().float() * statistics.norm
