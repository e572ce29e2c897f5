"""Magnitude pruning: the smallest weights go, whatever they multiply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroal.pruners.base import PRUNERS, Pruner

if TYPE_CHECKING:
    from torch import Tensor

    from neuroal.statistics import InputNorm


@PRUNERS.register
class Magnitude(Pruner):
    """``|W_ij|``; needs no data."""

    name = "magnitude"
    label = "Magnitude: |weight| alone"
    needs_data = False

    def metric(self, weight: Tensor, statistics: InputNorm | None) -> Tensor:
        """float32 [out, in]."""
        return weight.abs().float()
