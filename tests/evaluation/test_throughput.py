"""Tokens per second: what is timed and in which order, with a clock that ticks by hand; never how fast it was."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from neuroal.api import drain
from neuroal.evaluation import throughput
from neuroal.evaluation.throughput import Rate, iter_throughput, trial_count
from neuroal.twin import skeleton
from tests.offloaded import WAYS

PROMPT = torch.arange(1, 9)[None]


class Log:
    """Who was called with how many tokens, in order; and a clock by which every call of a model takes one second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, int]] = []
        forward = LlamaForCausalLM.forward

        def counted(model: LlamaForCausalLM, input_ids: torch.Tensor, **arguments: object) -> object:
            self.calls.append((model.config.name_or_path, input_ids.shape[1]))
            return forward(model, input_ids, **arguments)

        monkeypatch.setattr(LlamaForCausalLM, "forward", counted)
        monkeypatch.setattr(throughput.time, "perf_counter", lambda: 100.0 + len(self.calls))


def _pair(model: LlamaForCausalLM) -> dict[str, LlamaForCausalLM]:
    models = {"dense": skeleton(model), "pruned": skeleton(model)}
    for name, each in models.items():
        each.config.name_or_path = name
    return models


def test_trials_are_interleaved_and_the_first_of_each_is_not_counted(
    model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(monkeypatch)
    found = drain(iter_throughput(_pair(model), PROMPT, write=3, repeats=2))
    one = {name: [(name, 8), *itertools.repeat((name, 1), 3)] for name in ("dense", "pruned")}
    assert log.calls == 3 * (one["dense"] + one["pruned"])
    for each in found.values():  # 8 tokens in the one call that reads, and one token in every call that writes
        assert each.reading == Rate((8.0, 8.0))
        assert each.writing == Rate((1.0, 1.0))


def test_every_trial_is_told(model: LlamaForCausalLM) -> None:
    assert list(iter_throughput(_pair(model), PROMPT, write=1, repeats=2)) == [(n, 6) for n in range(1, 7)]
    assert trial_count(2, 2) == 6


def test_closing_stops_after_the_trial(model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(monkeypatch)
    trials = iter_throughput(_pair(model), PROMPT, write=2, repeats=5)
    next(trials)
    trials.close()
    assert log.calls == [("dense", 8), ("dense", 1), ("dense", 1)]


def test_an_end_of_text_ends_nothing(model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the model writes, its own settings call the end of the text."""
    model.generation_config.eos_token_id = list(range(64))
    model.generation_config.max_length = 9
    model.config.eos_token_id = list(range(64))
    log = Log(monkeypatch)
    drain(iter_throughput({"dense": model}, PROMPT, write=4, repeats=1))
    assert len(log.calls) == 2 * 5


def test_the_given_model_is_left_alone(model: LlamaForCausalLM) -> None:
    settings = model.generation_config
    before = {name: p.clone() for name, p in model.named_parameters()}
    drain(iter_throughput({"dense": model}, PROMPT, write=1, repeats=1))
    assert model.generation_config is settings
    assert not model._forward_pre_hooks
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize("way", WAYS)
def test_offloaded_models_are_timed_too(way: str, tmp_path: Path) -> None:
    offloaded = WAYS[way](tmp_path)
    found = drain(iter_throughput({"dense": offloaded}, PROMPT, write=2, repeats=2))["dense"]
    assert min(found.reading.trials + found.writing.trials) > 0
    assert offloaded(PROMPT).logits.isfinite().all()  # and it works as before


def test_median_and_spread() -> None:
    rate = Rate((3.0, 1.0, 10.0, 2.0))
    assert (rate.median, rate.smallest, rate.largest) == (2.5, 1.0, 10.0)
