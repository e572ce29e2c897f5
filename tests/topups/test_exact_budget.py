"""The exact budget: whatever the method, the zeros are what the target says, to the weight."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.topups import TOP_UPS
from tests.topups.helpers import allocated, asked_by_row, zeros_by_row

LAMBDAS = (0.1,)
METHODS: list[dict[str, Any]] = [
    *({"top_up": "uniform", "pruner": pruner} for pruner in ("wanda", "sparsegpt", "magnitude")),
    *(
        {"top_up": "neuroal", "step": step, "lambdas": LAMBDAS, "pruner": pruner}
        for step in ("block", "both")
        for pruner in ("wanda", "sparsegpt")
    ),
    {"top_up": "owl", "owl_m": 2.0},
    {"top_up": "alphapruning"},
    {"top_up": "custom", "block_sparsity": (0.51, 0.66, 0.672)},
    {"top_up": "dsnot", "dsnot_cycles": 3, "dsnot_threshold": 0.0},
]


def test_every_top_up_is_tried() -> None:
    assert {method["top_up"] for method in METHODS} == set(TOP_UPS.labels)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: "-".join(map(str, (*m.values(),))))
def test_the_zeros_are_the_target_to_the_weight(
    model: LlamaForCausalLM, tokens: torch.Tensor, method: dict[str, Any]
) -> None:
    """5760 weights: 0.603 of them are 3473.28. Without the option, rows of 16 and 24 weights lose 9 and 14 each."""
    allocation = allocated(model, tokens, sparsity=0.603, exact_budget=True, **method).allocation
    report = neuroal.prune(model, tokens, allocation)
    lost = sum(sum(rows) for rows in zeros_by_row(model, allocation).values())
    assert lost == round(5760 * allocation.target)
    assert report.overall == lost / 5760
    assert zeros_by_row(model, allocation) == asked_by_row(model, allocation)


def test_without_it_counts_are_truncated(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    allocation = allocated(model, tokens, top_up="uniform", sparsity=0.603).allocation
    neuroal.prune(model, tokens, allocation)
    assert sum(sum(rows) for rows in zeros_by_row(model, allocation).values()) < round(5760 * 0.603)


def test_what_is_excluded_is_no_part_of_it(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    allocation = allocated(model, tokens, sparsity=0.603, exact_budget=True, top_up="uniform", exclude="1").allocation
    neuroal.prune(model, tokens, allocation)
    assert sum(sum(rows) for rows in zeros_by_row(model, allocation).values()) == round(5760 * 2 / 3 * 0.603)


def test_a_pattern_goes_before_it(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    allocation = allocated(model, tokens, top_up="uniform", pattern="2:4", sparsity=0.5, exact_budget=True).allocation
    assert neuroal.prune(model, tokens, allocation).overall == 0.5
    zeros = model.model.layers[0].mlp.down_proj.weight == 0
    assert (zeros.reshape(-1, 4).sum(1) == 2).all()
