"""What the tests of the top-ups share."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

import neuroal
from neuroal.allocation import Allocation
from neuroal.masks import keep_counts
from neuroal.runs.events import Event, Notice


@dataclass
class Allocated:
    """An allocation and the events that led to it."""

    events: list[Event]
    allocation: Allocation

    @property
    def notices(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Notice)]

    def by_block(self) -> list[float]:
        """The mean ratio of each block whose linears are pruned alike."""
        blocks: dict[str, list[float]] = {}
        for path, ratio in self.allocation.sparsity.items():
            blocks.setdefault(path.split(".")[2], []).append(float(np.mean(ratio)))
        return [float(np.mean(ratios)) for ratios in blocks.values()]

    def mean(self, model: nn.Module) -> float:
        """Of all ratios, weighted by parameters."""
        sizes = [model.get_submodule(path).weight.numel() for path in self.allocation.sparsity]
        return float(np.average([float(np.mean(r)) for r in self.allocation.sparsity.values()], weights=sizes))


def drained(events: Generator[Event, None, Any]) -> tuple[list[Event], Any]:
    """The events of a generator, and its result."""
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return seen, end.value


def allocated(model: nn.Module, tokens: torch.Tensor, **settings: Any) -> Allocated:
    return Allocated(*drained(neuroal.iter_allocate(model, tokens, **settings)))


def zeros_by_row(model: nn.Module, allocation: Allocation) -> dict[str, list[int]]:
    """Zeros of each row of the linears that were pruned."""
    return {path: (model.get_submodule(path).weight == 0).sum(1).tolist() for path in allocation.sparsity}


def asked_by_row(model: nn.Module, allocation: Allocation) -> dict[str, list[int]]:
    """The counts that vectors of row ratios stand for."""
    columns = {path: model.get_submodule(path).weight.shape[1] for path in allocation.sparsity}
    return {path: (columns[path] - keep_counts(columns[path], r)).tolist() for path, r in allocation.sparsity.items()}
