"""A pruned model kept small: the masks in packed bits, and the values only where pruning changed them.

Pruners that only zero weights (magnitude, Wanda) need one bit per weight: 13 MB for a model of 135 million parameters.
Where kept weights move too (SparseGPT, refitting) their values are stored, and only theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from neuroal.errors import UserError
from neuroal.models.cache import put, scratch
from neuroal.residence import read_weight, write_weight
from neuroal.twin import sparse_twin

if TYPE_CHECKING:
    from neuroal.models.loading import LanguageModel
    from neuroal.runs.run import Outcome

GONE = "The pruned weights of this run are gone or damaged; run it again."


class Unusable(UserError):
    """The file is missing, damaged, or of another model."""

    def __init__(self) -> None:
        super().__init__(GONE)


@torch.no_grad()
def save_masks(path: Path, twin: nn.Module, dense: nn.Module, linears: Iterable[str]) -> None:
    """Writes what distinguishes ``twin`` from ``dense`` at the paths ``linears``; aside first, then renamed."""
    tensors: dict[str, torch.Tensor] = {}
    for name in linears:
        pruned, original = read_weight(twin, name).cpu(), read_weight(dense, name).cpu()
        kept = pruned != 0
        tensors[f"{name}.mask"] = torch.from_numpy(np.packbits(kept.numpy()))
        if not torch.equal(pruned, original * kept):
            tensors[f"{name}.kept"] = pruned[kept]
    with scratch(path.parent) as aside:
        save_file(tensors, str(aside / path.name))
        put(aside / path.name, path)


def keep_twin(path: Path, outcome: Outcome) -> None:
    """As :func:`save_masks`, of what came of a run: all that a rebuilt twin needs beside the dense model."""
    lm = outcome.language_model
    save_masks(path, outcome.twin, lm.model, [linear.path for linear in lm.stack.all_linears()])


@torch.no_grad()
def apply_masks(path: Path, twin: nn.Module, linears: Iterable[str]) -> None:
    """Makes ``twin`` (a sparse twin of the same dense model) the pruned model that was saved.

    Args:
        linears: the paths that were saved; a file of other ones is of another model.

    Raises:
        Unusable: the file is missing, damaged, or of another model.
    """
    try:
        tensors = load_file(str(path))
        names = list(linears)
        if {key.rpartition(".")[0] for key in tensors} != set(names):
            raise ValueError("the file is of other linears")
        for name in names:
            weight = read_weight(twin, name)
            write_weight(twin, name, _masked(weight, tensors[f"{name}.mask"], tensors.get(f"{name}.kept")))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise Unusable from error


def read_mask(path: Path, name: str, shape: tuple[int, int]) -> np.ndarray:
    """Which weights of one linear are kept: bool, of the shape that its module has. Nothing else is read.

    Raises:
        Unusable: the file is missing, damaged, or of another model.
    """
    try:
        with safe_open(str(path), "np") as stored:
            return _unpacked(stored.get_tensor(f"{name}.mask"), shape)
    except (OSError, ValueError, SafetensorError) as error:
        raise Unusable from error


def rebuilt_twin(path: Path, lm: LanguageModel) -> nn.Module:
    """The pruned model of a run, from the dense one and the file of its masks.

    Raises:
        UserError: as :func:`apply_masks`.
    """
    linears = [linear.path for linear in lm.stack.all_linears()]
    twin = sparse_twin(lm.model, linears)
    apply_masks(path, twin, linears)
    return twin


def _masked(weight: torch.Tensor, mask: torch.Tensor, values: torch.Tensor | None) -> torch.Tensor:
    """A new weight: the given one without what was pruned, with the stored values where pruning changed them."""
    kept = torch.from_numpy(_unpacked(mask.numpy(), weight.shape))
    if values is not None:
        if values.shape != (int(kept.sum()),):
            raise ValueError("the stored values do not match their mask")
        moved = torch.zeros(weight.shape, dtype=values.dtype)
        moved[kept] = values
        return moved.to(weight.dtype)  # a GPU may have pruned in another precision than this machine's own
    return weight.masked_fill(~kept.to(weight.device), 0)


def _unpacked(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What is kept, bool of this shape, from the packed bits."""
    count = math.prod(shape)
    if mask.dtype != np.uint8 or mask.shape != ((count + 7) // 8,):
        raise ValueError(f"a weight of shape {tuple(shape)} does not match what was stored")
    return np.unpackbits(mask, count=count).reshape(shape) != 0
