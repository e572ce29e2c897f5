"""Base pruners, one file each."""

from neuroal.pruners.base import PRUNERS, Pruner
from neuroal.pruners.magnitude import Magnitude
from neuroal.pruners.wanda import Wanda

__all__ = ["PRUNERS", "Magnitude", "Pruner", "Wanda"]
