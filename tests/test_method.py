"""How one block is pruned: what is looked at, what stays dense, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.errors import UserError
from neuroal.method import Method
from neuroal.options import Options
from neuroal.runs.events import Notice
from tests.topups.helpers import allocated, drained


def _said_while_pruning(model: LlamaForCausalLM, tokens: torch.Tensor, **settings: Any) -> list[str]:
    allocation = neuroal.allocate(model, tokens, top_up="uniform", sparsity=0.5, **settings)
    events, _ = drained(neuroal.iter_prune(model, tokens, allocation))
    return [event.message for event in events if isinstance(event, Notice)]


@pytest.mark.parametrize(
    ("pruner", "top_up", "needs"),
    [
        ("magnitude", "uniform", False),
        ("random", "neuroal", False),
        ("magnitude", "dsnot", True),
        ("wanda", "uniform", True),
        ("sparsegpt", "owl", True),
    ],
)
def test_data_is_needed_where_pruner_or_top_up_looks_at_it(pruner: str, top_up: str, needs: bool) -> None:
    assert Method(pruner, top_up, Options()).needs_data is needs


def test_without_need_no_token_passes(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """Ids that no model has would be refused by the first layer they reach."""
    allocation = neuroal.allocate(model, tokens, pruner="magnitude", top_up="uniform", sparsity=0.5)
    _, report = drained(neuroal.iter_prune(model, tokens + 1000, allocation))
    assert report.overall == 0.5


def test_the_pattern_is_read_once() -> None:
    assert Method("wanda", "uniform", Options(pattern="4:8")).of == 8
    assert Method("wanda", "uniform", Options()).of is None


# --- linears that no token reached ----------------------------------------------------------------------------------


@pytest.fixture
def with_an_idle_linear(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """As the experts of a mixture that the router never chose."""
    model.model.layers[1].idle = torch.nn.Linear(16, 8, bias=False).requires_grad_(False)
    return model


def test_a_linear_that_no_token_reached_stays_dense_and_is_told(
    with_an_idle_linear: LlamaForCausalLM, tokens: torch.Tensor
) -> None:
    said = _said_while_pruning(with_an_idle_linear, tokens)
    assert said == ["model.layers.1.idle: no calibration token reached it, so it stays dense."]
    assert (with_an_idle_linear.model.layers[1].idle.weight != 0).all()


def test_without_data_it_is_pruned_like_any_other(with_an_idle_linear: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    assert _said_while_pruning(with_an_idle_linear, tokens, pruner="magnitude") == []
    assert ((with_an_idle_linear.model.layers[1].idle.weight == 0).sum(1) == 8).all()


def test_a_search_says_a_thing_once_however_many_candidates_it_scores(
    with_an_idle_linear: LlamaForCausalLM, tokens: torch.Tensor
) -> None:
    found = allocated(with_an_idle_linear, tokens, sparsity=0.5, lambdas=(0.0, 0.1, 0.2))
    assert sum("no calibration token" in notice for notice in found.notices) == 1


# --- notices of pruners ---------------------------------------------------------------------------------------------


def test_notices_of_a_pruner_name_the_linears(
    model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every three Cholesky factors the first fails: then comes one with more damping, and that of its inverse. The
    linears of a consumer group share theirs, so the first of each is named: 4 groups in 3 blocks."""
    factor, fails = torch.linalg.cholesky_ex, _every_third()

    def cholesky_ex(matrix: torch.Tensor, **settings: Any) -> tuple[torch.Tensor, torch.Tensor]:
        lower, info = factor(matrix, **settings)
        return lower, info + int(next(fails))

    monkeypatch.setattr(torch.linalg, "cholesky_ex", cholesky_ex)
    (notice,) = _said_while_pruning(model, tokens, pruner="sparsegpt")
    assert notice.startswith("model.layers.0.self_attn.q_proj and 11 more: the Hessian was not positive definite")
    assert notice.endswith("from 1% to 10%.")


def _every_third() -> Iterator[bool]:
    while True:
        yield from (True, False, False)


def test_a_hessian_that_cannot_be_inverted_names_its_linear(
    model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    factor = torch.linalg.cholesky_ex
    monkeypatch.setattr(torch.linalg, "cholesky_ex", lambda m, **kw: (factor(m, **kw)[0], torch.ones(())))
    with pytest.raises(UserError, match=r"model\.layers\.0\.self_attn\.q_proj"):
        _said_while_pruning(model, tokens, pruner="sparsegpt")


def test_what_was_heard_from_elsewhere_is_said_once() -> None:
    method = Method("wanda", "neuroal", Options())
    method.hear(["One.", "Two."])
    method.hear(["One."])
    assert list(method.troubles()) == ["One.", "Two."]
    method.hear(["Two."])
    assert list(method.troubles()) == []
