"""Metrics by hand, and what every registered pruner owes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.errors import UserError
from neuroal.masks import prune_count
from neuroal.pruners import PRUNERS, Pruner
from neuroal.statistics import InputNorm

WEIGHT = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 0.5, 0.0]])
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def _metric(name: str, weight: torch.Tensor = WEIGHT) -> torch.Tensor:
    """With activation norms 3, 1 and 0.5."""
    gathered = InputNorm()
    gathered.update(torch.tensor([[3.0, 1.0, 0.5]]))
    return PRUNERS.get(name)().metric(weight, gathered)


def test_magnitude() -> None:
    assert _metric("magnitude").tolist() == [[1, 2, 3], [4, 0.5, 0]]


def test_wanda() -> None:
    assert _metric("wanda").tolist() == [[3, 2, 1.5], [12, 0.5, 0]]


def test_multiflow() -> None:
    """Flows as Wanda's metric: row means 6.5/3 and 12.5/3, column means 7.5, 1.25 and 0.75."""
    p, q = (6.5 / 3, 12.5 / 3), (7.5, 1.25, 0.75)
    expected = [[1 * p[0] * q[0], 2 * p[0] * q[1], 3 * p[0] * q[2]], [4 * p[1] * q[0], 0.5 * p[1] * q[1], 0]]
    assert torch.allclose(_metric("multiflow"), torch.tensor(expected))


def test_random_is_the_same_for_a_linear_and_another_for_another() -> None:
    weight, other = torch.randn(50, 40), torch.randn(50, 40)
    noise = _metric("random", weight)
    assert torch.equal(noise, _metric("random", weight.clone()))
    assert not torch.equal(noise, _metric("random", other))
    assert noise.min() >= 0 and noise.max() < 1 and abs(float(noise.mean()) - 0.5) < 0.05


def test_random_does_not_look_at_the_seed_of_others() -> None:
    torch.manual_seed(1)
    noise = _metric("random")
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(noise, _metric("random"))
    assert torch.equal(torch.get_rng_state(), state), "nor does it disturb theirs"


# --- every registered pruner ----------------------------------------------------------------------------------------


def _prepared(name: str, dtype: torch.dtype = torch.float32) -> tuple[Pruner, torch.Tensor, Any]:
    """A pruner, a weight [6, 32] and statistics of correlated inputs."""
    pruner, mixing = PRUNERS.get(name)(), torch.randn(32, 32)
    statistics = pruner.statistics()
    statistics.update((torch.randn(4, 20, 32) @ mixing).to(dtype))
    return pruner, torch.randn(6, 32).to(dtype), statistics


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", PRUNERS.labels)
class TestEveryPruner:
    def test_returns_a_new_weight_of_the_same_kind(self, name: str, dtype: torch.dtype) -> None:
        pruner, weight, statistics = _prepared(name, dtype)
        before = weight.clone()
        pruned = pruner.prune(weight, statistics, 0.5)
        assert torch.equal(weight, before) and pruned.data_ptr() != weight.data_ptr()
        assert pruned.dtype == dtype and pruned.shape == weight.shape and torch.isfinite(pruned).all()
        kept = pruned != 0
        assert pruner.moves_weights or torch.equal(pruned[kept], weight[kept])

    def test_prunes_the_exact_count_of_one_ratio(self, name: str, dtype: torch.dtype) -> None:
        """floor(32 * 0.34) of every row; SparseGPT, one more than floor(6 * 32 * 0.34) of all rows together."""
        pruner, weight, statistics = _prepared(name, dtype)
        lost = (pruner.prune(weight, statistics, 0.34) == 0).sum(1)
        if name == "sparsegpt":
            assert lost.sum() == int(6 * 32 * 0.34) + 1
        else:
            assert lost.tolist() == [prune_count(32, 0.34)] * 6

    def test_prunes_the_exact_count_of_each_row(self, name: str, dtype: torch.dtype) -> None:
        pruner, weight, statistics = _prepared(name, dtype)
        ratios = np.array([0.01, 0.25, 0.5, 0.6, 0.75, 0.99])
        lost = (pruner.prune(weight, statistics, ratios) == 0).sum(1)
        assert lost.tolist() == [32 - 31, 8, 16, 32 - 12, 24, 32]

    @pytest.mark.parametrize(("pruned", "of"), [(2, 4), (3, 4), (3, 8)])
    def test_prunes_the_exact_count_of_each_group(self, name: str, dtype: torch.dtype, pruned: int, of: int) -> None:
        pruner, weight, statistics = _prepared(name, dtype)
        zeros = pruner.prune(weight, statistics, pruned / of, of) == 0
        assert (zeros.reshape(-1, of).sum(1) == pruned).all()

    def test_prunes_constant_rows_too(self, name: str, dtype: torch.dtype) -> None:
        pruner, weight, statistics = _prepared(name, dtype)
        weight = torch.full_like(weight, 0.5)
        pruned = pruner.prune(weight, statistics, np.full(6, 0.5))
        assert (pruned == 0).sum(1).tolist() == [16] * 6 and torch.isfinite(pruned).all()


@pytest.mark.parametrize("name", [pruner.name for pruner in PRUNERS.entries if pruner.row_by_row])
def test_a_metric_of_single_rows_is_that_of_the_whole(name: str) -> None:
    pruner, weight, statistics = _prepared(name)
    whole = pruner.metric(weight, statistics)
    assert torch.equal(torch.cat([pruner.metric(weight[r : r + 1], statistics) for r in range(6)]), whole)


@pytest.mark.parametrize("name", [pruner.name for pruner in PRUNERS.entries if pruner.needs_data])
def test_activations_that_are_not_finite_name_block_and_linear(
    model: LlamaForCausalLM, tokens: torch.Tensor, name: str
) -> None:
    allocation = neuroal.allocate(model, tokens, pruner=name, top_up="uniform", sparsity=0.5)
    model.model.layers[1].post_attention_layernorm.weight[3] = float("nan")
    with pytest.raises(UserError, match=r"activations .* model\.layers\.1\.mlp\.gate_proj \(block 1\)"):
        neuroal.prune(model, tokens, allocation)


@pytest.mark.parametrize("name", PRUNERS.labels)
def test_weights_that_are_not_finite_name_their_own_linear(
    model: LlamaForCausalLM, tokens: torch.Tensor, name: str
) -> None:
    """The very last linear: nothing after it would tell."""
    allocation = neuroal.allocate(model, tokens, pruner=name, top_up="uniform", sparsity=0.5)
    model.model.layers[2].mlp.down_proj.weight[3, 3] = float("nan")
    with pytest.raises(UserError, match=r"weights of model\.layers\.2\.mlp\.down_proj \(block 2\)"):
        neuroal.prune(model, tokens, allocation)


@pytest.mark.parametrize("pruner", PRUNERS.entries, ids=lambda pruner: pruner.name)
def test_it_says_what_it_is(pruner: type[Pruner]) -> None:
    assert pruner.label and pruner.summary and not pruner.summary.endswith(".")
    assert pruner.metric.__doc__ and pruner.__doc__
    assert pruner().options == neuroal.options.Options()
