"""MULTIFLOW's local saliency: a weight counts by what flows into and out of the neurons it joins (arXiv 2404.05621).

Only the saliency is used, as NeuroAL's comparison does; MULTIFLOW's own layer budget is a top-up's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroal.pruners.base import PRUNERS, Pruner

if TYPE_CHECKING:
    from torch import Tensor


@PRUNERS.register
class Multiflow(Pruner):
    """``|W_ij| · p_i · q_j`` with ``p_i`` and ``q_j`` the means of ``|W_ij| a_j`` over a row and over a column."""

    name = "multiflow"
    label = "MULTIFLOW: |weight| x flow of the neurons it joins"
    summary = "the weights between neurons that little flows through ([2404.05621](https://arxiv.org/abs/2404.05621))"
    rank = 30

    def metric(self, weight: Tensor, statistics: Any) -> Tensor:
        """float32 [out, in]."""
        magnitude = weight.abs().float()
        flow = magnitude * statistics.norm
        return magnitude * (flow.mean(1, keepdim=True) * flow.mean(0, keepdim=True))
