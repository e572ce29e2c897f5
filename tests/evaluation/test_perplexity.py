"""Perplexity against a ten-line loop, and its standard error by hand."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.api import drain
from neuroal.errors import UserError
from neuroal.evaluation.perplexity import Perplexity, iter_perplexity
from neuroal.runs.events import Evaluated


def _plain(model: LlamaForCausalLM, windows: torch.Tensor) -> list[float]:
    """Mean negative log-probability of each window in float64."""
    losses = []
    for window in windows:
        log_p = model(window[None]).logits[0, :-1].double().log_softmax(-1)
        losses.append(-float(log_p[torch.arange(len(window) - 1), window[1:]].mean()))
    return losses


def test_equal_to_a_plain_loop(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    losses = _plain(model, tokens)
    mean = sum(losses) / 4
    figure: Perplexity = drain(iter_perplexity(model, tokens))
    assert figure.value == pytest.approx(math.exp(mean), rel=1e-6)
    assert neuroal.perplexity(model, tokens) == figure.value
    spread = math.sqrt(sum((x - mean) ** 2 for x in losses) / 3 / 4)
    assert figure.stderr == pytest.approx(math.exp(mean) * spread, rel=1e-4)
    assert figure.predictions == 4 * 11


def test_every_batch_is_told(model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroal.evaluation.perplexity.BATCH_TOKENS", 3 * tokens.shape[1])
    events = list(iter_perplexity(model, tokens, variant="dense"))
    assert events == [Evaluated("dense", 3, 4), Evaluated("dense", 4, 4)]


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    model.lm_head.weight.zero_()
    assert neuroal.perplexity(model, tokens) == pytest.approx(64)


def test_predictions_that_are_not_finite_are_one_sentence(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    model.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        neuroal.perplexity(model, tokens)


def test_windows_of_a_wrong_shape_are_refused(model: LlamaForCausalLM) -> None:
    with pytest.raises(UserError, match="length >= 2"):
        neuroal.perplexity(model, torch.zeros(3, 1, dtype=torch.int64))
