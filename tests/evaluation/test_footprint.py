"""Bytes and counts against plain loops over the tensors; offloaded models need one tensor at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from neuroal.api import drain
from neuroal.blocks import DecoderStack
from neuroal.errors import UserError
from neuroal.evaluation.encoding import LEVEL, encoded
from neuroal.evaluation.footprint import Footprint, group_count, iter_footprint, resident_bytes
from neuroal.residence import is_offloaded, read_weight, write_weight
from neuroal.twin import sparse_twin
from tests.offloaded import WAYS, all_on_disk
from tests.toys import random_llama


def _halved(model: nn.Module, of: int = 2) -> nn.Module:
    """A twin that keeps the entries of every linear whose number (row-major, as stored) is a multiple of ``of``."""
    paths = [linear.path for linear in DecoderStack(model).all_linears()]
    twin = sparse_twin(model, paths)
    for path in paths:
        weight = read_weight(model, path).clone()
        kept = torch.arange(weight.numel()).reshape(weight.shape) % of == 0
        with torch.no_grad():
            write_weight(twin, path, weight * kept + 0.0)
    return twin


def _footprint(dense: nn.Module, pruned: nn.Module) -> Footprint:
    return drain(iter_footprint(dense, DecoderStack(pruned)))


def _zstd(tensor: torch.Tensor) -> int:
    return len(zstandard.compress(tensor.detach().contiguous().numpy().tobytes(), LEVEL))


def test_equal_to_a_plain_loop(model: LlamaForCausalLM) -> None:
    twin, found = _halved(model, 3), {"bitmask": 0, "bitmask_zstd": 0, "zstd": 0, "dense_zstd": 0, "nonzeros": 0}
    for before, after in zip(model.parameters(), twin.parameters(), strict=True):
        nonzeros = sum(x != 0 for x in after.double().flatten().tolist())
        code = encoded(after)
        found["nonzeros"] += nonzeros
        found["bitmask"] += min(4 * after.numel(), -(-after.numel() // 8) + 4 * nonzeros)
        found["bitmask_zstd"] += min(_zstd(after), _zstd(code.mask) + _zstd(code.values))
        found["zstd"] += _zstd(after)
        found["dense_zstd"] += _zstd(before)
    figures = _footprint(model, twin)
    assert {name: getattr(figures, name) for name in found} == found
    assert figures.dense == 4 * sum(p.numel() for p in model.parameters())


def test_by_hand(model: LlamaForCausalLM) -> None:
    """Blocks of q, o [16, 16], k, v [8, 16], gate, up [24, 16], down [16, 24]; two embeddings [64, 16] and 7 norms."""
    figures = _footprint(model, _halved(model))
    block = 2 * 16 * 16 + 2 * 8 * 16 + 3 * 24 * 16
    beside = 2 * 64 * 16 + 7 * 16
    assert (figures.weights, figures.prunable) == (3 * block + beside, 3 * block)
    assert (figures.nonzeros, figures.prunable_nonzeros) == (3 * block // 2 + beside, 3 * block // 2)
    assert figures.dense == 4 * (3 * block + beside)
    assert figures.bitmask == 3 * (block // 8 + 4 * block // 2) + 4 * beside
    assert (figures.pruned_linears, figures.two_four) == (21, 21)
    assert figures.largest == "model.layers.0.mlp.gate_proj"


def test_nothing_pruned_costs_what_the_dense_model_does(model: LlamaForCausalLM) -> None:
    figures = _footprint(model, model)
    assert figures.bitmask == figures.dense
    assert figures.bitmask_zstd == figures.zstd == figures.dense_zstd
    assert (figures.pruned_linears, figures.two_four, figures.largest) == (0, 0, "")


def test_only_what_is_in_the_pattern_is_said_to_be(model: LlamaForCausalLM) -> None:
    twin = _halved(model)
    twin.model.layers[1].mlp.down_proj.weight[5, 8:11] = 1.0
    for b in range(3):
        twin.model.layers[b].mlp.gate_proj.weight[0, :3] = 1.0
        twin.model.layers[b].mlp.up_proj.weight[0, :3] = 1.0
    figures = _footprint(model, twin)
    assert (figures.pruned_linears, figures.two_four) == (21, 14)
    assert figures.largest == "model.layers.0.mlp.down_proj"


def test_the_pattern_is_along_the_inputs_of_a_transposed_weight() -> None:
    dense = GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=16, n_embd=8, n_layer=1, n_head=2)).eval()
    dense.requires_grad_(False)
    twin = _halved(dense, 1)
    weight = twin.transformer.h[0].mlp.c_fc.weight  # [in, out]
    weight[::2] = 0
    assert _footprint(dense, twin).two_four == 1
    weight.copy_(dense.transformer.h[0].mlp.c_fc.weight)
    weight[:, ::2] = 0
    figures = _footprint(dense, twin)
    assert (figures.pruned_linears, figures.two_four) == (1, 0)


def test_tied_embeddings_count_once() -> None:
    tied, apart = (random_llama(tie_word_embeddings=yes) for yes in (True, False))
    figures = [_footprint(m, _halved(m)).weights for m in (tied, apart)]
    assert figures[1] - figures[0] == 64 * 16


@pytest.mark.parametrize("way", WAYS)
def test_offloaded_models_have_the_same_footprint(way: str, model: LlamaForCausalLM, tmp_path: Path) -> None:
    offloaded = WAYS[way](tmp_path)
    assert is_offloaded(offloaded)
    assert _footprint(offloaded, _halved(offloaded, 3)) == _footprint(model, _halved(model, 3))


def test_tied_embeddings_on_disk_count_once_after_a_pass_too(
    tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tied = random_llama(tie_word_embeddings=True)
    expected = _footprint(tied, _halved(tied))
    monkeypatch.setattr("tests.offloaded.random_llama", lambda: tied)
    offloaded = all_on_disk(tmp_path)
    assert _footprint(offloaded, _halved(offloaded)) == expected
    offloaded(tokens)  # what is loaded and freed is another object then
    assert _footprint(offloaded, _halved(offloaded)) == expected


def test_one_tensor_at_a_time(model: LlamaForCausalLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offloaded = all_on_disk(tmp_path)
    twin = _halved(offloaded)

    def no_pass(*_: Any, **__: Any) -> None:
        raise AssertionError("a whole module was loaded")

    stack = DecoderStack(twin)
    monkeypatch.setattr("accelerate.hooks.AlignDevicesHook.pre_forward", no_pass)
    assert drain(iter_footprint(offloaded, stack)).prunable == _footprint(model, _halved(model)).prunable
    assert all(p.device.type == "meta" for p in [*offloaded.parameters(), *twin.parameters()])


def test_every_group_is_told(model: LlamaForCausalLM) -> None:
    groups = 1 + 3 + 1 + 1  # embedding, blocks, norm, head
    assert list(iter_footprint(model, DecoderStack(_halved(model)))) == [(n, groups) for n in range(1, groups + 1)]
    assert group_count(model, "model.layers") == groups


def test_a_higher_level_is_passed_on(model: LlamaForCausalLM) -> None:
    twin = _halved(model)
    figures = [drain(iter_footprint(model, DecoderStack(twin), level)) for level in (1, 12)]
    assert figures[1].zstd < figures[0].zstd
    assert figures[1].bitmask == figures[0].bitmask


def test_another_model_is_refused(model: LlamaForCausalLM) -> None:
    for other in (random_llama(intermediate_size=32), random_llama(num_hidden_layers=2)):
        with pytest.raises(UserError, match="not a pruned copy"):
            _footprint(model, other)


def test_a_model_in_another_precision_is_measured_as_it_is(model: LlamaForCausalLM) -> None:
    figures = _footprint(model, random_llama().to(torch.bfloat16))
    assert figures.bitmask * 2 == figures.dense


def test_the_memory_of_models_that_share_counts_once(model: LlamaForCausalLM, tmp_path: Path) -> None:
    own = 4 * sum(linear.weight.numel() for linear in DecoderStack(model).all_linears())
    assert resident_bytes(model, _halved(model)) - resident_bytes(model) == own
    buffers = sum(b.nbytes for b in model.buffers())
    assert resident_bytes(model) == 4 * sum(p.numel() for p in model.parameters()) + buffers
    assert resident_bytes(all_on_disk(tmp_path)) == buffers
