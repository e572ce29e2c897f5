"""A model seen as a stack: discovery, replay equal to the full forward pass, groups, nothing left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaForCausalLM,
    OPTConfig,
    PhiConfig,
    Qwen3Config,
    T5Config,
    T5ForConditionalGeneration,
)

from neuroal.blocks import DecoderStack, find_blocks
from neuroal.errors import UserError
from neuroal.statistics import InputNorm

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64}
FAMILIES = [
    GPT2Config(n_embd=16, n_layer=2, n_head=4, vocab_size=64, n_positions=64),
    OPTConfig(**SMALL, ffn_dim=24, word_embed_proj_dim=16, max_position_embeddings=64),
    PhiConfig(**SMALL, intermediate_size=24, max_position_embeddings=64),
    GPTNeoXConfig(**SMALL, intermediate_size=24, max_position_embeddings=64),
    Qwen3Config(**SMALL, intermediate_size=24, num_key_value_heads=2, head_dim=4, max_position_embeddings=64),
    Gemma2Config(**SMALL, intermediate_size=24, num_key_value_heads=2, head_dim=4, sliding_window=4),
]


def _logits(stack: DecoderStack, tokens: torch.Tensor) -> list[torch.Tensor]:
    """Outputs of the last block by replaying all blocks one after the other."""
    captured = stack.capture(tokens)
    hidden = captured.hidden
    for b in range(len(stack)):
        hidden = stack.replay(b, hidden, captured)
    return hidden


@pytest.mark.parametrize("config", FAMILIES, ids=lambda c: c.model_type)
def test_replay_equals_the_full_forward_pass(config: Any, tokens: torch.Tensor) -> None:
    """Block by block on captured inputs; the families differ in masks, tuples, keywords, Conv1D, parallel attention."""
    dense = AutoModelForCausalLM.from_config(config).eval()
    seen: list[torch.Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    find_blocks(dense)[1][-1].register_forward_hook(keep)
    dense(tokens, use_cache=False)
    assert torch.allclose(torch.cat(_logits(DecoderStack(dense), tokens)), seen[0], atol=1e-5)


def test_micro_batches_of_unequal_size(
    model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three sequences at a time, then the one that is left."""
    whole = torch.cat(_logits(DecoderStack(model), tokens))
    monkeypatch.setattr("neuroal.blocks.MICRO_BATCH_TOKENS", 3 * tokens.shape[1])
    parts = _logits(DecoderStack(model), tokens)
    assert [part.shape[0] for part in parts] == [3, 1]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)


def test_groups_follow_the_order_of_execution(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    stack = DecoderStack(model)
    stack.capture(tokens)
    names = [[linear.name.rpartition(".")[2] for linear in group] for group in stack.groups[0]]
    assert names == [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]]
    assert len(stack.groups) == 3


def test_conv1d_is_seen_as_out_by_in() -> None:
    stack = DecoderStack(AutoModelForCausalLM.from_config(FAMILIES[0]))
    shapes = {linear.name: tuple(linear.weight.shape) for linear in stack.linears[0]}
    assert shapes == {"attn.c_attn": (48, 16), "attn.c_proj": (16, 16), "mlp.c_fc": (64, 16), "mlp.c_proj": (16, 64)}


def test_gathering_stops_before_the_last_group(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """The last linear of a dense block feeds nothing that is compared, so its product is not computed."""
    stack = DecoderStack(model)
    captured = stack.capture(tokens)
    calls = []
    stack.blocks[0].mlp.down_proj.register_forward_hook(lambda *_: calls.append(1))
    statistics, outputs = stack.gather(0, captured.hidden, captured, InputNorm, outputs=False)
    assert (len(statistics), outputs, calls) == (4, [], [])
    full, outputs = stack.gather(0, captured.hidden, captured, InputNorm)
    assert len(outputs) == 1 and calls == [1]
    assert all(torch.equal(a.norm, b.norm) for a, b in zip(statistics, full, strict=True))


def test_the_callers_modules_are_left_without_hooks(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    stack = DecoderStack(model)
    captured = stack.capture(tokens)
    stack.gather(0, captured.hidden, captured, InputNorm)
    for module in [*model.modules(), *stack.model.modules()]:
        assert not module._forward_pre_hooks and not module._forward_hooks


def test_models_that_are_not_decoders_are_refused() -> None:
    encoder = BertForMaskedLM(BertConfig(**SMALL, intermediate_size=24))
    both = T5ForConditionalGeneration(T5Config(d_model=16, d_ff=24, num_layers=2, num_heads=2, d_kv=8, vocab_size=64))
    for wrong in (encoder, both):
        with pytest.raises(UserError, match="not a causal language model"):
            DecoderStack(wrong)


def test_the_longest_list_serves_where_nothing_is_declared(model: LlamaForCausalLM) -> None:
    model._no_split_modules = None
    assert find_blocks(model)[0] == "model.layers"
