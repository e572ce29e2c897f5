"""Top-ups, one file each: how a target sparsity is spread over blocks and rows."""

from neuroal.topups.base import TOP_UPS, TopUp
from neuroal.topups.neuroal import NeuroAL
from neuroal.topups.uniform import Uniform

__all__ = ["TOP_UPS", "NeuroAL", "TopUp", "Uniform"]
