"""What the dense model writes on from calibration text: its shape, its beginnings, and that it can be repeated."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaForCausalLM

from neuroal import continuations
from neuroal.api import drain
from neuroal.continuations import iter_continuations


def test_each_continuation_begins_with_a_piece_of_its_sequence(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """4 sequences of 12 tokens, 3 places: 3 tokens from 0, 4 and 9."""
    written = drain(iter_continuations(model, tokens, 3))
    assert written.shape == (12, 12) and written.dtype == torch.int64
    for n, row in enumerate(written):
        start = (0, 4, 9)[n % 3]
        assert torch.equal(row[:3], tokens[n // 3, start : start + 3])
    assert written.min() >= 0 and written.max() < model.config.vocab_size


def test_it_is_repeatable_whatever_the_global_seed(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    first = drain(iter_continuations(model, tokens, 2, seed=5))
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(drain(iter_continuations(model, tokens, 2, seed=5)), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(drain(iter_continuations(model, tokens, 2, seed=6)), first)


def test_a_single_continuation_begins_where_its_sequence_does(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    written = drain(iter_continuations(model, tokens, 1))
    assert torch.equal(written[:, :3], tokens[:, :3])


def test_ends_of_text_are_not_drawn(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """Half of the vocabulary ends a text, and still every sequence is full."""
    model.generation_config.eos_token_id = list(range(32))
    written = drain(iter_continuations(model, tokens, 3))
    assert written.shape == (12, 12) and (written[:, 3:] >= 32).all()


def test_progress_is_told_before_each_batch(
    model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuations, "BATCH_TOKENS", 60)  # five sequences of 12 tokens
    assert list(iter_continuations(model, tokens, 3)) == [0, 5, 10]


def test_two_tokens_are_the_shortest_sequence(model: LlamaForCausalLM) -> None:
    written = drain(iter_continuations(model, torch.tensor([[1, 2]]), 2))
    assert written.shape == (2, 2) and written[:, 0].tolist() == [1, 2]
