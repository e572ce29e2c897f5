"""Metrics by hand, and what every registered pruner owes."""

from __future__ import annotations

import pytest
import torch

from neuroal.pruners import PRUNERS, Magnitude, Wanda
from neuroal.statistics import InputNorm

WEIGHT = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 0.5, 0.0]])


def _statistics() -> InputNorm:
    """Norms 3, 1 and 0.5."""
    gathered = InputNorm()
    gathered.update(torch.tensor([[3.0, 1.0, 0.5]]))
    return gathered


def test_magnitude() -> None:
    assert Magnitude().metric(WEIGHT, None).tolist() == [[1, 2, 3], [4, 0.5, 0]]


def test_wanda() -> None:
    assert Wanda().metric(WEIGHT, _statistics()).tolist() == [[3, 2, 1.5], [12, 0.5, 0]]


@pytest.mark.parametrize("name", PRUNERS.labels)
def test_a_pruner_returns_a_new_weight_with_the_exact_count(name: str) -> None:
    before = WEIGHT.clone()
    pruned = PRUNERS.get(name)().prune(WEIGHT, _statistics(), 0.34)
    assert torch.equal(WEIGHT, before)
    assert (pruned == 0).sum(1).tolist() == [1, 1]
