"""The alignment score of a pruned model is the one that a search gives the same ratios."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import neuroal
from neuroal.evaluation.alignment import iter_alignment
from neuroal.models.loading import LanguageModel
from neuroal.pruners import PRUNERS
from neuroal.runs.events import Evaluated, Measured
from neuroal.runs.spec import RunSpec
from neuroal.twin import sparse_twin
from tests.events import drained


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return neuroal.load("tiny", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def tokens(lm: LanguageModel) -> torch.Tensor:
    return neuroal.calibration_tokens(lm.tokenizer, samples=3, length=32)


def pruned(lm: LanguageModel, tokens: torch.Tensor, **settings: Any) -> tuple[neuroal.Allocation, torch.nn.Module]:
    allocation = neuroal.allocate(lm.model, tokens, **settings)
    twin = sparse_twin(lm.model, (linear.path for linear in lm.stack.all_linears()))
    neuroal.prune(twin, tokens, allocation)
    return allocation, twin


@pytest.mark.parametrize("pruner", ["wanda", "magnitude", "multiflow", "sparsegpt"])
@pytest.mark.parametrize("step", ["block", "row"])
def test_it_is_the_score_of_the_search(lm: LanguageModel, tokens: torch.Tensor, pruner: str, step: str) -> None:
    settings = {"pruner": pruner, "step": step, "sparsity": 0.6, "lambdas": (0.05, 0.15)}
    allocation, twin = pruned(lm, tokens, **settings)
    events, terms = drained(iter_alignment(lm.model, twin, tokens, norms=PRUNERS.get(pruner)().norms))
    scores, lam = (allocation.block_scores, allocation.block_lambda) if step == "block" else (
        allocation.row_scores, allocation.row_lambda)  # fmt: skip
    assert sum(terms) == pytest.approx(scores[lam], rel=1e-12)
    assert events == [Evaluated("", b, 8, "alignment") for b in range(1, 9)]


def test_a_model_is_aligned_with_itself(lm: LanguageModel, tokens: torch.Tensor) -> None:
    assert drained(iter_alignment(lm.model, lm.model, tokens))[1] == [0.0] * 8


def test_one_block_that_differs_drifts_there_and_after(lm: LanguageModel, tokens: torch.Tensor) -> None:
    """The dense block gets the pruned one's inputs: what drifts is what the block itself does."""
    ratios = tuple(0.7 if b == 3 else 0.0 for b in range(8))
    _, twin = pruned(lm, tokens, top_up="custom", block_sparsity=ratios)
    terms = drained(iter_alignment(lm.model, twin, tokens))[1]
    assert terms[3] > 0 and [b for b, term in enumerate(terms) if term] == [3]


def test_neither_model_is_written_to(lm: LanguageModel, tokens: torch.Tensor) -> None:
    _, twin = pruned(lm, tokens, top_up="uniform", sparsity=0.5)
    before = [{name: t.clone() for name, t in m.state_dict().items()} for m in (lm.model, twin)]
    drained(iter_alignment(lm.model, twin, tokens))
    for model, kept in zip((lm.model, twin), before, strict=True):
        assert all(torch.equal(t, kept[name]) for name, t in model.state_dict().items())


def test_a_run_tells_it_of_both_pruned_models() -> None:
    spec = RunSpec(
        model="tiny", top_up="custom", block_sparsity=(0.4,) * 4 + (0.6,) * 4, samples=3, length=32, prune_samples=5,
        evaluations=("alignment",), eval_windows=2, eval_length=16,
    )  # fmt: skip
    events = drained(neuroal.run(spec))[0]
    found = {e.variant: e for e in events if isinstance(e, Measured)}
    assert set(found) == {"chosen", "uniform"}
    for event in found.values():
        assert event.metric == "alignment" and event.source == "prose" and (event.tokens, event.length) == (96, 32)
        assert event.value == sum(event.details["blocks"]) and len(event.details["blocks"]) == 8
