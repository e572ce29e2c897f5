"""What the dense model writes on from calibration text: its shape, its beginnings, and that it can be repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

import neuroal
from neuroal import background, continuations
from neuroal.api import drain
from neuroal.continuations import iter_continuations
from tests.toys import random_llama


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


def test_silent_writing_is_heard_of_and_can_be_given_up(
    model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that waits for ever unless it is told to stop."""
    waiting = threading.Event()

    def slow(self: continuations.StopWhen, ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
        waiting.set()
        self.stop.wait(60)
        return torch.full((len(ids),), self.stop.is_set())

    monkeypatch.setattr(background, "HEARTBEAT", 0.01)
    monkeypatch.setattr(continuations.StopWhen, "__call__", slow)
    writing = iter_continuations(model, tokens, 3)
    assert [next(writing) for _ in range(3)] == [0, 0, 0] and waiting.wait(60)
    writing.close()
    assert not any(thread.name == "neuroal-continuations" for thread in threading.enumerate())


def test_a_failure_while_writing_is_raised_here(
    model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuations, "GumbelNoise", lambda seed: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        drain(iter_continuations(model, tokens, 1))


def test_two_tokens_are_the_shortest_sequence(model: LlamaForCausalLM) -> None:
    written = drain(iter_continuations(model, torch.tensor([[1, 2]]), 2))
    assert written.shape == (2, 2) and written[:, 0].tolist() == [1, 2]


@pytest.mark.parametrize(
    "habit",
    [
        {"repetition_penalty": 5.0},
        {"suppress_tokens": [1, 2, 3, 4, 5, 6, 7]},
        {"return_dict_in_generate": True},
        {"num_return_sequences": 2},
        {"stop_strings": ["a"]},
        {"max_time": 0.0},
        {"prompt_lookup_num_tokens": 3},
    ],
    ids=str,
)
def test_continuations_do_not_follow_the_habits_of_a_checkpoint(
    model: LlamaForCausalLM, tokens: Tensor, habit: dict[str, object]
) -> None:
    plain = drain(iter_continuations(model, tokens, 2))
    for name, value in habit.items():
        setattr(model.generation_config, name, value)
    assert torch.equal(drain(iter_continuations(model, tokens, 2)), plain)
    assert all(getattr(model.generation_config, name) == value for name, value in habit.items())


@pytest.mark.parametrize("work", [neuroal.perplexity, lambda model, ids: drain(iter_continuations(model, ids, 1))])
def test_state_that_a_family_keeps_in_its_modules_stays_the_callers(work: Callable[..., object]) -> None:
    """Rotary frequencies of the type "dynamic" are rewritten by each pass that is longer than those before."""
    model = random_llama(rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4})
    before = [buffer.clone() for buffer in model.buffers()]
    work(model, torch.randint(0, 64, (1, 96)))
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))
