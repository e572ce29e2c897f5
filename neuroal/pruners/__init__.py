"""Base pruners, one file each; every file of this folder is found by itself."""

from neuroal.pruners.base import PRUNERS, Pruner
from neuroal.registry import import_all

import_all(__name__, __path__)

__all__ = ["PRUNERS", "Pruner"]
