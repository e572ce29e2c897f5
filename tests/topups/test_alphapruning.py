"""AlphaPruning: exponents of spectra that are known, and ratios that rise with them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from transformers import LlamaForCausalLM

from neuroal.errors import UserError
from neuroal.runs.events import BlockRated
from neuroal.topups import alphapruning
from neuroal.topups.alphapruning import exponent
from tests.topups.helpers import allocated, told_or_made_up_for


def _with_spectrum(values: torch.Tensor) -> torch.Tensor:
    """A square weight whose squared singular values are ``values``."""
    left, right = (torch.linalg.qr(torch.randn(len(values), len(values)))[0] for _ in range(2))
    return left @ torch.diag(values.sqrt()) @ right


@pytest.mark.parametrize("alpha", [2.0, 3.0, 4.5])
def test_the_exponent_of_a_power_law_is_recovered(alpha: float) -> None:
    """Quantiles of the density x^-alpha from 1 on. The standard error of the estimate is (alpha - 1) / sqrt(n)."""
    n = 256
    quantiles = (1 - (torch.arange(n) + 0.5) / n) ** (-1 / (alpha - 1))
    assert exponent(_with_spectrum(quantiles)) == pytest.approx(alpha, abs=2 * (alpha - 1) / math.sqrt(n))


def test_a_spectrum_by_hand() -> None:
    """Eigenvalues 1, 1, 1 and e^4. Tails of four, three and two have the exponents 2, 1.75 and 1.5, and lie 1/2, 1/3
    and 0.36 from their power laws."""
    assert exponent(torch.diag(torch.tensor([1.0, 1.0, 1.0, math.exp(2)]))) == pytest.approx(1.75, abs=1e-4)


def test_half_precision_is_widened() -> None:
    weight = torch.randn(24, 16).bfloat16()
    assert exponent(weight) == exponent(weight.float())


@pytest.mark.parametrize(
    "weight",
    [
        torch.zeros(8, 8),
        torch.eye(8),
        torch.ones(8, 8),
        torch.randn(16, 3) @ torch.randn(3, 24),
        torch.cat([torch.randn(8, 8), torch.zeros(8, 8)]),
        torch.randn(1, 8),
    ],
    ids=["zero", "identity", "rank 1", "rank 3", "dead rows", "one row"],
)
def test_a_spectrum_without_a_tail_has_a_finite_exponent(weight: torch.Tensor) -> None:
    assert math.isfinite(exponent(weight))


def test_a_linear_of_zeros_spoils_no_ratio(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """Blocks that were added and begin as the identity hold such linears."""
    model.model.layers[1].mlp.down_proj.weight.zero_()
    found = allocated(model, tokens, top_up="alphapruning", sparsity=0.6)
    assert found.mean(model) == pytest.approx(0.6) and all(0 < ratio < 1 for ratio in found.by_block())


def test_weights_that_are_not_finite_are_refused_in_one_sentence(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    model.model.layers[1].mlp.up_proj.weight[3, 3] = float("nan")
    with pytest.raises(UserError, match=r"model\.layers\.1\.mlp\.up_proj"):
        allocated(model, tokens, top_up="alphapruning", sparsity=0.6)


# --- ratios ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def exponents(model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the linears of each block have the exponent that is told."""

    def tell(*values: float) -> None:
        homes = {p.data_ptr(): int(n.split(".")[2]) for n, p in model.named_parameters() if ".layers." in n}
        monkeypatch.setattr(alphapruning, "exponent", lambda weight: values[homes[weight.data_ptr()]])

    return tell


def test_ratios_rise_with_the_exponent(
    model: LlamaForCausalLM, tokens: torch.Tensor, exponents: Callable[..., None]
) -> None:
    """Exponents 2, 3 and 6 with epsilon 0.4: 0.6, 0.8 and 1.4 of 0.6, scaled by 3 / 2.8."""
    exponents(2.0, 3.0, 6.0)
    found = allocated(model, tokens, top_up="alphapruning", sparsity=0.6, alpha_epsilon=0.4)
    assert found.by_block() == pytest.approx([0.36 * 3 / 2.8, 0.48 * 3 / 2.8, 0.84 * 3 / 2.8])
    assert found.mean(model) == pytest.approx(0.6) and found.notices == []
    assert [(e.measure, e.value) for e in found.events if isinstance(e, BlockRated)] == [
        ("alpha", 2.0), ("alpha", 3.0), ("alpha", 6.0)
    ]  # fmt: skip


@pytest.mark.parametrize(("values", "epsilon"), [((3.0, 3.0, 3.0), 0.3), ((2.0, 3.0, 4.0), 0.0)])
def test_without_a_difference_it_is_uniform(
    model: LlamaForCausalLM,
    tokens: torch.Tensor,
    exponents: Callable[..., None],
    values: tuple[float, ...],
    epsilon: float,
) -> None:
    exponents(*values)
    found = allocated(model, tokens, top_up="alphapruning", sparsity=0.6, alpha_epsilon=epsilon)
    assert found.by_block() == pytest.approx([0.6] * 3)


def test_the_mean_is_weighted_by_what_is_pruned(
    model: LlamaForCausalLM, tokens: torch.Tensor, exponents: Callable[..., None]
) -> None:
    exponents(2.0, 3.0, 6.0)
    found = allocated(model, tokens, top_up="alphapruning", sparsity=0.6, exclude=("model.layers.2.mlp",))
    assert found.mean(model) == pytest.approx(0.6)


def test_beyond_everything_is_told_or_made_up_for(
    model: LlamaForCausalLM, tokens: torch.Tensor, exponents: Callable[..., None]
) -> None:
    """0.8 times 0.4, 1 and 1.6: the last block is asked for 1.28; kept at 0.99 the others share what is missing."""
    exponents(1.5, 2.0, 2.5)
    told_or_made_up_for(
        model,
        tokens,
        {"top_up": "alphapruning", "sparsity": 0.8, "alpha_epsilon": 0.6},
        clipped=[0.32, 0.8, 1.28],
        notice=("1 block ratios", "100 %"),
        restored=[0.465, 0.945, 0.99],
    )


def test_a_pattern_keeps_the_total_where_blocks_are_asked_for_too_much(
    model: LlamaForCausalLM, tokens: torch.Tensor, exponents: Callable[..., None]
) -> None:
    """1:4 with epsilon 0.6 asks for 0.3, 0.75 and 1.2 of each group; 0.75 is the most that any can give."""
    exponents(1.5, 2.0, 2.5)
    found = allocated(model, tokens, top_up="alphapruning", pattern="1:4", sparsity=0.75, alpha_epsilon=0.6)
    assert found.by_block() == [0.75] * 3
