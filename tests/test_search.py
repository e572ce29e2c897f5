"""The search: events, choice, ties, resuming, and a score worked out by a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.blocks import DecoderStack
from neuroal.errors import UserError
from neuroal.landscape import LEAST, MOST
from neuroal.runs.events import BlockScored, CandidateFinished, CandidateStarted, LambdaChosen, Notice, SearchStarted
from neuroal.schedules import block_schedule
from neuroal.scoring import Problem, Scorer
from tests.events import drained

LAMBDAS = (0.05, 0.1, 0.2)


def _plain_score(model: LlamaForCausalLM, tokens: torch.Tensor, ratios: list[float]) -> float:
    """Section 3.2 of the specification, written out for this one architecture with hooks on everything."""

    def norms(block: Any, x: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        kept: dict[str, torch.Tensor] = {}
        hooks = [
            m.register_forward_pre_hook(lambda _, a, n=n: kept.__setitem__(n, a[0]))
            for n, m in block.named_modules()
            if isinstance(m, torch.nn.Linear)
        ]
        positions = torch.arange(x.shape[1])[None]
        out = block(x, position_embeddings=model.model.rotary_emb(x, positions), position_ids=positions)
        for hook in hooks:
            hook.remove()
        return {n: v.square().sum(1).mean(0).sqrt() for n, v in kept.items()}, out

    total, x = 0.0, model.model.embed_tokens(tokens)
    for block, ratio in zip(model.model.layers, ratios, strict=True):
        dense, _ = norms(block, x)
        saved = {n: m.weight.clone() for n, m in block.named_modules() if n in dense}
        for name, weight in saved.items():
            metric = weight.abs() * dense[name]
            order = metric.sort(dim=1, stable=True).indices[:, : int(weight.shape[1] * ratio)]
            block.get_submodule(name).weight.data = weight.clone().scatter_(1, order, 0.0)
        pruned, x = norms(block, x)
        for name, weight in saved.items():
            block.get_submodule(name).weight.data = weight
            difference = dense[name] / dense[name].sum() - pruned[name] / pruned[name].sum()
            total += float(difference.norm()) / weight.shape[1]
    return total


def test_scores_equal_a_plain_loop(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    allocation = neuroal.allocate(model, tokens, step="block", sparsity=0.5, lambdas=LAMBDAS)
    for lam, score in allocation.block_scores.items():
        assert score == pytest.approx(_plain_score(model, tokens, block_schedule(0.5, lam, 3)[0]), rel=1e-5)


def test_events_tell_the_whole_search(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    events, allocation = drained(neuroal.iter_allocate(model, tokens, sparsity=0.5, lambdas=LAMBDAS))
    assert [e.step for e in events if isinstance(e, SearchStarted)] == ["block", "row"]
    for step, scores, chosen in (
        ("block", allocation.block_scores, allocation.block_lambda),
        ("row", allocation.row_scores, allocation.row_lambda),
    ):
        terms = dict.fromkeys(LAMBDAS, 0.0)
        for e in events:
            if isinstance(e, BlockScored) and e.step == step:
                terms[e.lam] += e.score
        finished = {e.lam: e.score for e in events if isinstance(e, CandidateFinished) and e.step == step}
        assert finished == scores
        assert finished == pytest.approx(terms)
        (choice,) = (e for e in events if isinstance(e, LambdaChosen) and e.step == step)
        assert choice.lam == chosen == min(scores, key=scores.get)
        started = [e for e in events if isinstance(e, CandidateStarted) and e.step == step]
        assert all(np.mean(e.sparsity) == pytest.approx(0.5) for e in started)


def test_the_first_of_equal_scores_wins_and_the_other_is_a_near_tie(
    model: LlamaForCausalLM, tokens: torch.Tensor
) -> None:
    """Two spellings of nearly the same lambda give the same masks, so the same score."""
    events, allocation = drained(
        neuroal.iter_allocate(model, tokens, step="block", sparsity=0.52, lambdas=(0.0, 1e-9), pruner="magnitude")
    )
    assert allocation.block_lambda == 0.0
    (choice,) = (e for e in events if isinstance(e, LambdaChosen))
    assert choice.near_ties == (1e-9,)


@pytest.mark.parametrize("step", ["block", "row", "both"])
def test_known_candidates_are_not_scored_again_and_change_nothing(
    model: LlamaForCausalLM, tokens: torch.Tensor, step: str
) -> None:
    settings = {"step": step, "sparsity": 0.5, "lambdas": LAMBDAS}
    events, whole = drained(neuroal.iter_allocate(model, tokens, **settings))
    finished = [e for e in events if isinstance(e, CandidateFinished)]
    for k in range(len(finished) + 1):
        known = {(e.step, e.lam): e.score for e in finished[:k]}
        again, resumed = drained(neuroal.iter_allocate(model, tokens, known=known, **settings))
        rescored = [(e.step, e.lam) for e in again if isinstance(e, CandidateFinished) and e.step != "alignment"]
        assert not set(rescored) & set(known)
        assert resumed.block_scores == whole.block_scores and resumed.row_scores == whole.row_scores
        for path, ratios in whole.sparsity.items():
            assert np.array_equal(resumed.sparsity[path], ratios)
    walked = {event.step for event in again if isinstance(event, BlockScored)}  # nothing is left to score but that
    assert walked == {"block": set(), "row": {"alignment"}, "both": {"block"}}[step], "of which rows need the alignment"


def test_the_model_is_left_bit_identical_also_when_the_search_is_closed(
    model: LlamaForCausalLM, tokens: torch.Tensor
) -> None:
    before = {name: p.clone() for name, p in model.named_parameters()}
    events = neuroal.iter_allocate(model, tokens, sparsity=0.5, lambdas=LAMBDAS)
    for _ in range(6):
        next(events)
    events.close()
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_activations_that_are_not_finite_name_their_block(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="block 1"):
        neuroal.allocate(model, tokens, step="block", sparsity=0.5, lambdas=LAMBDAS)


# --- some candidates only, and side by side --------------------------------------------------------------------------


def test_quick_scores_are_near_and_the_rows_go_by_an_exact_alignment(
    model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = neuroal.allocate(model, tokens, sparsity=0.6)
    monkeypatch.setattr("neuroal.api.fast_bfloat16", lambda: True)
    quick = neuroal.allocate(model, tokens, sparsity=0.6)
    for step in ("block_scores", "row_scores"):
        both = set(getattr(exact, step)) & set(getattr(quick, step))
        assert both, "at least where both begin"
        for lam in both:
            assert getattr(quick, step)[lam] == pytest.approx(getattr(exact, step)[lam], rel=0.03)
            assert getattr(quick, step)[lam] != getattr(exact, step)[lam]
    assert (quick.block_lambda, quick.row_lambda) == (exact.block_lambda, exact.row_lambda)
    for path, ratios in exact.sparsity.items():
        np.testing.assert_array_equal(quick.sparsity[path], ratios)


@pytest.mark.parametrize("settings", [{"mode": "exact"}, {"lambdas": LAMBDAS}, {"top_up": "owl"}])
def test_only_auto_is_ever_quick(
    settings: dict[str, Any], model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, _ = drained(neuroal.iter_allocate(model, tokens, sparsity=0.6, **settings))
    monkeypatch.setattr("neuroal.api.fast_bfloat16", lambda: True)
    also, _ = drained(neuroal.iter_allocate(model, tokens, sparsity=0.6, **settings))
    scores = [[e.score for e in log if isinstance(e, BlockScored)] for log in (plain, also)]
    assert scores[0] == scores[1]
    assert not any("bfloat16" in e.message for e in also if isinstance(e, Notice))


def test_a_model_in_half_precision_is_not_quicker(
    model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuroal.api.fast_bfloat16", lambda: True)
    log, _ = drained(neuroal.iter_allocate(model.to(torch.bfloat16), tokens, step="block", sparsity=0.6))
    assert not any("bfloat16" in e.message for e in log if isinstance(e, Notice))


def test_auto_scores_fewer_and_its_scores_are_the_exact_ones(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    exact = neuroal.allocate(model, tokens, sparsity=0.6, mode="exact", step="block")
    auto = neuroal.allocate(model, tokens, sparsity=0.6, step="block")
    assert (auto.mode, exact.mode) == ("auto", "exact")
    assert len(exact.block_scores) == 14
    assert LEAST <= len(auto.block_scores) <= MOST
    assert auto.block_scores == {lam: exact.block_scores[lam] for lam in auto.block_scores}
    assert auto.block_lambda == min(auto.block_scores, key=auto.block_scores.__getitem__)


def test_auto_goes_on_from_what_is_known(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    events, whole = drained(neuroal.iter_allocate(model, tokens, sparsity=0.6))
    done = [e for e in events if isinstance(e, CandidateFinished)]
    for count in (1, 3, len(done)):
        known = {(e.step, e.lam): e.score for e in done[:count]}
        later, again = drained(neuroal.iter_allocate(model, tokens, sparsity=0.6, known=known))
        assert (again.block_scores, again.row_scores) == (whole.block_scores, whole.row_scores)
        assert all(np.array_equal(again.sparsity[p], whole.sparsity[p]) for p in whole.sparsity)
        assert not {(e.step, e.lam) for e in later if isinstance(e, CandidateFinished)} & set(known)


@pytest.mark.parametrize("every", [True, False])
def test_candidates_side_by_side_have_the_same_scores(
    model: LlamaForCausalLM, tokens: torch.Tensor, every: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode = "exact" if every else "auto"
    apart_events, apart = drained(neuroal.iter_allocate(model, tokens, sparsity=0.6, mode=mode))
    monkeypatch.setattr(Problem, "together", property(lambda self: True, lambda self, value: None))
    events, together = drained(neuroal.iter_allocate(model, tokens, sparsity=0.6, mode=mode))
    assert (together.block_scores, together.row_scores) == (apart.block_scores, apart.row_scores)
    assert (together.block_lambda, together.row_lambda) == (apart.block_lambda, apart.row_lambda)
    assert {e for e in events if isinstance(e, BlockScored)} == {e for e in apart_events if isinstance(e, BlockScored)}
    blocks = [e.block for e in events if isinstance(e, BlockScored)]
    if every:
        assert blocks[:14] == [0] * 14, "every candidate passes a block before any goes on"


class _Told(Scorer):
    """Writes down what it is told to expect."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.expected: list[tuple[str, list[float], list[float]]] = []

    def expect(self, step: str, now: Any, later: Any, candidate: Any) -> None:
        assert [candidate(lam).lam for lam in later] == list(later)
        self.expected.append((step, [c.lam for c in now], list(later)))


@pytest.mark.parametrize("known", [{}, {("block", 0.1): 1.0}], ids=["new", "resumed"])
def test_a_scorer_is_told_what_comes_next_where_that_does_not_depend_on_what_is_found(
    model: LlamaForCausalLM, tokens: torch.Tensor, known: dict[tuple[str, float], float]
) -> None:
    made: list[_Told] = []

    def scorer(problem: Problem) -> Scorer:
        made.append(_Told(problem))
        return made[-1]

    settings: dict[str, Any] = {"step": "block", "sparsity": 0.5, "scorer": scorer}
    drained(neuroal.iter_allocate(model, tokens, lambdas=LAMBDAS, known=known, **settings))
    left = [lam for lam in LAMBDAS if ("block", lam) not in known]
    assert made[0].expected == [("block", [lam], left[i + 1 :]) for i, lam in enumerate(left)]
    drained(neuroal.iter_allocate(model, tokens, mode="auto", **settings))
    assert made[1].expected == [], "which lambda comes next is for the scores to say"


@pytest.mark.parametrize(("pruner", "passes"), [("wanda", 1), ("sparsegpt", len(LAMBDAS))])
def test_what_block_0_receives_is_gathered_once(
    model: LlamaForCausalLM, tokens: torch.Tensor, pruner: str, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not depend on the candidate. Products of inputs are too large to be kept."""
    dense: list[int] = []
    gather = DecoderStack.gather

    def counted(
        self: DecoderStack, b: int, hidden: Any, captured: Any, statistics: Any, *rest: Any, **more: Any
    ) -> Any:
        if not more.get("outputs", True) and not rest:
            dense.append(b)
        return gather(self, b, hidden, captured, statistics, *rest, **more)

    monkeypatch.setattr(DecoderStack, "gather", counted)
    drained(neuroal.iter_allocate(model, tokens, pruner=pruner, step="block", sparsity=0.5, lambdas=LAMBDAS))
    assert dense.count(0) == passes and dense.count(1) == len(LAMBDAS)
