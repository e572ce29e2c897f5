"""Exclusions: what a glob may be compared with, and what is said where it matches nothing or everything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.blocks import DecoderStack
from neuroal.errors import UserError
from neuroal.excluding import included
from neuroal.runs.events import Notice


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        ((), 21),
        (("model.layers.1.mlp.up_proj",), 20),  # a path
        (("mlp.up_proj",), 18),  # a name within the block
        (("*.up_proj",), 18),
        (("mlp",), 12),  # a module
        (("self_attn.[qk]_proj",), 15),
        (("model.layers.2",), 14),  # a block
        (("2",), 14),  # its number
        (("[01]",), 7),
        (("0", "*.down_proj"), 12),
        (("0", "model.layers.0.mlp"), 14),  # one within the other
    ],
)
def test_a_glob_leaves_out_what_it_matches(model: LlamaForCausalLM, globs: tuple[str, ...], left: int) -> None:
    stack = DecoderStack(model)
    kept = included(stack, globs)
    assert len(kept) == left
    assert [linear for linear in stack.all_linears() if linear in kept] == list(kept), "in the order of the model"


@pytest.mark.parametrize("glob", ["3", "up_proj", "MLP", "transformer.h.0", "model.layers.1.", ""])
def test_a_glob_that_matches_nothing_says_what_exists(model: LlamaForCausalLM, glob: str) -> None:
    with pytest.raises(UserError) as caught:
        included(DecoderStack(model), ("0", glob))
    message = str(caught.value)
    assert repr(glob) in message and message.endswith(".") and "\n" not in message
    for known in ("blocks 0 to 2", "self_attn.q_proj", "mlp.down_proj", "model.layers.0.self_attn.q_proj"):
        assert known in message


@pytest.mark.parametrize("globs", [("*",), ("0", "1", "2"), ("mlp", "self_attn"), ("model",)])
def test_something_must_be_left_to_prune(model: LlamaForCausalLM, globs: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="nothing to prune"):
        included(DecoderStack(model), globs)


def test_what_is_excluded_stays_bit_identical_and_is_told(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    before = {name: p.clone() for name, p in model.named_parameters()}
    events = neuroal.iter_allocate(model, tokens, top_up="uniform", sparsity=0.5, exclude=("0", "*.v_proj"))
    said = [event.message for event in events if isinstance(event, Notice)]
    assert said == ["9 linears are excluded and stay dense; the target holds for the others."]
    allocation = neuroal.allocate(model, tokens, top_up="uniform", sparsity=0.5, exclude=("0", "*.v_proj"))
    report = neuroal.prune(model, tokens, allocation)
    for name, weight in model.named_parameters():
        path = name.removesuffix(".weight")
        assert torch.equal(weight, before[name]) == (path not in allocation.sparsity), name
        assert report.achieved.get(path, 0.0) == (0.5 if path in allocation.sparsity else 0.0), name


@pytest.mark.parametrize("exclude", ["0", "model.layers.0.mlp"])
@pytest.mark.parametrize(
    "settings",
    [
        {"top_up": "neuroal", "step": "block", "lambdas": (0.2,)},
        {"top_up": "neuroal", "step": "both", "lambdas": (0.2,)},
        {"top_up": "owl", "owl_m": 2.0, "owl_lambda": 0.2},
        {"top_up": "alphapruning"},
    ],
    ids=lambda s: f"{s['top_up']}-{s.get('step', '')}",
)
def test_the_target_holds_for_the_others(
    model: LlamaForCausalLM, tokens: torch.Tensor, settings: dict[str, object], exclude: str
) -> None:
    """As the notice says, also where the blocks that are left have other ratios, or other sizes."""
    allocation = neuroal.allocate(model, tokens, sparsity=0.5, exclude=exclude, **settings)
    sizes = [model.get_submodule(path).weight.numel() for path in allocation.sparsity]
    mean = np.average([float(np.mean(r)) for r in allocation.sparsity.values()], weights=sizes)
    assert mean == pytest.approx(0.5, abs=1e-6)
