"""NeuroAL beyond the reference: rows of SparseGPT, mixed patterns, and means that are restored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.errors import UserError
from tests.topups.helpers import allocated, asked_by_row, zeros_by_row


@pytest.mark.parametrize("step", ["row", "both"])
def test_rows_of_sparsegpt_are_an_extension_and_lose_their_exact_counts(
    model: LlamaForCausalLM, tokens: torch.Tensor, step: str
) -> None:
    found = allocated(model, tokens, pruner="sparsegpt", step=step, sparsity=0.5, lambdas=(0.2,))
    assert sum("is an extension" in notice for notice in found.notices) == 1
    asked = asked_by_row(model, found.allocation)
    neuroal.prune(model, tokens, found.allocation)
    assert zeros_by_row(model, found.allocation) == asked
    assert any(len(set(counts)) > 1 for counts in asked.values())


def test_blocks_of_sparsegpt_are_not_an_extension(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    assert allocated(model, tokens, pruner="sparsegpt", step="block", sparsity=0.5, lambdas=(0.2,)).notices == []


# --- patterns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pruner", ["wanda", "sparsegpt"])
def test_a_pattern_becomes_a_mixed_one(model: LlamaForCausalLM, tokens: torch.Tensor, pruner: str) -> None:
    """2:4 with lambda 0.25 over three blocks: 1, 2 and 3 of every 4 weights are lost; together half."""
    found = allocated(model, tokens, pruner=pruner, step="block", pattern="2:4", sparsity=0.5, lambdas=(0.25,))
    assert found.by_block() == [0.25, 0.5, 0.75] and found.notices == []
    report = neuroal.prune(model, tokens, found.allocation)
    for path in found.allocation.sparsity:
        zeros = model.get_submodule(path).weight == 0
        assert (zeros.reshape(-1, 4).sum(1) == 1 + int(path.split(".")[2])).all(), path
    assert report.overall == pytest.approx(0.5)


def test_the_pattern_decides_the_sparsity_and_says_so(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    found = allocated(model, tokens, top_up="uniform", pattern="1:4", sparsity=0.6)
    assert found.allocation.target == 0.75 and found.by_block() == [0.75] * 3
    assert found.notices == ["The pattern 1:4 fixes the sparsity at 75.0%; the ratio 60.0% is not used."]


@pytest.mark.parametrize("step", ["row", "both"])
def test_rows_cannot_vary_within_a_pattern(model: LlamaForCausalLM, tokens: torch.Tensor, step: str) -> None:
    with pytest.raises(UserError, match="choose the step 'block', or no pattern"):
        neuroal.iter_allocate(model, tokens, step=step, pattern="2:4", sparsity=0.5)


# --- the mean -------------------------------------------------------------------------------------------------------

STEEP = {"sparsity": 0.9, "lambdas": (0.25,)}


def test_clipped_blocks_move_the_mean_and_are_told(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """0.65, 0.9 and 1.15, of which the last becomes 0.99: a mean of 2.54 / 3."""
    found = allocated(model, tokens, step="block", **STEEP)
    assert found.by_block() == pytest.approx([0.65, 0.9, 0.99])
    (notice,) = found.notices
    assert "1 block ratios" in notice and "84.7% instead of 90.0%" in notice


def test_the_mean_of_blocks_is_restored_where_it_is_asked_for(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """A shift by 0.08: 0.73 + 0.98 + 0.99 = 2.7."""
    found = allocated(model, tokens, step="block", renormalise=True, **STEEP)
    assert found.by_block() == pytest.approx([0.73, 0.98, 0.99]) and found.notices == []


@pytest.mark.parametrize("step", ["row", "both"])
def test_the_mean_of_rows_is_restored_where_it_is_asked_for(
    model: LlamaForCausalLM, tokens: torch.Tensor, step: str
) -> None:
    plain = allocated(model, tokens, step=step, **STEEP)
    assert any("row ratios were clipped" in notice for notice in plain.notices)
    assert abs(plain.mean(model) - 0.9) > 1e-3
    found = allocated(model, tokens, step=step, renormalise=True, **STEEP)
    assert found.mean(model) == pytest.approx(0.9, abs=1e-9) and found.notices == []
    assert all(np.min(r) >= 0.01 and np.max(r) <= 0.99 for r in found.allocation.sparsity.values())


def test_restoring_changes_nothing_where_nothing_was_clipped(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    settings = {"step": "both", "sparsity": 0.5, "lambdas": (0.02, 0.1)}
    plain = allocated(model, tokens, **settings).allocation
    restored = allocated(model, tokens, renormalise=True, **settings).allocation
    assert all(np.array_equal(restored.sparsity[path], r) for path, r in plain.sparsity.items())
