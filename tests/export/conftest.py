"""Pruned random models with a tokenizer, and whatever else is exported in the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from neuroal.blocks import DecoderStack
from neuroal.export import Source, of_model
from neuroal.models.hub import forget_unreachable
from neuroal.models.loading import LanguageModel
from neuroal.residence import read_weight, write_weight
from tests.export.hub import FakeHub
from tests.models.conftest import use_transport  # noqa: F401  (a fixture)
from tests.toys import random_llama

SHARE = 0.7


def zeroed(model: Any, share: float = SHARE) -> Any:
    """The model with the first ``share`` of each linear's weights, by size, set to zero in place."""
    stack = DecoderStack(model)
    with torch.no_grad():
        for linear in stack.all_linears():
            weight = read_weight(stack.model, linear.path)
            kth = weight.abs().flatten().kthvalue(max(1, int(share * weight.numel()))).values
            write_weight(stack.model, linear.path, weight.masked_fill(weight.abs() <= kth, 0))
    return model


def zeros_of(model: Any) -> dict[str, int]:
    """Zeros of each linear by path."""
    stack = DecoderStack(model)
    return {x.path: int((read_weight(stack.model, x.path) == 0).sum()) for x in stack.all_linears()}


def conv1d(positions: int = 64) -> PreTrainedModel:
    """Two blocks whose linears have their weights transposed, with the vocabulary of the teaching model."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=2048, n_embd=16, n_layer=2, n_head=2, n_positions=positions)
    return GPT2LMHeadModel(config).eval().requires_grad_(False)


@pytest.fixture
def source_of(tiny: LanguageModel) -> Callable[..., Source]:
    """Makes a source of a model, with the tokenizer of the teaching model."""

    def make(model: Any, **more: Any) -> Source:
        return of_model(model, tiny.tokenizer, **more)

    return make


@pytest.fixture
def pruned() -> PreTrainedModel:
    """A random grouped-query model of three blocks with the vocabulary of the teaching model, 70 % zero."""
    return zeroed(random_llama(vocab_size=2048))


@pytest.fixture
def source(pruned: PreTrainedModel, source_of: Callable[..., Source]) -> Source:
    return source_of(pruned, name="someone/a-model", licence="Apache-2.0")


@pytest.fixture
def hub(
    use_transport: Callable[..., Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> FakeHub:
    """A Hub without repositories, in which "someone" is signed in with the token "hf_secret"."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    forget_unreachable()
    fake = FakeHub()
    fake.http = use_transport(fake.answer)
    return fake
