"""Magnitude pruning: the smallest weights go, whatever they multiply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroal.pruners.base import PRUNERS, Pruner

if TYPE_CHECKING:
    from torch import Tensor


@PRUNERS.register
class Magnitude(Pruner):
    """``|W_ij|``; needs no data."""

    name = "magnitude"
    label = "Magnitude: |weight| alone"
    summary = "the smallest weights"
    needs_data = False
    row_by_row = True
    rank = 20

    def metric(self, weight: Tensor, statistics: Any) -> Tensor:
        """float32 [out, in]."""
        return weight.abs().float()
