"""Random tiny models of many families, and what is known of each by hand.

One row says: the configuration, the consumer groups of each block in order of execution, and for every linear whose
rows are not the columns of its consumer, which of the consumer's heads each chunk of its rows serves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM

BLOCKS = 3
VOCABULARY = 64
Groups = tuple[str, ...]  # one string for each group, names with blanks between


@dataclass(frozen=True)
class Family:
    """One family in one shape.

    Attributes:
        config: name of the configuration class; settings: its arguments.
        groups: of every block, or of each block where they differ.
        layout: {linear: heads served by each chunk of its rows}, such as "0 1 01 01" for two query heads that share
            one key and one value head.
        undriven: linears whose rows keep their block's ratio because no layout fits.
        left: parameters of two dimensions or more that are no linears.
        unread: linears that are never called, so in no group.
    """

    config: str
    settings: dict[str, Any]
    groups: Groups | tuple[Groups, ...]
    layout: dict[str, str] = field(default_factory=dict)
    undriven: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def build(self) -> nn.Module:
        """The model in evaluation mode, with weights so large that any mistake in a replay would show."""
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(getattr(transformers, self.config)(**self.settings)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() >= 2:
                    parameter.normal_(0, 0.25)
        return model

    def groups_of(self, b: int) -> list[list[str]]:
        """Names of the linears of each group of block ``b``."""
        groups = self.groups[b] if isinstance(self.groups[0], tuple) else self.groups
        return [group.split() for group in groups]


_SIZE = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": BLOCKS, "num_attention_heads": 4}
_BASE = {**_SIZE, "max_position_embeddings": 64}
_WIDE = {**_BASE, "intermediate_size": 24}
_SHARED = {**_WIDE, "num_key_value_heads": 2}
_GPT = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": BLOCKS, "n_head": 4, "n_positions": 64}
_MIXED = ["sliding_attention", "full_attention", "sliding_attention"]

_QKV = "self_attn.q_proj self_attn.k_proj self_attn.v_proj"
_ATTENTION = (_QKV, "self_attn.o_proj")
_GATED = (*_ATTENTION, "mlp.gate_proj mlp.up_proj", "mlp.down_proj")
_OUT_FC = (_QKV, "self_attn.out_proj", "fc1", "fc2")
_DENSE = ("mlp.dense_h_to_4h", "mlp.dense_4h_to_h")

# Keys and values of two heads that four query heads share.
_TWO_SHARED = {"self_attn.k_proj": "01 23", "self_attn.v_proj": "01 23"}
_CONCATENATED = "0 1 2 3 0 1 2 3 0 1 2 3"
_INTERLEAVED = "0 0 0 1 1 1 2 2 2 3 3 3"
_HALVES = "0 0"

FAMILIES: dict[str, Family] = {
    "llama": Family("LlamaConfig", _SHARED, _GATED, _TWO_SHARED),
    "mistral": Family("MistralConfig", {**_SHARED, "sliding_window": 4}, _GATED, _TWO_SHARED),
    "qwen2": Family("Qwen2Config", _SHARED, _GATED, _TWO_SHARED),
    "qwen3": Family("Qwen3Config", {**_SHARED, "head_dim": 8}, _GATED, _TWO_SHARED),
    "phi": Family("PhiConfig", _WIDE, (_QKV, "self_attn.dense", "mlp.fc1", "mlp.fc2")),
    "phi3": Family(
        "Phi3Config",
        {**_SHARED, "pad_token_id": 0},
        ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"),
        {"self_attn.qkv_proj": "0 1 2 3 01 23 01 23", "mlp.gate_up_proj": _HALVES},
    ),
    "opt": Family("OPTConfig", {**_BASE, "ffn_dim": 24, "word_embed_proj_dim": 16}, _OUT_FC),
    "opt-350m": Family(
        "OPTConfig", {**_BASE, "ffn_dim": 24, "word_embed_proj_dim": 8, "do_layer_norm_before": False}, _OUT_FC
    ),
    "gpt2": Family(
        "GPT2Config",
        _GPT,
        ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
        {"attn.c_attn": _CONCATENATED},
    ),
    "gpt-neox": Family(
        "GPTNeoXConfig",
        _WIDE,
        ("attention.query_key_value", "attention.dense", *_DENSE),
        {"attention.query_key_value": _INTERLEAVED},
    ),
    "gpt-neox-sequential": Family(
        "GPTNeoXConfig",
        {**_WIDE, "use_parallel_residual": False},
        ("attention.query_key_value", "attention.dense", *_DENSE),
        {"attention.query_key_value": _INTERLEAVED},
    ),
    "gpt-j": Family(
        "GPTJConfig",
        {**_GPT, "rotary_dim": 2},
        ("attn.q_proj attn.k_proj attn.v_proj", "attn.out_proj", "mlp.fc_in", "mlp.fc_out"),
    ),
    "falcon-multi-query": Family(
        "FalconConfig",
        _SIZE,
        ("self_attention.query_key_value", "self_attention.dense", *_DENSE),
        {"self_attention.query_key_value": "0 1 2 3 0123 0123"},
    ),
    "falcon-new": Family(
        "FalconConfig",
        {**_SIZE, "num_kv_heads": 2, "new_decoder_architecture": True},
        ("self_attention.query_key_value", "self_attention.dense", *_DENSE),
        {"self_attention.query_key_value": "0 1 01 01 2 3 23 23"},
    ),
    "bloom": Family(
        "BloomConfig",
        {"vocab_size": VOCABULARY, "hidden_size": 16, "n_layer": BLOCKS, "n_head": 4},
        ("self_attention.query_key_value", "self_attention.dense", *_DENSE),
        {"self_attention.query_key_value": _INTERLEAVED},
    ),
    "gemma2": Family("Gemma2Config", {**_SHARED, "head_dim": 8, "sliding_window": 4}, _GATED, _TWO_SHARED),
    "gemma3": Family(
        "Gemma3TextConfig",
        {**_SHARED, "head_dim": 8, "sliding_window": 4, "layer_types": _MIXED},
        _GATED,
        _TWO_SHARED,
    ),
    "stablelm": Family("StableLmConfig", _SHARED, _GATED, _TWO_SHARED),
    "olmo2": Family("Olmo2Config", _SHARED, _GATED, _TWO_SHARED),
    "smollm3": Family("SmolLM3Config", {**_SHARED, "pad_token_id": 0}, _GATED, _TWO_SHARED),
    "granite": Family("GraniteConfig", _SHARED, _GATED, _TWO_SHARED),
    "cohere": Family("CohereConfig", {**_SHARED, "bos_token_id": 1, "eos_token_id": 2}, _GATED, _TWO_SHARED),
    "starcoder2": Family("Starcoder2Config", _SHARED, (*_ATTENTION, "mlp.c_fc", "mlp.c_proj"), _TWO_SHARED),
    "mixtral": Family(
        "MixtralConfig",
        {**_SHARED, "num_local_experts": 3},
        _ATTENTION,
        _TWO_SHARED,
        left=("mlp.gate.weight", "mlp.experts.gate_up_proj", "mlp.experts.down_proj"),
    ),
    "qwen2-moe": Family(
        "Qwen2MoeConfig",
        {
            **_SHARED,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 8,
            "shared_expert_intermediate_size": 12,
            "mlp_only_layers": [0],
        },
        (
            _GATED,
            *2
            * [
                (
                    *_ATTENTION,
                    "mlp.shared_expert.gate_proj mlp.shared_expert.up_proj",
                    "mlp.shared_expert.down_proj",
                    "mlp.shared_expert_gate",
                )
            ],
        ),
        _TWO_SHARED,
        undriven=("mlp.shared_expert_gate",),
        left=("mlp.gate.weight", "mlp.experts.gate_up_proj", "mlp.experts.down_proj"),
    ),
    # Not asked for by anyone yet; each has something that no other has.
    "gemma4-shared-keys": Family(  # later blocks read keys and values of earlier ones, and inputs of their own
        "Gemma4TextConfig",
        {
            **_SHARED,
            "vocab_size_per_layer_input": VOCABULARY,
            "hidden_size_per_layer_input": 4,
            "head_dim": 8,
            "global_head_dim": 8,
            "num_kv_shared_layers": 1,
            "sliding_window": 4,
            "layer_types": ["sliding_attention", "full_attention", "full_attention"],
        },
        (
            *2 * [(*_GATED, "per_layer_input_gate", "per_layer_projection")],
            (
                "self_attn.q_proj",
                "self_attn.o_proj",
                "mlp.gate_proj mlp.up_proj",
                "mlp.down_proj",
                "per_layer_input_gate",
                "per_layer_projection",
            ),
        ),
        _TWO_SHARED,
    ),
    "gpt-oss": Family(  # attention sinks, experts with biases
        "GptOssConfig",
        {**_SHARED, "head_dim": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4},
        _ATTENTION,
        _TWO_SHARED,
        left=(
            "mlp.router.weight",
            "mlp.experts.gate_up_proj",
            "mlp.experts.gate_up_proj_bias",
            "mlp.experts.down_proj",
            "mlp.experts.down_proj_bias",
        ),
    ),
    "glm4": Family(  # fused gate and up beside separate q, k, v
        "Glm4Config",
        {**_SHARED, "head_dim": 4, "pad_token_id": 0},
        (*_ATTENTION, "mlp.gate_up_proj", "mlp.down_proj"),
        {**_TWO_SHARED, "mlp.gate_up_proj": _HALVES},
    ),
    "mpt": Family(  # positional hidden states, blocks in "transformer.blocks"
        "MptConfig",
        {"vocab_size": VOCABULARY, "d_model": 16, "n_layers": BLOCKS, "n_heads": 4},
        ("attn.Wqkv", "attn.out_proj", "ffn.up_proj", "ffn.down_proj"),
        {"attn.Wqkv": _CONCATENATED},
    ),
    "gpt-bigcode": Family(  # multi-query, fused
        "GPTBigCodeConfig",
        _GPT,
        ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
        {"attn.c_attn": "0 1 2 3 0123 0123"},
    ),
    "codegen": Family(  # fused in four shards, each with its own q, v, k
        "CodeGenConfig",
        {**_GPT, "n_head": 8, "n_embd": 32, "rotary_dim": 2},
        ("attn.qkv_proj", "attn.out_proj", "mlp.fc_in", "mlp.fc_out"),
        {"attn.qkv_proj": "0 1 0 1 0 1 2 3 2 3 2 3 4 5 4 5 4 5 6 7 6 7 6 7"},
    ),
    "lfm2": Family(  # gated short convolutions between attention blocks
        "Lfm2Config",
        {**_SHARED, "block_auto_adjust_ff_dim": False, "layer_types": ["conv", "full_attention", "conv"]},
        (
            ("conv.in_proj", "conv.out_proj", "feed_forward.w1 feed_forward.w3", "feed_forward.w2"),
            (_QKV, "self_attn.out_proj", "feed_forward.w1 feed_forward.w3", "feed_forward.w2"),
            ("conv.in_proj", "conv.out_proj", "feed_forward.w1 feed_forward.w3", "feed_forward.w2"),
        ),
        {**_TWO_SHARED, "conv.in_proj": "0 0 0"},
        left=("conv.conv.weight",),
    ),
    "deepseek-v3": Family(  # low-rank queries, keys and values; keys and values of a head lie side by side
        "DeepseekV3Config",
        {
            **_WIDE,
            "num_key_value_heads": 4,
            "q_lora_rank": 8,
            "kv_lora_rank": 8,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4,
            "v_head_dim": 4,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "first_k_dense_replace": BLOCKS,
            "moe_intermediate_size": 8,
            "n_group": 2,
            "topk_group": 1,
        },
        (
            "self_attn.q_a_proj",
            "self_attn.q_b_proj",
            "self_attn.kv_a_proj_with_mqa",
            "self_attn.kv_b_proj",
            "self_attn.o_proj",
            "mlp.gate_proj mlp.up_proj",
            "mlp.down_proj",
        ),
        {"self_attn.kv_b_proj": "0 0 1 1 2 2 3 3"},
        undriven=("self_attn.q_b_proj", "self_attn.kv_a_proj_with_mqa"),
    ),
    "mamba": Family(  # no attention at all
        "MambaConfig",
        {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": BLOCKS},
        ("mixer.in_proj", "mixer.x_proj", "mixer.out_proj"),
        undriven=("mixer.in_proj", "mixer.x_proj"),
        left=("mixer.A_log", "mixer.conv1d.weight"),
        unread=("mixer.dt_proj",),
    ),
}
