"""The reference's figures, and how a model is compared with them."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

DATA = Path(__file__).parent / "data"

# Their names of the top-ups, and ours.
TOP_UPS = {"uniform": "uniform", "owl": "owl", "alpha": "alphapruning", "DSnoT": "dsnot", "neuroal": "neuroal"}


def figures(name: str) -> dict[str, Any]:
    """Of one family, or of the real model ("real")."""
    return json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))


def zero_masks(model: nn.Module, linears: Iterable[str]) -> dict[str, np.ndarray]:
    """W == 0 of each linear, bool [out, in]."""
    return {name: (model.get_submodule(name).weight == 0).numpy() for name in linears}


def mask_hash(zeros: np.ndarray) -> str:
    """As the figures hold it."""
    return hashlib.sha256(np.packbits(zeros).tobytes()).hexdigest()
