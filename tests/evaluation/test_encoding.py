"""The sparse encoding: bit for bit, against a plain loop over the entries, and what it refuses."""

from __future__ import annotations

import dataclasses
import math
import struct

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from neuroal.errors import UserError
from neuroal.evaluation.encoding import LEVEL, Encoded, Sizes, compressed, decoded, decompressed, encoded, sizes

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
NUMBERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _same_bits(a: Tensor, b: Tensor) -> bool:
    """By their bits: as numbers -0.0 would be 0.0, and a NaN nothing."""
    number = NUMBERS[a.dtype.itemsize]
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.contiguous().view(number), b.view(number))


def _random(shape: tuple[int, ...], dtype: torch.dtype, zeros: float, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    tensor = torch.randn(shape, generator=random)
    return tensor.masked_fill(torch.rand(shape, generator=random) < zeros, 0).to(dtype)


def test_by_hand() -> None:
    tensor = torch.tensor([[0, 1.5, 0, 0, -2], [0, 0, 0, 0.25, 8]])
    code = encoded(tensor)
    assert code.mask.tolist() == [0b01001000, 0b11000000]
    assert code.values.tolist() == [1.5, -2, 0.25, 8]
    assert code.shape == (2, 5)
    assert code.nbytes == 2 + 4 * 4


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    dtype=st.sampled_from(DTYPES),
    zeros=st.sampled_from([0.0, 0.3, 0.6, 1.0]),
    seed=st.integers(0, 1000),
)
def test_equal_to_a_plain_loop_and_back(shape: tuple[int, ...], dtype: torch.dtype, zeros: float, seed: int) -> None:
    tensor = _random(shape, dtype, zeros, seed)
    entries = tensor.double().reshape(-1).tolist()
    bits = "".join("0" if x == 0 and math.copysign(1, x) > 0 else "1" for x in entries)
    bits += "0" * (-len(bits) % 8)
    code = encoded(tensor)
    assert code.mask.tolist() == [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert code.values.double().tolist() == [x for x, bit in zip(entries, bits, strict=False) if bit == "1"]
    assert _same_bits(tensor, decoded(code))


@pytest.mark.parametrize("dtype", DTYPES)
def test_negative_zero_nan_infinity_and_the_smallest_numbers_are_kept(dtype: torch.dtype) -> None:
    nan = torch.tensor([0x7FC00001, -1], dtype=torch.int32).view(torch.float32) if dtype == torch.float32 else None
    special = torch.tensor([0.0, -0.0, math.nan, math.inf, -math.inf, torch.finfo(dtype).smallest_normal], dtype=dtype)
    special = special if nan is None else torch.cat([special, nan])
    code = encoded(special)
    assert code.values.numel() == special.numel() - 1
    assert _same_bits(special, decoded(code))


def test_views_are_encoded_in_the_order_of_their_entries() -> None:
    base = _random((6, 10), torch.bfloat16, 0.5)
    for view in (base.t(), base[::2, 1::3], base[0].expand(4, 10), base.reshape(3, 2, 10).transpose(0, 2)):
        assert not view.is_contiguous()
        assert _same_bits(view, decoded(encoded(view)))
        assert sizes(view) == sizes(view.contiguous())


def test_other_dtypes_come_back_too() -> None:
    for tensor in (torch.tensor([0, -3, 7]), torch.tensor([True, False]), _random((5,), torch.float64, 0.4)):
        assert _same_bits(tensor, decoded(encoded(tensor)))
    assert decoded(encoded(torch.tensor(3.0))).shape == ()


def test_what_is_decoded_has_memory_of_its_own() -> None:
    tensor = torch.nn.Parameter(torch.ones(8))
    again = decoded(encoded(tensor))
    again.zero_()
    assert tensor.sum() == 8


def test_the_bytes_by_arithmetic() -> None:
    tensor = _random((64, 48), torch.float16, 0.6)
    n, nonzeros = tensor.numel(), int((tensor != 0).sum())
    found = sizes(tensor)
    assert (found.dense, found.bitmask) == (2 * n, n // 8 + 2 * nonzeros)
    code = encoded(tensor)
    assert code.nbytes == found.bitmask
    frames = [zstandard.compress(part.view(torch.uint8).numpy().tobytes(), LEVEL) for part in (code.mask, code.values)]
    assert found.bitmask_zstd == sum(map(len, frames))
    assert found.dense_zstd == len(zstandard.compress(tensor.view(torch.uint8).numpy().tobytes(), LEVEL))


@pytest.mark.parametrize("zeros", [0.0, 0.5, 1.0])
def test_zstd_of_a_tensor_without_zeros_is_that_of_its_values(zeros: float) -> None:
    tensor = _random((128, 32), torch.float32, zeros)
    code, found = encoded(tensor), sizes(tensor, level=7)
    assert found.bitmask_zstd == len(compressed(code.mask, 7)) + len(compressed(code.values, 7))


def test_zeros_of_a_whole_tensor_cost_a_bit_each() -> None:
    assert encoded(torch.zeros(100)).nbytes == 13
    assert sizes(torch.zeros(0)) == Sizes(
        0, 0, len(zstandard.compress(b"", LEVEL)), 2 * len(zstandard.compress(b"", LEVEL))
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 9), (), (0, 3)])
def test_compressed_and_back(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = _random(shape, dtype, 0.5)
    frame = compressed(tensor)
    assert _same_bits(tensor, decompressed(frame, shape, dtype))
    assert zstandard.frame_content_size(frame) == tensor.nbytes


def test_the_bytes_are_those_of_the_entries_in_row_major_order() -> None:
    content = zstandard.decompress(compressed(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).t()))
    assert struct.unpack("=4f", content) == (1, 3, 2, 4)


def test_a_frame_of_another_size_or_a_damaged_one_is_one_sentence() -> None:
    frame = compressed(torch.arange(1000.0))
    with pytest.raises(UserError, match="not 3996 bytes"):
        decompressed(frame, (999,), torch.float32)
    for damaged in (frame[: len(frame) // 2], b"no frame at all", b""):
        with pytest.raises(UserError, match="is damaged"):
            decompressed(damaged, (1000,), torch.float32)


def test_parts_that_do_not_belong_together_are_refused() -> None:
    code = encoded(_random((5, 5), torch.float32, 0.5))
    full = torch.tensor([255, 255, 255, 255], dtype=torch.uint8)  # seven bits more than there are entries
    for damaged in (
        dataclasses.replace(code, values=code.values[1:]),
        dataclasses.replace(code, mask=code.mask[1:]),
        dataclasses.replace(code, mask=code.mask.to(torch.int64)),
        dataclasses.replace(code, shape=(5, 50)),
        dataclasses.replace(code, values=code.values[None]),
        Encoded((5, 5), full, torch.ones(32)),
    ):
        with pytest.raises(UserError, match="is damaged"):
            decoded(damaged)


def test_what_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(UserError, match="load the weights"):
        encoded(torch.ones(3, device="meta"))
    for other in (torch.eye(3).to_sparse(), torch.ones(3, dtype=torch.complex64)):
        with pytest.raises(UserError, match="only dense tensors of real numbers"):
            encoded(other)
        with pytest.raises(UserError, match="only dense tensors of real numbers"):
            sizes(other)


def test_packed_as_numpy_packs() -> None:
    tensor = _random((1536, 576), torch.float32, 0.6)
    assert np.array_equal(encoded(tensor).mask.numpy(), np.packbits(tensor.numpy() != 0))
