"""NaN and infinity in weights or activations: every method refuses in a sentence that names block and linear."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

import neuroal
from neuroal.errors import UserError
from neuroal.pruners import PRUNERS
from neuroal.topups import TOP_UPS
from tests.runs.helpers import weights_digest

CALIBRATED = sorted(p.name for p in PRUNERS.entries if p.needs_data)
SEARCH = {"step": "both", "lambdas": (0.02, 0.1)}


def refusal(model: LlamaForCausalLM, tokens: Tensor, pruner: str, top_up: str) -> str:
    """What is said by whichever of the two steps comes upon it."""
    how = SEARCH if top_up == "neuroal" else {}
    if top_up == "custom":
        how = {"block_sparsity": (0.5,) * model.config.num_hidden_layers}
    with pytest.raises(UserError) as caught:
        allocation = neuroal.allocate(model, tokens, pruner=pruner, top_up=top_up, sparsity=0.5, **how)
        neuroal.prune(model, tokens, allocation)
    return str(caught.value)


def methods(pruners: list[str]) -> list[tuple[str, str]]:
    """Every pruner with every top-up, but those that refuse each other."""
    moving = {"sparsegpt", "alps"}
    return [(p, t.name) for p in pruners for t in TOP_UPS.entries if not (t.name == "dsnot" and p in moving)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("pruner", "top_up"), methods(sorted(p.name for p in PRUNERS.entries)))
def test_a_weight(model: LlamaForCausalLM, tokens: Tensor, pruner: str, top_up: str, value: float) -> None:
    model.model.layers[1].mlp.up_proj.weight.data[3, 5] = value
    assert refusal(model, tokens, pruner, top_up).startswith(
        "The weights of model.layers.1.mlp.up_proj (block 1) are not finite numbers"
    )


POISONS: dict[str, Callable[[LlamaForCausalLM], None]] = {
    "nan": lambda model: model.model.layers[1].input_layernorm.weight.data.fill_(math.nan),
    "overflow": lambda model: model.model.layers[1].input_layernorm.weight.data.fill_(3e38),
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS.keys())
@pytest.mark.parametrize(("pruner", "top_up"), methods(CALIBRATED))
def test_activations(
    model: LlamaForCausalLM, tokens: Tensor, pruner: str, top_up: str, poison: Callable[[LlamaForCausalLM], None]
) -> None:
    poison(model)
    first = weights_digest(model.model.layers[1])
    said = refusal(model, tokens, pruner, top_up)
    assert said.startswith("The activations that reach model.layers.1.self_attn.q_proj (block 1) are not finite")
    assert "try another precision, or check the checkpoint" in said
    assert weights_digest(model.model.layers[1]) == first


@pytest.mark.parametrize(
    ("poison", "place"),
    [
        (lambda m: m.model.layers[1].input_layernorm, "model.layers.1.self_attn.q_proj (block 1)"),
        (lambda m: m.model.layers[0].mlp.down_proj, "model.layers.0.mlp.down_proj (block 0)"),
        (lambda m: m.model.norm, ""),
    ],
)
def test_a_model_that_was_pruned_without_data_is_told_where_its_numbers_end(
    model: LlamaForCausalLM, tokens: Tensor, poison: Callable[[LlamaForCausalLM], torch.nn.Module], place: str
) -> None:
    poison(model).weight.data.fill_(math.nan)
    with pytest.raises(UserError, match="predictions are not finite numbers") as caught:
        neuroal.perplexity(model, tokens)
    assert (f"(the first are at {place})" in str(caught.value)) == bool(place)
    assert not any(module._forward_hooks for module in model.modules())
