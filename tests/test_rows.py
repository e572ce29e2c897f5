"""Who drives whose rows: the reference's table by the consumer-group rule, and grouped-query folding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from neuroal.blocks import DecoderStack
from neuroal.rows import row_sparsity, undriven
from tests.toys import random_llama


def _stack(model: LlamaForCausalLM, tokens: torch.Tensor) -> DecoderStack:
    stack = DecoderStack(model)
    stack.capture(tokens)
    return stack


def _alignment(stack: DecoderStack, driver: str) -> dict[str, np.ndarray]:
    """Zero everywhere but at the linears called ``driver``, where it rises with the column."""
    return {
        linear.path: np.arange(linear.weight.shape[1], dtype=np.float64) * (linear.name.endswith(driver))
        for linear in stack.all_linears()
    }


@pytest.mark.parametrize(
    ("driver", "driven"),
    [
        ("o_proj", {"q_proj", "k_proj", "v_proj"}),
        ("gate_proj", {"o_proj"}),
        ("down_proj", {"gate_proj", "up_proj"}),
        ("q_proj", {"down_proj"}),
    ],
)
def test_each_linear_is_driven_by_its_consumer(driver: str, driven: set[str], tokens: torch.Tensor) -> None:
    stack = _stack(random_llama(num_key_value_heads=4), tokens)
    sparsity = row_sparsity(stack, _alignment(stack, driver), [0.6] * 3, 0.1, "fold")
    varied = {path for path, ratios in sparsity.items() if np.ptp(ratios) > 0}
    assert {path.rpartition(".")[2] for path in varied} == driven
    assert not any(path.startswith("model.layers.2.") for path in varied), "nothing consumes the last block"


def test_grouped_query_rows_take_the_mean_of_their_query_heads(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """4 query heads of 4 columns, 2 key heads: row i of key head 0 sees (d_i + d_{4+i}) / 2."""
    stack = _stack(model, tokens)
    alignment = _alignment(stack, "o_proj")
    driver = np.array([0, 5, 1, 3, 2, 7, 9, 1, 4, 4, 6, 0, 8, 2, 2, 2], dtype=np.float64)
    alignment["model.layers.0.self_attn.o_proj"] = driver
    ratios = row_sparsity(stack, alignment, [0.5] * 3, 0.1, "fold")["model.layers.0.self_attn.k_proj"]
    folded = np.concatenate([(driver[0:4] + driver[4:8]) / 2, (driver[8:12] + driver[12:16]) / 2])
    density = (folded - folded.min()) / np.ptp(folded) * 0.2
    assert ratios == pytest.approx(0.5 + density.mean() - density)


def test_gqa_base_never_varies_q_k_v(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    stack = _stack(model, tokens)
    sparsity = row_sparsity(stack, _alignment(stack, "o_proj"), [0.6] * 3, 0.1, "base")
    assert all(np.ptp(ratios) == 0 for ratios in sparsity.values())
    assert undriven(stack, _alignment(stack, "o_proj"), "base") == []


def test_a_width_that_does_not_fit_is_named(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    stack = _stack(model, tokens)
    alignment = _alignment(stack, "down_proj")
    for b in range(3):
        alignment[f"model.layers.{b}.mlp.down_proj"] = np.arange(7.0)
    assert undriven(stack, alignment, "fold") == ["mlp.gate_proj", "mlp.up_proj"]
