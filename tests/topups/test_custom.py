"""Custom: a person's own ratios, one for each block."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

import neuroal
from neuroal.errors import UserError
from tests.topups.helpers import allocated


def test_each_block_gets_its_ratio_and_their_mean_is_the_target(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    found = allocated(model, tokens, top_up="custom", block_sparsity=[0.25, 0.0, 0.5], sparsity=0.6)
    assert found.by_block() == [0.25, 0.0, 0.5]
    assert found.allocation.target == pytest.approx(0.25)
    assert found.notices == ["Your ratios prune 25.0% of the weights; they take the place of the sparsity ratio."]
    report = neuroal.prune(model, tokens, found.allocation)
    assert report.overall == pytest.approx(0.25)


def test_ratios_on_target_need_no_notice(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    assert allocated(model, tokens, top_up="custom", block_sparsity=(0.5, 0.6, 0.7), sparsity=0.6).notices == []


def test_their_mean_is_weighted_by_what_is_pruned(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    found = allocated(model, tokens, top_up="custom", block_sparsity=(0.9, 0.4, 0.6), exclude="0", sparsity=0.5)
    assert found.allocation.target == pytest.approx(0.5) and len(found.notices) == 1


@pytest.mark.parametrize("ratios", [(0.5,), (0.5,) * 4])
def test_a_list_of_another_length_is_refused(
    model: LlamaForCausalLM, tokens: torch.Tensor, ratios: tuple[float, ...]
) -> None:
    with pytest.raises(UserError, match=f"has {len(ratios)} ratios, but this model has 3 blocks"):
        allocated(model, tokens, top_up="custom", block_sparsity=ratios)


def test_without_a_list_it_is_refused_at_the_call(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    with pytest.raises(UserError, match="needs your ratios"):
        neuroal.iter_allocate(model, tokens, top_up="custom")


def test_a_pattern_rounds_them_and_keeps_the_total(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """1.2, 2 and 2.8 of each group of four: together 6."""
    found = allocated(model, tokens, top_up="custom", block_sparsity=(0.3, 0.5, 0.7), pattern="2:4", sparsity=0.5)
    assert found.by_block() == [0.25, 0.5, 0.75]


def test_custom_ratios_of_excluded_blocks_alone_are_refused(model: LlamaForCausalLM, tokens: Tensor) -> None:
    with pytest.raises(UserError, match="prune nothing"):
        neuroal.allocate(model, tokens, top_up="custom", block_sparsity=(0.5, 0, 0), exclude=("0",))
