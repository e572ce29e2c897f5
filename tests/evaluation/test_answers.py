"""Batches of prompts beside single ones, on random models of many families; losses on a model that knows nothing."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaForCausalLM

from neuroal.errors import UserError
from neuroal.evaluation.answers import mean_losses, padding_is_harmless, write
from neuroal.generation import Settings, greedy_options
from tests.families.table import FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_no_family_s_answer(family: str) -> None:
    model, random = FAMILIES[family].build(), torch.Generator().manual_seed(3)
    prompts = [torch.randint(3, 64, (n,), generator=random) for n in (2, 9, 5)]
    options = greedy_options(model, SimpleNamespace(eos_token_id=None), Settings(max_tokens=6))
    alone = [write(model, [prompt], options)[0] for prompt in prompts]
    assert padding_is_harmless(model, prompts, options)
    assert write(model, prompts, options) == alone
    assert any(ids for ids, _ in alone)


def test_the_first_token_that_ends_an_answer_ends_it(model: LlamaForCausalLM) -> None:
    prompt = torch.tensor([1, 2, 3])
    options = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    ((whole, ended),) = write(model, [prompt], {**options, "eos_token_id": []})
    assert len(whole) == 5 and not ended
    cut = whole[: whole.index(whole[3])]
    assert write(model, [prompt], {**options, "eos_token_id": [whole[3], 63]}) == [(cut, True)]
    assert write(model, [prompt], {**options, "eos_token_id": [whole[0]]}) == [([], True)]


def test_losses_of_a_model_that_knows_nothing(model: LlamaForCausalLM) -> None:
    model.lm_head.weight.zero_()
    prompt = torch.tensor([1, 2, 3])
    assert mean_losses(model, prompt, [5, 6]) == pytest.approx((math.log(64), math.log(64)))
    assert mean_losses(model, prompt, []) == (None, None)
    assert mean_losses(model, torch.tensor([7, 7, 7, 7, 7]), [7])[1] is None  # nothing new in it


def test_predictions_that_are_not_finite_are_one_sentence(model: LlamaForCausalLM) -> None:
    model.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        mean_losses(model, torch.tensor([1]), [2])
