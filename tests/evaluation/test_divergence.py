"""Divergence by hand, against a plain loop in float64, and where predictions are ties, ruled out or no numbers."""

from __future__ import annotations

import dataclasses
import math
import statistics
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from neuroal.api import drain
from neuroal.errors import UserError
from neuroal.evaluation.divergence import Divergence, agreement, compare, iter_divergence
from neuroal.models.loading import LanguageModel
from neuroal.runs.events import Evaluated
from neuroal.twin import skeleton
from tests.offloaded import WAYS
from tests.toys import random_llama

INF = math.inf


class Table(nn.Module):
    """A model whose logits depend on the last token alone: row ``i`` of a table [V, V] follows token ``i``."""

    def __init__(self, table: list[list[float]] | Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.as_tensor(table), requires_grad=False)

    def get_input_embeddings(self) -> SimpleNamespace:
        return SimpleNamespace(num_embeddings=len(self.table))

    def forward(self, input_ids: Tensor, use_cache: bool) -> SimpleNamespace:
        return SimpleNamespace(logits=self.table[input_ids])


@pytest.fixture
def pruned(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """``model`` with half of its weights gone at random, and sharper predictions than a random model's."""
    pruned = random_llama()
    random = torch.Generator().manual_seed(2)
    for name, weight in pruned.named_parameters():
        if "proj" in name:
            weight[torch.rand(weight.shape, generator=random) < 0.5] = 0
    for each in (model, pruned):
        each.lm_head.weight.mul_(30)
    return pruned


def tables(*rows: list[float], dtype: torch.dtype = torch.float32) -> tuple[Table, Table]:
    """A dense and a pruned model that give these probabilities whatever came before."""
    return tuple(Table(torch.tensor([row] * len(row)).log().to(dtype)) for row in rows)  # type: ignore[return-value]


def measure(dense: nn.Module, pruned: nn.Module, windows: Tensor) -> Divergence:
    return drain(iter_divergence(dense, pruned, windows))


def _plain(dense: nn.Module, pruned: nn.Module, windows: Tensor) -> list[list[tuple[float, float, float, float]]]:
    """Per window and prediction: KL, top-1 agreement, shared top 5, loss difference; in float64, token by token."""
    found = []
    for window in windows:
        logits = [model.double()(input_ids=window[None], use_cache=False).logits[0] for model in (dense, pruned)]
        rows = []
        for i in range(len(window) - 1):
            p, q = (each[i].softmax(-1).tolist() for each in logits)
            best_p, best_q = (sorted(range(len(x)), key=lambda j, x=x: -x[j])[:5] for x in (p, q))
            kl = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
            came = int(window[i + 1])
            shared = len(set(best_p) & set(best_q)) / 5
            rows.append((kl, float(best_p[0] == best_q[0]), shared, math.log(p[came] / q[came])))
        found.append(rows)
    return found


# --- the figures -----------------------------------------------------------------------------------------------------


def test_equal_to_a_plain_loop(model: LlamaForCausalLM, pruned: LlamaForCausalLM, tokens: Tensor) -> None:
    figures = measure(model, pruned, tokens)
    plain = _plain(model, pruned, tokens)
    for column, name in enumerate(("kl", "top1", "top5", "loss_difference")):
        means = [statistics.fmean(row[column] for row in rows) for rows in plain]
        error = statistics.stdev(means) / 2  # of four windows
        assert getattr(figures, name) == pytest.approx(statistics.fmean(means), abs=1e-6)
        assert getattr(figures, f"{name}_stderr") == pytest.approx(error, abs=1e-6)
    kl = sorted(row[0] for rows in plain for row in rows)
    assert figures.predictions == len(kl) == 4 * 11
    assert figures.median_kl == pytest.approx((kl[21] + kl[22]) / 2, abs=1e-6)
    assert figures.p95_kl == pytest.approx(kl[40] + 0.85 * (kl[41] - kl[40]), abs=1e-6)  # 0.95 of 43 is 40.85
    assert not figures.notices
    assert 0.01 < figures.median_kl < figures.kl < figures.p95_kl and 0 < figures.top1 < figures.top5 < 1


def test_two_tokens_by_hand() -> None:
    figures = measure(*tables([0.5, 0.5], [0.75, 0.25]), torch.tensor([[0, 0, 1], [0, 1, 1]]))
    kl = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert figures.kl == figures.median_kl == figures.p95_kl == pytest.approx(kl, abs=1e-7)
    assert figures.kl_stderr == 0
    assert figures.top1 == figures.top5 == 1  # of a tie the lower id is first; both tokens are among the first five
    first, second = (math.log(0.5 / 0.75) + math.log(0.5 / 0.25)) / 2, math.log(0.5 / 0.25)
    assert figures.loss_difference == pytest.approx((first + second) / 2, abs=1e-7)
    assert figures.loss_difference_stderr == pytest.approx((second - first) / 2, abs=1e-7)


def test_the_error_of_the_loss_difference_is_paired() -> None:
    """One window is hard for both models and one is easy, but the pruned model loses the same on both."""
    dense = Table(torch.tensor([[0.25, 0.5, 0.25], [0.49, 0.02, 0.49], [1 / 3] * 3]).log())
    pruned = Table(torch.tensor([[0.5, 0.25, 0.25], [0.49, 0.01, 0.5], [1 / 3] * 3]).log())
    figures = measure(dense, pruned, torch.tensor([[0, 1], [1, 1]]))
    assert figures.loss_difference == pytest.approx(math.log(2), abs=1e-6)
    assert figures.loss_difference_stderr < 1e-6  # that of the two losses apart would be above 2


def test_identical_models_do_not_diverge(tiny: LanguageModel) -> None:
    windows = torch.randint(0, 2048, (3, 40))
    figures = measure(tiny.model, skeleton(tiny.model), windows)
    assert (figures.kl, figures.p95_kl, figures.loss_difference, figures.kl_stderr) == (0, 0, 0, 0)
    assert (figures.top1, figures.top5, figures.top1_stderr, figures.top5_stderr) == (1, 1, 0, 0)


@pytest.mark.parametrize("distance", [1e-5, 1e-3, 1.0, 10.0])
def test_the_divergence_is_exact_and_not_negative_but_for_rounding(distance: float) -> None:
    """Also where two models differ by less than float32 tells of the sum of all probabilities."""
    dense = 8 * torch.randn(200, 5000)
    pruned = dense + distance * torch.randn(200, 5000)
    log_p, log_q = (logits.double().log_softmax(-1) for logits in (dense, pruned))
    kl = compare(dense, pruned, torch.zeros(200).long(), 5).kl
    assert kl.dtype == torch.float64 and kl.min() > -2e-7
    assert torch.allclose(kl, (log_p.exp() * (log_p - log_q)).sum(-1), rtol=1e-6, atol=2e-7)


# --- what must not matter --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("windows_at_once", [1, 3, 4])
def test_batching_does_not_matter(
    model: LlamaForCausalLM,
    pruned: LlamaForCausalLM,
    tokens: Tensor,
    windows_at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = measure(model, pruned, tokens)
    table = (Table(torch.randn(64, 64)), Table(torch.randn(64, 64)))
    exact = measure(*table, tokens)
    monkeypatch.setattr("neuroal.evaluation.divergence.BATCH_TOKENS", windows_at_once * tokens.shape[1])
    monkeypatch.setattr("neuroal.evaluation.divergence.CHUNK", 64 * 5)  # 11 predictions are 3 chunks
    assert measure(*table, tokens) == exact
    again = measure(model, pruned, tokens)  # the model's own products may be rounded otherwise in another batch
    numbers, expected = (dataclasses.astuple(figures)[:-1] for figures in (again, usual))
    assert numbers == pytest.approx(expected, abs=1e-6)


def test_every_batch_is_told(model: LlamaForCausalLM, tokens: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroal.evaluation.divergence.BATCH_TOKENS", 3 * tokens.shape[1])
    events = list(iter_divergence(model, model, tokens, variant="uniform"))
    assert events == [Evaluated("uniform", 3, 4), Evaluated("uniform", 4, 4)]


def test_closing_stops_after_the_batch(tokens: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroal.evaluation.divergence.BATCH_TOKENS", 1)
    read: list[int] = []
    monkeypatch.setattr(Table, "forward", lambda self, input_ids, use_cache: _counted(self, input_ids, read))
    events = iter_divergence(Table(torch.randn(64, 64)), Table(torch.randn(64, 64)), tokens)
    next(events)
    events.close()
    assert read == [1, 1]


def test_a_window_longer_than_a_batch(model: LlamaForCausalLM, tokens: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroal.evaluation.divergence.BATCH_TOKENS", 1)
    assert measure(model, model, tokens).predictions == 44


@pytest.mark.parametrize("way", WAYS)
def test_a_dense_model_that_is_kept_elsewhere(
    way: str, tmp_path: Path, model: LlamaForCausalLM, tokens: Tensor
) -> None:
    other = random_llama()
    other.lm_head.weight.mul_(2)
    assert measure(WAYS[way](tmp_path), other, tokens) == measure(model, other, tokens)


def test_one_window_has_a_notice_in_the_place_of_an_error(model: LlamaForCausalLM, tokens: Tensor) -> None:
    figures = measure(model, model, tokens[:1])
    assert figures.kl_stderr == 0 and len(figures.notices) == 1


# --- half precision, ties, tokens that are ruled out -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_float32(dtype: torch.dtype) -> None:
    dense, pruned = (Table(4 * torch.randn(64, 64).to(dtype)) for _ in range(2))
    windows = torch.randint(0, 64, (2, 30))
    wide = (Table(model.table.float()) for model in (dense, pruned))
    assert measure(dense, pruned, windows) == measure(*wide, windows)


@pytest.mark.parametrize("levels", [1, 4, 30, 300])
def test_ties_go_to_the_lower_id(levels: int) -> None:
    """At the border of the list, within it, and where all are alike."""
    dense, pruned = (torch.randint(0, levels, (50, 200)).float() for _ in range(2))
    found = compare(dense, pruned, torch.zeros(50).long(), 5)
    for top, logits in ((found.dense_top, dense), (found.pruned_top, pruned)):
        for ids, row in zip(top.tolist(), logits.tolist(), strict=True):
            assert ids == sorted(range(200), key=lambda i, row=row: (-row[i], i))[:5]


def test_a_token_that_the_dense_model_rules_out_costs_nothing() -> None:
    dense, pruned = tables([0.5, 0.5, 0.0, 0.0], [0.25, 0.5, 0.25, 0.0])
    assert measure(dense, pruned, torch.tensor([[0, 1, 0]])).kl == pytest.approx(0.5 * math.log(2), abs=1e-7)


def test_a_token_that_only_the_pruned_model_rules_out_is_one_sentence() -> None:
    dense, pruned = tables([0.5, 0.25, 0.25], [0.5, 0.5, 0.0])
    with pytest.raises(UserError, match="the divergence is infinite"):
        measure(dense, pruned, torch.tensor([[0, 1, 0]]))


def test_a_text_that_both_models_rule_out_is_one_sentence() -> None:
    dense, pruned = tables([0.5, 0.5, 0.0], [0.25, 0.75, 0.0])
    with pytest.raises(UserError, match="no chance at all"):
        measure(dense, pruned, torch.tensor([[0, 2, 0]]))


@pytest.mark.parametrize("value", [math.nan, INF])
def test_predictions_that_are_not_finite_are_one_sentence(value: float) -> None:
    good, bad = Table(torch.zeros(4, 4)), Table(torch.full((4, 4), value))
    windows = torch.tensor([[0, 1, 2]])
    with pytest.raises(UserError, match="The pruned model's predictions are not finite"):
        measure(good, bad, windows)
    with pytest.raises(UserError, match="The dense model's predictions are not finite"):
        measure(bad, good, windows)


@pytest.mark.parametrize(
    ("windows", "sentence"),
    [
        (torch.zeros(3, 1, dtype=torch.int64), "length >= 2"),
        (torch.zeros(4, dtype=torch.int64), "length >= 2"),
        (torch.zeros(0, 4, dtype=torch.int64), "length >= 2"),
        (torch.zeros(2, 4), "whole numbers from 0 to 63"),
        (torch.tensor([[0, 64]]), "whole numbers from 0 to 63"),
        (torch.tensor([[0, -1]]), "whole numbers from 0 to 63"),
    ],
)
def test_windows_that_are_refused(model: LlamaForCausalLM, windows: Tensor, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        measure(model, model, windows)


def test_models_of_different_vocabularies_are_refused(model: LlamaForCausalLM, tokens: Tensor) -> None:
    with pytest.raises(UserError, match="64 and 80 tokens"):
        measure(model, random_llama(vocab_size=80), tokens)


# --- two answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ([1, 2, 3], [1, 2, 3], 1.0),
        ([1, 2], [1, 2, 3], 1.0),  # as far as both go
        ([], [1], 1.0),
        ([1, 2, 3, 4], [1, 9, 3, 8], 1 / 3),
        ([1, 2, 3, 4, 5], [9, 2, 3], 2 / 3),
        ([1], [2], 0.0),
    ],
)
def test_agreement_counts_from_the_first_difference(a: list[int], b: list[int], share: float) -> None:
    assert agreement(a, b) == agreement(tuple(b), tuple(a)) == pytest.approx(share)


def _counted(table: Table, input_ids: Tensor, read: list[int]) -> SimpleNamespace:
    read.append(len(input_ids))
    return SimpleNamespace(logits=table.table[input_ids])
