"""Random pruning: the floor of every chart. What a method gains over it, it gains by choosing."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from neuroal.pruners.base import PRUNERS, Pruner

if TYPE_CHECKING:
    from torch import Tensor


@PRUNERS.register
class Random(Pruner):
    """Uniform noise, drawn anew for each linear but the same whenever that linear is asked about: candidates of a
    search then differ by their ratios alone, and a run can be repeated."""

    name = "random"
    label = "Random: the floor"
    summary = "weights drawn at random; the floor that every method has to beat"
    needs_data = False
    rank = 90

    def metric(self, weight: Tensor, statistics: Any) -> Tensor:
        """float32 [out, in], between 0 and 1."""
        import torch

        row = weight[0].float().cpu().contiguous().numpy()
        generator = torch.Generator().manual_seed(zlib.crc32(row.tobytes()))
        return torch.rand(weight.shape, generator=generator).to(weight.device)
