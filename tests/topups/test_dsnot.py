"""DSnoT: swaps worked out by hand, counts that stay, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.errors import UserError
from neuroal.options import Options
from neuroal.runs.events import Notice
from neuroal.statistics import Gathered, InputNorm, Moments, PooledMoments
from neuroal.topups.dsnot import DSnoT, swap
from tests.events import drained
from tests.topups.helpers import allocated

ONES = SimpleNamespace(norm=torch.ones(4), mean=torch.ones(4), variance=torch.ones(4))
PRUNED = torch.tensor([[True, True, False, False]])


@pytest.mark.parametrize("cycles", [1, 2])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_swap_cancels_the_error(sign: float, cycles: int) -> None:
    """Pruned are 1 and 2, an error of 3. Regrowing 2 leaves 1; pruning the kept -1 leaves nothing."""
    weight = sign * torch.tensor([[1.0, 2.0, -1.0, 5.0]])
    assert swap(weight, PRUNED, ONES, cycles, 0.1).tolist() == [[True, False, True, False]]


def test_regrown_is_what_varies_least_and_cut_what_matters_least() -> None:
    """Error 1 + 2. Over their variances 0.1 and 1 the pruned ones weigh 10 and 2; of the two kept ones with the
    helpful sign the one with the smaller Wanda metric goes, though it contributes more."""
    weight = torch.tensor([[1.0, 2.0, -1.0, -0.5]])
    statistics = SimpleNamespace(
        norm=torch.tensor([1.0, 1.0, 1.0, 4.0]), mean=torch.ones(4), variance=torch.tensor([0.1, 1.0, 1.0, 1.0])
    )
    assert swap(weight, PRUNED, statistics, 1, 0.1).tolist() == [[False, True, True, False]]


def test_a_row_below_the_threshold_is_left_alone() -> None:
    weight = torch.tensor([[1.0, 2.0, -1.0, 5.0]]).repeat(2, 1)
    weight[1] /= 10
    assert swap(weight, PRUNED.repeat(2, 1), ONES, 1, 0.3).tolist() == [
        [True, False, True, False],
        [True, True, False, False],
    ]


def _random(rows: int = 6, columns: int = 40, pruned: int = 20) -> tuple[torch.Tensor, torch.Tensor, Gathered]:
    statistics = Gathered(InputNorm(), Moments())
    statistics.update(torch.randn(3, 9, columns) + 0.5)
    weight = torch.randn(rows, columns)
    mask = torch.zeros(rows, columns, dtype=torch.bool)
    mask.scatter_(1, torch.rand(rows, columns).argsort(1)[:, :pruned], True)
    return weight, mask, statistics


def test_few_swaps_shrink_the_error_and_keep_the_counts() -> None:
    weight, mask, statistics = _random()
    refined = swap(weight, mask, statistics, 6, 0.1)
    assert refined.sum(1).tolist() == [20] * 6 and not torch.equal(refined, mask)

    def error(pruned: torch.Tensor) -> float:
        return float((weight * statistics.mean * pruned).sum(1).abs().mean())

    assert error(refined) < 0.5 * error(mask)


def test_inputs_that_never_vary_give_a_mask_all_the_same() -> None:
    weight, mask, _ = _random()
    statistics = Gathered(InputNorm(), Moments())
    statistics.update(torch.ones(2, 5, 40))
    refined = swap(weight, mask, statistics, 5, 0.1)
    assert refined.sum(1).tolist() == [20] * 6


@pytest.mark.parametrize("pruned", [1, 37, 39])
def test_more_cycles_than_kept_weights_stay_in_bounds_and_are_told(pruned: int) -> None:
    weight, mask, statistics = _random(pruned=pruned)
    refined, trouble = DSnoT(Options(dsnot_cycles=500, dsnot_threshold=0.0)).refine(weight, mask, statistics)
    assert refined.shape == mask.shape
    assert f"keep {40 - pruned} weights" in trouble and "of 500 swaps" in trouble
    _, trouble = DSnoT(Options(dsnot_cycles=1)).refine(weight, mask, statistics)
    assert trouble == ""


def test_the_variance_is_pooled_where_exact_statistics_are_asked_for() -> None:
    (plain,), (pooled,) = DSnoT().refining_statistics(), DSnoT(Options(exact_statistics=True)).refining_statistics()
    assert type(plain) is Moments and type(pooled) is PooledMoments


# --- in a model -----------------------------------------------------------------------------------------------------

SETTINGS = {"top_up": "dsnot", "sparsity": 0.5, "dsnot_cycles": 3, "dsnot_threshold": 0.0}


@pytest.mark.parametrize("pruner", ["wanda", "magnitude", "multiflow", "random"])
def test_only_the_attention_is_refined(model: LlamaForCausalLM, tokens: torch.Tensor, pruner: str) -> None:
    from tests.toys import random_llama

    plain = random_llama()
    neuroal.prune(plain, tokens, neuroal.allocate(plain, tokens, top_up="uniform", sparsity=0.5, pruner=pruner))
    neuroal.prune(model, tokens, neuroal.allocate(model, tokens, pruner=pruner, **SETTINGS))
    block = dict(model.model.layers[0].named_modules())
    differs = {
        name: not torch.equal(module.weight == 0, plain.model.layers[0].get_submodule(name).weight == 0)
        for name, module in block.items()
        if isinstance(module, torch.nn.Linear)
    }
    assert not any(differs[name] for name in differs if name.startswith("mlp")), "as much as the same inputs"
    assert sum(differs[name] for name in differs if name.startswith("self_attn")) >= 2


def test_too_many_cycles_are_told_once_for_all_linears(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    allocation = neuroal.allocate(model, tokens, **{**SETTINGS, "dsnot_cycles": 50})
    events, _ = drained(neuroal.iter_prune(model, tokens, allocation))
    (notice,) = (event.message for event in events if isinstance(event, Notice))
    assert notice.startswith("model.layers.0.self_attn.q_proj and 11 more: its rows keep 8 weights")


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"pruner": "sparsegpt"}, "choose Wanda, MULTIFLOW or magnitude"), ({"pattern": "2:4"}, "breaks an N:M pattern")],
)
def test_what_cannot_be_refined_is_refused(
    model: LlamaForCausalLM, tokens: torch.Tensor, settings: dict[str, str], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        allocated(model, tokens, top_up="dsnot", sparsity=0.5, **settings)


def test_rows_of_different_counts_keep_theirs() -> None:
    """As the exact budget makes them: one row has lost one weight more than the other."""
    weight, _, statistics = _random(rows=2, columns=8, pruned=4)
    mask = torch.tensor([[True] * 5 + [False] * 3, [True] * 4 + [False] * 4])
    for cycles in (1, 2, 3):
        top_up = DSnoT(Options(dsnot_cycles=cycles, dsnot_threshold=0.0))
        refined, _ = top_up.refine(weight, mask, statistics)
        assert refined.sum(1).tolist() == [5, 4]
        flipped, _ = top_up.refine(weight.flip(0), mask.flip(0), statistics)
        assert torch.equal(flipped.flip(0), refined), "whatever the order of the rows"


def test_rows_that_keep_nothing_have_nothing_to_swap() -> None:
    weight, mask, statistics = _random(columns=8, pruned=8)
    refined, trouble = DSnoT().refine(weight, mask, statistics)
    assert torch.equal(refined, mask) and "keep 0 weights" in trouble
