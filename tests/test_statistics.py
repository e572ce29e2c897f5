"""The activation norm, by hand, and its independence of batching."""

from __future__ import annotations

import pytest
import torch

from neuroal.statistics import InputNorm


def test_norm_by_hand() -> None:
    """Two sequences of two tokens: s = mean over sequences of the sum over tokens of squares."""
    gathered = InputNorm()
    gathered.update(torch.tensor([[[1.0, 0.0], [1.0, 2.0]], [[3.0, 0.0], [1.0, 0.0]]]))
    # feature 0: (1 + 1 + 9 + 1) / 2 = 6; feature 1: (0 + 4 + 0 + 0) / 2 = 2
    assert gathered.norm.tolist() == pytest.approx([6**0.5, 2**0.5], rel=1e-6)
    assert gathered.sequences == 2


def test_batching_changes_no_bit() -> None:
    inputs = torch.randn(6, 9, 5)
    together, alone = InputNorm(), InputNorm()
    together.update(inputs)
    for sequence in inputs:
        alone.update(sequence)
    assert torch.equal(together.norm, alone.norm)


def test_half_precision_is_summed_in_float32() -> None:
    gathered = InputNorm()
    gathered.update(torch.full((1, 4096, 1), 300.0, dtype=torch.float16))  # 300² * 4096 overflows float16
    assert gathered.norm.dtype == torch.float32
    assert gathered.norm.item() == pytest.approx(300 * 64)


def test_nothing_gathered_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="No input"):
        _ = InputNorm().norm
