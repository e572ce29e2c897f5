"""Refitting in the final pruning: group after group, the same counts, less error, and said while it happens."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

import neuroal
from neuroal.blocks import DecoderStack
from neuroal.masks import prune_smallest
from neuroal.pruners import PRUNERS
from neuroal.reconstruction import reconstruct
from neuroal.runs.events import BlockPruned, StageStarted
from neuroal.statistics import Gathered, Gram, InputNorm

UNIFORM = {"top_up": "uniform", "sparsity": 0.5}


def _pruned(model: LlamaForCausalLM, tokens: Tensor, **settings: object) -> LlamaForCausalLM:
    twin = copy.deepcopy(model)
    neuroal.prune(twin, tokens, neuroal.allocate(model, tokens, **{**UNIFORM, **settings}))
    return twin


def _error(model: LlamaForCausalLM, twin: LlamaForCausalLM, tokens: Tensor) -> float:
    """Squared error of the last hidden states on the calibration text."""
    return float((model.model(tokens).last_hidden_state - twin.model(tokens).last_hidden_state).square().mean())


@pytest.mark.parametrize("pruner", PRUNERS.labels)
def test_refitting_keeps_the_counts_and_lowers_the_error(model: LlamaForCausalLM, tokens: Tensor, pruner: str) -> None:
    masked = _pruned(model, tokens, pruner=pruner)
    refitted = _pruned(model, tokens, pruner=pruner, reconstruct=True, continuations=0)
    for linear in DecoderStack(model).all_linears():
        zeros = [(twin.get_submodule(linear.path).weight == 0).sum() for twin in (masked, refitted)]
        assert zeros[0] == zeros[1], linear.path
    if pruner != "alps":  # it has solved for its weights already
        share = 1 if PRUNERS.get(pruner).moves_weights else 0.9
        assert _error(model, refitted, tokens) < share * _error(model, masked, tokens)


def test_the_first_group_by_hand(model: LlamaForCausalLM, tokens: Tensor) -> None:
    """q of block 0 reads the dense model's own embeddings, normed: Wanda's mask, then the least squares on them."""
    refitted = _pruned(model, tokens, reconstruct=True, continuations=0)
    block, statistics = model.model.layers[0], Gathered(Gram(), InputNorm())
    statistics.update(block.input_layernorm(model.model.embed_tokens(tokens)))
    weight = block.self_attn.q_proj.weight
    kept = ~prune_smallest(weight.abs() * statistics.norm, 8)
    expected = reconstruct(weight, kept, statistics)
    assert torch.allclose(refitted.model.layers[0].self_attn.q_proj.weight, expected, atol=1e-6)


def test_a_group_sees_the_refitted_ones_before_it(model: LlamaForCausalLM, tokens: Tensor) -> None:
    """Refitting o alone, on a model whose q, k and v are refitted already, gives the same o."""
    whole = _pruned(model, tokens, reconstruct=True, continuations=0)
    parts = copy.deepcopy(model)
    for name in ("q_proj", "k_proj", "v_proj"):
        path = f"model.layers.0.self_attn.{name}"
        parts.get_submodule(path).weight.copy_(whole.get_submodule(path).weight)
    only = {"model.layers.0.self_attn.o_proj": 0.5}
    options = {"reconstruct": True, "continuations": 0}
    neuroal.prune(parts, tokens, neuroal.Allocation("wanda", "uniform", None, 0.5, only, options=options))
    path = next(iter(only))
    assert torch.equal(parts.get_submodule(path).weight, whole.get_submodule(path).weight)


def test_alps_is_left_as_it_solved(model: LlamaForCausalLM, tokens: Tensor) -> None:
    """q of block 0 has the same inputs with and without refitting."""
    twins = [_pruned(model, tokens, pruner="alps", reconstruct=on, continuations=0) for on in (False, True)]
    first, second = (twin.model.layers[0].self_attn.q_proj.weight for twin in twins)
    assert torch.equal(first, second)


def test_the_model_says_that_it_writes(model: LlamaForCausalLM, tokens: Tensor) -> None:
    allocation = neuroal.allocate(model, tokens, **UNIFORM, reconstruct=True, continuations=2)
    events = list(neuroal.iter_prune(copy.deepcopy(model), tokens, allocation))
    assert isinstance(events[0], StageStarted) and "0 of 8 sequences" in events[0].message
    assert sum(isinstance(event, BlockPruned) for event in events) == 3


def test_more_text_makes_another_fit_of_the_same_counts(model: LlamaForCausalLM, tokens: Tensor) -> None:
    twins = [_pruned(model, tokens, reconstruct=True, continuations=n) for n in (0, 2, 2)]
    weights = [twin.model.layers[1].mlp.down_proj.weight for twin in twins]
    assert not torch.equal(weights[0], weights[1]) and torch.equal(weights[1], weights[2])
    assert len({int((weight == 0).sum()) for weight in weights}) == 1


def test_rows_of_their_own_ratios_keep_them(model: LlamaForCausalLM, tokens: Tensor) -> None:
    settings = {"top_up": "neuroal", "step": "both", "lambdas": (0.2,)}
    masked, refitted = (_pruned(model, tokens, **settings, reconstruct=on, continuations=0) for on in (False, True))
    for linear in DecoderStack(model).all_linears():
        rows = [(twin.get_submodule(linear.path).weight == 0).sum(1) for twin in (masked, refitted)]
        assert torch.equal(*rows), linear.path


def test_a_search_gathers_no_gram_matrix_for_a_later_refit(
    model: LlamaForCausalLM, tokens: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates = []
    monkeypatch.setattr(Gram, "update", lambda self, inputs: updates.append(inputs))
    neuroal.allocate(model, tokens, step="block", lambdas=(0.05,), reconstruct=True)
    assert not updates


def test_groups_that_are_all_excluded_cost_no_pass(
    model: LlamaForCausalLM, tokens: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"top_up": "uniform", "reconstruct": True, "continuations": 0, "exclude": ("0", "1", "mlp")}
    allocation = neuroal.allocate(model, tokens, **settings)
    passes, gather = [], DecoderStack.gather
    monkeypatch.setattr(DecoderStack, "gather", lambda *a, **k: passes.append(a[1]) or gather(*a, **k))
    neuroal.prune(model, tokens, allocation)
    assert passes == [2, 2]  # q, k and v; then o
