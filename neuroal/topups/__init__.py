"""Top-ups, one file each: how a target sparsity is spread over blocks and rows. Every file here is found by itself."""

from neuroal.registry import import_all
from neuroal.topups.base import TOP_UPS, TopUp

import_all(__name__, __path__)

__all__ = ["TOP_UPS", "TopUp"]
