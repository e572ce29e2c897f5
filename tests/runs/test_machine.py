"""What the machine is tried for: products of two precisions, once each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from neuroal.runs import machine


@pytest.fixture(autouse=True)
def _untried() -> Iterator[None]:
    for found in (machine._speed, machine._bfloat16_time):
        found.cache_clear()
    yield
    for found in (machine._speed, machine._bfloat16_time):
        found.cache_clear()


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The products that were asked for, each of which takes 4 ms in float32 and 1 ms in bfloat16, but for the first
    of each, which takes a second."""
    asked: list[torch.dtype] = []

    def seconds(a: torch.Tensor, b: torch.Tensor) -> float:
        asked.append(a.dtype)
        assert (a.shape, b.shape, a.dtype) == ((1024, 576), (576, 1536), b.dtype)
        return 1.0 if asked.count(a.dtype) == 1 else 0.004 if a.dtype == torch.float32 else 0.001

    monkeypatch.setattr(machine, "_seconds", seconds)
    monkeypatch.setattr(machine, "has_cuda", lambda: False)
    monkeypatch.setattr(machine, "CALIBRATION_SECONDS", 0.01)
    return asked


def test_the_speed_is_that_of_the_best_product_and_tried_once(tried: list[Any]) -> None:
    """Two operations for each of 1024 x 576 x 1536 products in 4 ms."""
    assert machine.machine_speed() == pytest.approx(2 * 1024 * 576 * 1536 / 0.004)
    count = len(tried)
    machine.machine_speed()
    assert len(tried) == count > 1


def test_bfloat16_is_told_by_the_best_of_each(tried: list[Any]) -> None:
    assert machine.bfloat16_time() == pytest.approx(0.25)
    machine.bfloat16_time()
    assert tried == [torch.float32, torch.bfloat16] * machine.COMPARED


@pytest.mark.parametrize("fast", [True, False])
def test_only_what_is_worth_knowing_is_tried(tried: list[Any], monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    monkeypatch.setattr(machine, "fast_bfloat16", lambda: fast)
    machine.try_machine()
    assert (torch.bfloat16 in tried) is fast


def test_real_products_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CALIBRATION_SECONDS", 0.05)
    assert machine.machine_speed() > 1e8
    assert machine.bfloat16_time() > 0
