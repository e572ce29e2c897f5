"""Sparse encoding of a tensor: one bit per entry, then the entries that are not zero; and zstd of either form.

Everything here is bit-exact. An entry counts as zero where all its bits are: a negative zero is kept like any other
value, and so is a NaN with its payload.

    mask     ceil(n / 8) bytes, one bit per entry in row-major order, the first entry in the highest bit
    values   the entries that are not zero, in the same order, in the tensor's own dtype

With a fraction s of zeros and b bytes for an entry that is ``1 / 8 + (1 - s) b`` bytes for each of them: smaller than
the dense form from 3.1 % zeros in float32, and from 6.3 % in half precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

from neuroal.errors import UserError

# zstd's own default, what anyone's zstd makes of the file. On a pruned model of 135 million weights level 1 takes half
# the time and 12 % more bytes (tests/benchmarks/bench_cost.py --levels 1 3).
LEVEL = 3

DAMAGED = "The encoded tensor is damaged: {}; get the file again, or encode the model again."

# An entry's bits as a number, by its bytes: numpy has no bfloat16, and a float comparison would lose negative zeros.
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

Bits: TypeAlias = NDArray[np.signedinteger]


@dataclass(frozen=True, eq=False)
class Encoded:
    """A tensor as bitmask and values, both on the CPU; ready to be kept as two tensors of a safetensors file.

    Attributes:
        shape: of the tensor.
        mask: uint8 [ceil(entries / 8)].
        values: [entries that are not zero], in the tensor's dtype.
    """

    shape: tuple[int, ...]
    mask: Tensor
    values: Tensor

    @property
    def nbytes(self) -> int:
        return self.mask.nbytes + self.values.nbytes


@dataclass(frozen=True)
class Sizes:
    """Bytes of one tensor in four forms; names, shapes and headers of a file come on top.

    Attributes:
        dense: as it is.
        bitmask: mask and values.
        dense_zstd: one zstd frame of the dense bytes.
        bitmask_zstd: two zstd frames, of the mask and of the values.
    """

    dense: int
    bitmask: int
    dense_zstd: int
    bitmask_zstd: int


def encoded(tensor: Tensor) -> Encoded:
    """The tensor as bitmask and values; its memory layout and device do not matter, and it is not written to.

    Raises:
        UserError: it is not an ordinary dense tensor of real numbers, or its content is not loaded.
    """
    bits = bits_of(tensor)
    kept = bits != 0
    # compress needs a sixth of the time of an index by a mask
    values = torch.from_numpy(bits.compress(kept)).view(tensor.dtype)
    return Encoded(tuple(tensor.shape), torch.from_numpy(np.packbits(kept)), values)


def decoded(code: Encoded) -> Tensor:
    """The tensor that was encoded, bit for bit: contiguous, on the CPU, its memory its own.

    Raises:
        UserError: mask, values and shape do not belong together.
    """
    n = math.prod(code.shape)
    if code.mask.dtype != torch.uint8 or code.mask.shape != ((n + 7) // 8,):
        raise UserError(DAMAGED.format(f"its mask does not fit the shape {code.shape}"))
    unpacked = np.unpackbits(code.mask.cpu().numpy())
    at = np.flatnonzero(unpacked)  # an index by numbers, made once, is faster than one by a mask
    if code.values.shape != at.shape or unpacked[n:].any():
        raise UserError(DAMAGED.format(f"its mask does not fit its {code.values.numel()} values"))
    values = bits_of(code.values)
    bits = np.zeros(n, values.dtype)
    bits[at] = values
    return torch.from_numpy(bits).view(code.values.dtype).reshape(code.shape)


def compressed(tensor: Tensor, level: int = LEVEL) -> bytes:
    """The tensor's bytes, row-major and in the machine's order, as one zstd frame that tells its content's size."""
    return _frame(bits_of(tensor), level)


def decompressed(frame: bytes, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """The tensor whose ``compressed`` bytes these are. Never takes more memory than a tensor of that shape.

    Raises:
        UserError: the frame is damaged, or of a tensor of another size.
    """
    nbytes = math.prod(shape) * dtype.itemsize
    try:
        if zstandard.frame_content_size(frame) != nbytes:
            raise UserError(DAMAGED.format(f"its content is not {nbytes} bytes"))
        content = bytearray(zstandard.ZstdDecompressor().decompress(frame))
    except zstandard.ZstdError as error:
        raise UserError(DAMAGED.format("its compressed form cannot be read")) from error
    return torch.frombuffer(content, dtype=dtype).reshape(shape) if nbytes else torch.empty(shape, dtype=dtype)


def sizes(tensor: Tensor, level: int = LEVEL) -> Sizes:
    """What the tensor needs in each form, by really making each; ``level`` is zstd's.

    Raises:
        UserError: as :func:`encoded`.
    """
    bits = bits_of(tensor)
    kept = bits != 0
    values, mask = bits.compress(kept), np.packbits(kept)
    whole = len(_frame(bits, level))
    # without a zero the values are the dense bytes
    of_values = whole if values.size == bits.size else len(_frame(values, level))
    return Sizes(bits.nbytes, mask.nbytes + values.nbytes, whole, len(_frame(mask, level)) + of_values)


def bits_of(tensor: Tensor) -> Bits:
    """The entries' bits as integers [entries] in row-major order, without a copy where that is how they lie."""
    plain = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.dtype.is_complex
    if not plain or tensor.dtype.itemsize not in _BITS:
        raise UserError(
            f"A tensor of {tensor.dtype} in the layout {tensor.layout} cannot be encoded; only dense tensors of real "
            "numbers can."
        )
    if tensor.device.type == "meta":
        raise UserError("A tensor without content cannot be encoded; load the weights of the model first.")
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(_BITS[tensor.dtype.itemsize]).numpy()


def _frame(array: NDArray, level: int) -> bytes:
    return zstandard.ZstdCompressor(level=level).compress(array)
