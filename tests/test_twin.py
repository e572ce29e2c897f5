"""Twins share what pruning does not touch, and nothing done to them reaches the dense model."""

from __future__ import annotations

import torch
from transformers import LlamaForCausalLM

from neuroal.twin import own_bytes, skeleton, sparse_twin

LINEAR = "model.layers.1.mlp.down_proj"


def test_a_skeleton_shares_every_tensor_and_no_module(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    twin = skeleton(model)
    for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
        assert mine is theirs
    assert not set(map(id, twin.modules())) & set(map(id, model.modules()))
    assert own_bytes(twin, model) == 0
    assert torch.equal(twin(tokens).logits, model(tokens).logits)


def test_hooks_on_a_skeleton_do_not_run_on_the_model(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    seen = []
    skeleton(model).get_submodule(LINEAR).register_forward_pre_hook(lambda *_: seen.append(1))
    model(tokens)
    assert not seen


def test_a_sparse_twin_owns_the_named_weights_only(model: LlamaForCausalLM) -> None:
    before = model.get_submodule(LINEAR).weight.clone()
    twin = sparse_twin(model, [LINEAR])
    twin.get_submodule(LINEAR).weight.zero_()
    assert torch.equal(model.get_submodule(LINEAR).weight, before)
    assert own_bytes(twin, model) == before.numel() * 4
    assert twin.model.embed_tokens.weight is model.model.embed_tokens.weight
