"""Tokens per second of models side by side: reading a prompt and writing an answer, in interleaved trials."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, StoppingCriteria

from neuroal.heap import working_heap
from neuroal.residence import execution_device
from neuroal.twin import skeleton

# Tokens of the prompt, and of the answer.
READ, WRITE = 128, 32


@dataclass(frozen=True)
class Rate:
    """Tokens per second, one figure for each trial."""

    trials: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.trials)

    @property
    def smallest(self) -> float:
        return min(self.trials)

    @property
    def largest(self) -> float:
        return max(self.trials)


@dataclass(frozen=True)
class Throughput:
    """Of one model: ``reading`` a prompt as a whole, ``writing`` greedily, one token after the other."""

    reading: Rate
    writing: Rate


def iter_throughput(
    models: Mapping[str, nn.Module], prompt: Tensor, *, write: int = WRITE, repeats: int = 5
) -> Generator[tuple[int, int], None, dict[str, Throughput]]:
    """Times the models in turn, ``repeats`` times each, after one trial of each that is not counted.

    They generate as the app does, through transformers and with a cache, and always ``write`` tokens: an end of text
    ends nothing.

    Args:
        prompt: int64 [1, tokens].

    Yields:
        (trials done, trials in all), the uncounted ones too.
    """
    timers = {name: _Timer(model, prompt, write) for name, model in models.items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    done, total = 0, trial_count(len(models), repeats)
    for _ in range(repeats + 1):
        for name, timer in timers.items():
            seconds[name].append(timer.trial())
            done += 1
            yield done, total
    return {name: _throughput(trials[1:], prompt.shape[1], write) for name, trials in seconds.items()}


def trial_count(models: int, repeats: int) -> int:
    """Trials of :func:`iter_throughput`."""
    return models * (repeats + 1)


def _throughput(trials: list[tuple[float, float]], read: int, write: int) -> Throughput:
    reading = Rate(tuple(read / seconds for seconds, _ in trials))
    return Throughput(reading, Rate(tuple(write / seconds for _, seconds in trials)))


class _Timer(StoppingCriteria):
    """A model with a clock in it: it looks when the model is first called, and after each token."""

    def __init__(self, model: nn.Module, prompt: Tensor, write: int) -> None:
        self.model: Any = skeleton(model).eval()
        self.prompt, self.write = prompt.to(execution_device(model)), write
        # without the habits that a checkpoint gives its answers; the padding is not used, and named to be silent
        self.model.generation_config = GenerationConfig(pad_token_id=0)
        self.model.register_forward_pre_hook(self._begin)
        self.started, self.stamps = 0.0, []

    def trial(self) -> tuple[float, float]:
        """Seconds to read the prompt, up to the first token, and for the ``write`` tokens after it."""
        self.started, self.stamps = 0.0, []
        with working_heap(), torch.inference_mode():
            self.model.generate(
                input_ids=self.prompt,
                attention_mask=torch.ones_like(self.prompt),
                stopping_criteria=[self],
                do_sample=False,
                max_new_tokens=self.write + 1,
            )
        return self.stamps[0] - self.started, self.stamps[-1] - self.stamps[0]

    def _begin(self, *_: Any) -> None:
        self.started = self.started or time.perf_counter()

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        input_ids[0, -1].item()  # a GPU has computed all before it once this is known
        self.stamps.append(time.perf_counter())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
