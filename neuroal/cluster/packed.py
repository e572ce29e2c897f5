"""A loaded model as plain arrays and what is around them, so that workers of a machine share one copy of its weights.

The object store gives arrays to every process of a machine without a copy, and read-only. A model that is built around
them is treated as every dense model is: nothing writes to it. What is pruned is a sparse twin, whose prunable weights
are clones, or the scratch copy of a block.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
import secrets
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from neuroal.twin import skeleton

if TYPE_CHECKING:
    from neuroal.models.loading import LanguageModel


@dataclass(frozen=True)
class Packed:
    """A language model without its tensors, and these.

    Attributes:
        id: differs between any two that were packed.
        rest: the pickled model, in which each tensor is a number.
        arrays: by that number.
        kinds: of each, its precision and whether it is a parameter.
    """

    id: str
    rest: bytes
    arrays: list[np.ndarray]
    kinds: list[tuple[str, bool]]


def pack(lm: LanguageModel) -> Packed:
    """A model that is all in memory, for other processes.

    Tensors that are one and the same (tied embeddings) stay so.
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(dataclasses.replace(lm, model=skeleton(lm.model)))  # a copy: without the stack that lm may have made
    arrays = [_array(tensor) for tensor in pickler.tensors]
    kinds = [(str(t.dtype).removeprefix("torch."), isinstance(t, nn.Parameter)) for t in pickler.tensors]
    return Packed(secrets.token_hex(8), file.getvalue(), arrays, kinds)


def unpack(packed: Packed, device: str = "cpu") -> LanguageModel:
    """The model around the very same arrays; on an accelerator, around copies of them there."""
    lm = _Unpickler(packed, device).load()
    return dataclasses.replace(lm, info=dataclasses.replace(lm.info, device=device))


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.tensors: list[Tensor] = []
        self._numbers: dict[int, int] = {}

    def persistent_id(self, thing: Any) -> int | None:
        if not isinstance(thing, Tensor):
            return None
        if id(thing) not in self._numbers:
            self._numbers[id(thing)] = len(self.tensors)
            self.tensors.append(thing)
        return self._numbers[id(thing)]


class _Unpickler(pickle.Unpickler):
    def __init__(self, packed: Packed, device: str) -> None:
        super().__init__(io.BytesIO(packed.rest))
        self._packed, self._device = packed, device
        self._made: dict[int, Tensor] = {}

    def persistent_load(self, number: int) -> Tensor:
        if number not in self._made:
            precision, is_parameter = self._packed.kinds[number]
            tensor = _tensor(self._packed.arrays[number], precision).to(self._device)
            self._made[number] = nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor
        return self._made[number]


def _array(tensor: Tensor) -> np.ndarray:
    """The values; of precisions that numpy lacks, such as bfloat16, the bits."""
    values = tensor.detach().cpu()
    try:
        return values.numpy()
    except TypeError:
        return values.view({1: torch.uint8, 2: torch.int16}[values.element_size()]).numpy()


def _tensor(array: np.ndarray, precision: str) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable")  # and nobody writes
        return torch.from_numpy(array).view(getattr(torch, precision))
