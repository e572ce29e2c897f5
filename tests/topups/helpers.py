"""What the tests of the top-ups share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import neuroal
from neuroal.allocation import Allocation
from neuroal.masks import keep_counts
from neuroal.runs.events import Event, Notice
from tests.events import drained


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


def allocated(model: nn.Module, tokens: torch.Tensor, **settings: Any) -> Allocated:
    return Allocated(*drained(neuroal.iter_allocate(model, tokens, **settings)))


def zeros_by_row(model: nn.Module, allocation: Allocation) -> dict[str, list[int]]:
    """Zeros of each row of the linears that were pruned."""
    return {path: (model.get_submodule(path).weight == 0).sum(1).tolist() for path in allocation.sparsity}


def asked_by_row(model: nn.Module, allocation: Allocation) -> dict[str, list[int]]:
    """The counts that vectors of row ratios stand for."""
    columns = {path: model.get_submodule(path).weight.shape[1] for path in allocation.sparsity}
    return {path: (columns[path] - keep_counts(columns[path], r)).tolist() for path, r in allocation.sparsity.items()}


def told_or_made_up_for(
    model: nn.Module,
    tokens: torch.Tensor,
    settings: dict[str, Any],
    *,
    clipped: list[float],
    notice: tuple[str, ...],
    restored: list[float],
) -> None:
    """Block ratios out of range: as the reference leaves them there is a notice; with their mean restored, none."""
    found = allocated(model, tokens, **settings)
    assert found.by_block() == pytest.approx(clipped)
    (said,) = found.notices
    assert all(part in said for part in notice)
    found = allocated(model, tokens, renormalise=True, **settings)
    assert found.notices == []
    assert found.by_block() == pytest.approx(restored)
