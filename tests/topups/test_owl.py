"""OWL: outliers counted by hand, and ratios that fall with them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaForCausalLM

from neuroal.options import Options
from neuroal.runs.events import AllocationReady, BlockRated
from neuroal.topups.owl import OWL
from tests.topups.helpers import allocated, told_or_made_up_for

# Of these eight products of weight and norm the mean is 2.
WEIGHTS = (torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.tensor([[-1.0, 0.5], [1.0, 4.5]]))
NORMS = (torch.tensor([1.0, 1.0]), torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize(("m", "outliers"), [(0.4, 100.0), (0.5, 12.5), (4.0, 12.5), (4.5, 0.0), (5.0, 0.0)])
def test_outliers_exceed_m_times_the_mean_of_the_whole_block(m: float, outliers: float) -> None:
    """1, 1, 1, 1 of one linear and 1, 1, 1, 9 of another: 9 exceeds 4 times the mean of 2, but not 4.5 times."""
    problem = SimpleNamespace(
        stack=SimpleNamespace(groups=[[(SimpleNamespace(weight=w),) for w in WEIGHTS]]),
        options=SimpleNamespace(owl_m=m),
    )
    gathered = [SimpleNamespace(norm=norm, sequences=1) for norm in NORMS]
    assert OWL()._outliers(problem, 0, gathered) == outliers


@pytest.fixture
def rated(monkeypatch: pytest.MonkeyPatch):
    """Makes every block have the outliers that are told."""

    def tell(*values: float) -> None:
        monkeypatch.setattr(OWL, "_outliers", lambda self, problem, b, gathered: values[b])

    return tell


def test_ratios_fall_with_the_outliers(model: LlamaForCausalLM, tokens: torch.Tensor, rated) -> None:
    """Outliers 1, 2 and 4 with lambda 0.09: densities 0, 0.06 and 0.18 around their mean 0.08."""
    rated(1.0, 2.0, 4.0)
    found = allocated(model, tokens, top_up="owl", sparsity=0.6, owl_lambda=0.09)
    expected = [0.68, 0.62, 0.50]
    assert found.by_block() == pytest.approx(expected)
    assert [(e.measure, e.block, e.value) for e in found.events[:3] if isinstance(e, BlockRated)] == [
        ("outliers", 0, 1.0), ("outliers", 1, 2.0), ("outliers", 2, 4.0)
    ]  # fmt: skip
    assert isinstance(found.events[3], AllocationReady) and found.events[3].sparsity == pytest.approx(expected)


def test_equal_outliers_are_uniform(model: LlamaForCausalLM, tokens: torch.Tensor, rated) -> None:
    rated(2.5, 2.5, 2.5)
    assert allocated(model, tokens, top_up="owl", sparsity=0.6).by_block() == pytest.approx([0.6] * 3)


def test_what_is_clipped_is_told_or_made_up_for(model: LlamaForCausalLM, tokens: torch.Tensor, rated) -> None:
    """0.9 with lambda 0.3 asks for 1.2, 0.9 and 0.6; with 0.99 in the place of 1.2 the mean is 0.83."""
    rated(0.0, 1.0, 2.0)
    told_or_made_up_for(
        model,
        tokens,
        {"top_up": "owl", "sparsity": 0.9, "owl_lambda": 0.3},
        clipped=[0.99, 0.9, 0.6],
        notice=("1 block ratios", "83.0% instead of 90.0%"),
        restored=[0.99, 0.99, 0.72],
    )


def test_it_sees_the_dense_model_only_and_no_pruner(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    ratios = [
        allocated(model, tokens, top_up="owl", owl_m=2.0, sparsity=0.6, pruner=pruner).by_block()
        for pruner in ("wanda", "magnitude", "sparsegpt", "random")
    ]
    assert len(set(ratios[0])) == 3 and all(other == ratios[0] for other in ratios)


def test_its_defaults_are_the_papers() -> None:
    assert (OWL().options.owl_m, OWL().options.owl_lambda) == (5.0, 0.08) == (Options().owl_m, Options().owl_lambda)
