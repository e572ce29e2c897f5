"""Models whose weights are kept elsewhere: the same results, nothing moved twice, nothing written over."""

from __future__ import annotations

import copy
import gc
import hashlib
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, LlamaForCausalLM, PreTrainedModel

import neuroal
from neuroal.blocks import DecoderStack
from neuroal.errors import UserError
from neuroal.linears import find_linears
from neuroal.models.cache import data_path
from neuroal.residence import _keepers, execution_device, is_offloaded, read_weight, resident
from neuroal.runs.events import LambdaChosen, SearchStarted
from neuroal.runs.masks_file import apply_masks, save_masks
from neuroal.statistics import InputNorm
from neuroal.twin import skeleton, sparse_twin
from tests.offloaded import WAYS, Spy, all_in_memory, all_on_disk, blocks_on_disk
from tests.toys import random_llama

LAMBDAS = (0.05, 0.1)
METHODS = {
    "wanda": {"lambdas": LAMBDAS},
    "sparsegpt": {"pruner": "sparsegpt", "lambdas": LAMBDAS},
    "alphapruning": {"top_up": "alphapruning"},
    "owl": {"top_up": "owl"},
    "dsnot": {"top_up": "dsnot"},
    "reconstruct": {"top_up": "uniform", "reconstruct": True},
}


@pytest.fixture(params=WAYS)
def offloaded(request: pytest.FixtureRequest, tmp_path: Path) -> PreTrainedModel:
    """The model of the fixture ``model``, offloaded."""
    return WAYS[request.param](tmp_path)


def _paths(model: nn.Module) -> list[str]:
    return [linear.path for linear in DecoderStack(model).all_linears()]


def _weights(model: nn.Module, paths: Iterable[str]) -> list[torch.Tensor]:
    return [read_weight(model, path).clone() for path in paths]


def _same(mine: Iterable[torch.Tensor], theirs: Iterable[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def _places(model: nn.Module) -> list[tuple[str, Any]]:
    """What must not change in the modules of somebody's model: hooks, and where weights are."""
    hooks = [(name, id(getattr(m, "_hf_hook", None))) for name, m in model.named_modules()]
    switched = [(part, hook.offload) for part, hook in _keepers(model)]
    return [*hooks, *switched, *((name, p.device) for name, p in model.named_parameters())]


@pytest.mark.parametrize("method", METHODS)
def test_everything_equals_the_ordinary_model(
    model: LlamaForCausalLM, offloaded: PreTrainedModel, tokens: torch.Tensor, method: str
) -> None:
    """Search, twin, and pruning in place, to the bit."""
    settings = {"sparsity": 0.5, **METHODS[method]}
    ours, theirs = (neuroal.allocate(m, tokens, **settings) for m in (model, offloaded))
    assert (ours.block_scores, ours.row_scores) == (theirs.block_scores, theirs.row_scores)
    assert (ours.block_lambda, ours.row_lambda) == (theirs.block_lambda, theirs.row_lambda)
    assert all(np.array_equal(ratio, theirs.sparsity[path]) for path, ratio in ours.sparsity.items())
    paths, dense = _paths(model), neuroal.perplexity(model, tokens)
    before = _weights(offloaded, paths)
    twin = sparse_twin(offloaded, paths)
    report = neuroal.prune(twin, tokens, theirs)
    assert _same(_weights(offloaded, paths), before), "the dense model is never written to"
    assert neuroal.perplexity(offloaded, tokens) == dense
    assert neuroal.prune(model, tokens, ours) == report == neuroal.prune(offloaded, tokens, theirs)
    for pruned in (twin, offloaded):
        assert _same(_weights(pruned, paths), _weights(model, paths))
        assert torch.equal(pruned(tokens).logits, model(tokens).logits)
        assert neuroal.perplexity(pruned, tokens) == neuroal.perplexity(model, tokens)


def test_transposed_weights(tokens: torch.Tensor) -> None:
    """Conv1D stores [in, out]."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(GPT2Config(n_embd=16, n_layer=2, n_head=4, vocab_size=64)).eval()
    offloaded = AutoModelForCausalLM.from_config(model.config).eval()
    offloaded.load_state_dict(model.state_dict())
    cpu_offload(offloaded, execution_device="cpu")
    ours, theirs = (neuroal.allocate(m, tokens, sparsity=0.5, lambdas=LAMBDAS) for m in (model, offloaded))
    assert ours.row_scores == theirs.row_scores
    assert neuroal.prune(model, tokens, ours) == neuroal.prune(offloaded, tokens, theirs)
    assert torch.equal(model(tokens).logits, offloaded(tokens).logits)


def test_the_model_that_is_searched_is_left_as_it_was(offloaded: PreTrainedModel, tokens: torch.Tensor) -> None:
    before = _places(offloaded)
    allocation = neuroal.allocate(offloaded, tokens, sparsity=0.5, lambdas=LAMBDAS)
    neuroal.prune(sparse_twin(offloaded, _paths(offloaded)), tokens, allocation)
    neuroal.perplexity(offloaded, tokens)
    assert _places(offloaded) == before


def test_the_checkpoint_is_not_written_to(tmp_path: Path, tokens: torch.Tensor) -> None:
    """In place as far as a checkpoint allows: the model is pruned, its files are not."""
    offloaded, paths = blocks_on_disk(tmp_path), _paths(random_llama())
    files = {f: hashlib.sha256(f.read_bytes()).digest() for f in (tmp_path / "checkpoint").iterdir()}
    made_before = skeleton(offloaded)
    neuroal.prune(offloaded, tokens, neuroal.allocate(offloaded, tokens, top_up="uniform", sparsity=0.5))
    assert {f: hashlib.sha256(f.read_bytes()).digest() for f in (tmp_path / "checkpoint").iterdir()} == files
    assert all(0.4 < float((w == 0).float().mean()) < 0.6 for w in _weights(offloaded, paths))
    assert _same(_weights(made_before, paths), _weights(offloaded, paths)), "skeletons share the weights"
    offloaded.save_pretrained(tmp_path / "pruned")
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")
    assert torch.equal(saved(tokens).logits, offloaded(tokens).logits)


def test_what_a_twin_owns_is_on_disk_for_as_long_as_it_lives(offloaded: PreTrainedModel, tokens: torch.Tensor) -> None:
    allocation = neuroal.allocate(offloaded, tokens, top_up="uniform", sparsity=0.5)
    twin = sparse_twin(offloaded, _paths(offloaded))
    assert not (data_path() / "offload").exists(), "nothing is copied that is not pruned"
    neuroal.prune(twin, tokens, allocation)
    (folder,) = (data_path() / "offload").iterdir()
    assert sum(f.stat().st_size for f in folder.iterdir()) > sum(p.numel() * 4 for p in _weights(twin, _paths(twin)))
    second = sparse_twin(twin, _paths(twin))
    expected = twin(tokens).logits
    del twin
    gc.collect()
    assert torch.equal(second(tokens).logits, expected)
    del second
    gc.collect()
    assert not list((data_path() / "offload").iterdir())


def test_pruned_weights_that_are_gone_are_a_sentence(tmp_path: Path, tokens: torch.Tensor) -> None:
    offloaded = blocks_on_disk(tmp_path)
    neuroal.prune(offloaded, tokens, neuroal.allocate(offloaded, tokens, top_up="uniform", sparsity=0.5))
    for file in (data_path() / "offload").rglob("*.safetensors"):
        file.unlink()
    with pytest.raises(UserError, match="prune again"):
        offloaded(tokens)


def test_a_full_disk_is_a_sentence(tmp_path: Path, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    offloaded = blocks_on_disk(tmp_path)
    allocation = neuroal.allocate(offloaded, tokens, top_up="uniform", sparsity=0.5)
    monkeypatch.setattr("neuroal.overlay.save_file", full)
    with pytest.raises(UserError, match="make room"):
        neuroal.prune(offloaded, tokens, allocation)
    assert all(p.device.type == "meta" for p in offloaded.model.layers.parameters())


def test_a_block_is_loaded_once_and_freed(offloaded: PreTrainedModel) -> None:
    """Also where one ``with`` is inside another, and where the work inside fails."""
    stack = DecoderStack(offloaded)
    linear = stack.linears[1][0]
    assert linear.weight.device.type == "meta" and linear.weight.shape == (16, 16)
    with stack.resident(1):
        loaded = linear.module.weight
        with stack.resident(1):
            assert linear.module.weight is loaded and loaded.device.type == "cpu"
        assert linear.module.weight is loaded
        assert stack.linears[0][0].weight.device.type == "meta", "the others stay where they are"
    gone = weakref.ref(loaded)
    del loaded
    assert gone() is None and linear.weight.device.type == "meta"
    with pytest.raises(ZeroDivisionError), stack.resident(1):
        1 / 0  # noqa: B018
    assert linear.weight.device.type == "meta"


def test_an_ordinary_model_is_not_touched(model: LlamaForCausalLM) -> None:
    stack = DecoderStack(model)
    assert not is_offloaded(model)
    with stack.resident(0):
        assert all(a is b for a, b in zip(stack.model.parameters(), model.parameters(), strict=True))


def test_each_block_is_moved_once_for_a_step_and_once_for_pruning(
    tmp_path: Path, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never are weights of two blocks there at once."""
    offloaded, spy = blocks_on_disk(tmp_path), Spy(monkeypatch)
    steps = 0
    for event in neuroal.iter_allocate(offloaded, tokens, sparsity=0.5, lambdas=LAMBDAS):
        if isinstance(event, SearchStarted):
            spy.since()
        if isinstance(event, LambdaChosen):
            assert spy.since() == {1}, "the candidates of a step go side by side"
            steps += 1
    assert steps == 2
    allocation = neuroal.allocate(offloaded, tokens, pruner="magnitude", top_up="alphapruning", sparsity=0.5)
    assert spy.since() == {1}, "without data there is no pass through the model"
    neuroal.prune(offloaded, tokens, allocation)
    assert spy.since() == {1}
    assert spy.peak == 1


def test_held_over_several_passes_a_block_is_moved_once(
    tmp_path: Path, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, spy = DecoderStack(blocks_on_disk(tmp_path)), Spy(monkeypatch)
    captured = stack.capture(tokens)
    spy.since()
    for b in range(len(stack)):
        with stack.resident(b):
            for _ in range(3):
                stack.gather(b, captured.hidden, captured, InputNorm, outputs=False)
            stack.replay(b, captured.hidden, captured)
    assert spy.since() == {1}


def test_where_inputs_go(model: LlamaForCausalLM, tmp_path: Path) -> None:
    assert execution_device(model) == execution_device(all_on_disk(tmp_path)) == torch.device("cpu")


def test_two_models_answer_at_once(tmp_path: Path, tokens: torch.Tensor) -> None:
    """A skeleton's hooks are its own: what one of them loads and frees is not another's."""
    offloaded, settings = all_on_disk(tmp_path), {"max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
    expected = random_llama().generate(tokens, **settings)
    stack = DecoderStack(offloaded)
    with stack.resident(0):
        assert torch.equal(skeleton(offloaded).generate(tokens, **settings), expected)
        assert stack.linears[0][0].weight.device.type == "cpu"


class Logged(nn.Linear):
    """The very same product, written differently."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.t()


class Doubled(nn.Linear):
    """Another product."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize("way", [{}, {"preload_module_classes": ["LlamaDecoderLayer"]}])
def test_derived_classes_are_tried_with_their_weights(way: dict[str, Any]) -> None:
    model = random_llama()
    for block in model.model.layers:
        block.mlp.up_proj.__class__ = Logged
        block.mlp.gate_proj.__class__ = Doubled
    plain = [linear.name for linear in DecoderStack(model).linears[0]]
    cpu_offload(model, execution_device="cpu", **way)
    assert [linear.name for linear in DecoderStack(model).linears[0]] == plain
    assert "mlp.up_proj" in plain and "mlp.gate_proj" not in plain
    assert all(p.device.type == "meta" for p in model.parameters())


def test_weights_that_nobody_keeps_are_a_sentence(tokens: torch.Tensor) -> None:
    empty = random_llama().to("meta")
    assert len(find_linears("", empty.model.layers[0])) == 7
    with pytest.raises(UserError, match="never loaded"), resident(empty.model.layers[0]):
        pass


@pytest.mark.parametrize("pruner", ["wanda", "sparsegpt"])
def test_a_pruned_twin_comes_back_from_its_masks(
    offloaded: PreTrainedModel, tokens: torch.Tensor, tmp_path: Path, pruner: str
) -> None:
    paths, file = _paths(offloaded), tmp_path / "masks.safetensors"
    twin = sparse_twin(offloaded, paths)
    neuroal.prune(twin, tokens, neuroal.allocate(offloaded, tokens, pruner=pruner, top_up="uniform", sparsity=0.5))
    save_masks(file, twin, offloaded, paths)
    again = sparse_twin(offloaded, paths)
    apply_masks(file, again, paths)
    assert _same(_weights(again, paths), _weights(twin, paths))


def test_a_copy_of_a_pruned_model_keeps_what_is_written_to_it(tokens: torch.Tensor, tmp_path: Path) -> None:
    offloaded = all_in_memory(tmp_path)
    twin = sparse_twin(offloaded, _paths(offloaded))
    neuroal.prune(twin, tokens, neuroal.allocate(offloaded, tokens, top_up="uniform", sparsity=0.3))
    paths, copied = _paths(twin), copy.deepcopy(twin)
    before = _weights(twin, paths)
    assert _same(_weights(copied, paths), before)
    neuroal.prune(copied, tokens, neuroal.allocate(twin, tokens, top_up="uniform", sparsity=0.7))
    assert _same(_weights(twin, paths), before) and not _same(_weights(copied, paths), before)
