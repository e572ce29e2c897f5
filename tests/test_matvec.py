"""One row times a matrix by numpy: the same numbers up to rounding, only where it is faster, and only on one's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neuroal import matvec
from neuroal.matvec import OneRow, by_numpy
from neuroal.twin import skeleton
from tests.offloaded import all_on_disk
from tests.toys import random_llama


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy is the faster one, whatever this processor is."""
    monkeypatch.setattr(matvec, "faster", lambda threads: True)


def swapped(linear: nn.Linear) -> nn.Module:
    model = nn.Sequential(linear)
    by_numpy(model)
    return model[0]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("shape", [(6,), (1, 6), (1, 1, 6)])
def test_a_row_is_multiplied_by_hand(shape: tuple[int, ...]) -> None:
    linear = nn.Linear(6, 2)
    linear.weight.data = torch.tensor([[1.0, 2, 3, 4, 5, 6], [0, 0, 1, 0, 0, -1]])
    linear.bias.data = torch.tensor([0.5, -0.5])
    with torch.inference_mode():
        out = swapped(linear)(torch.tensor([1.0, 1, 2, 0, 0, 3]).view(shape))
    assert out.shape == (*shape[:-1], 2)
    assert out.flatten().tolist() == [27.5, -1.5]  # 1 + 2 + 6 + 18 + 0.5; 2 - 3 - 0.5


@pytest.mark.usefixtures("quick")
def test_it_is_numpy_that_multiplies_it_and_torch_more_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    products: list[tuple[int, ...]] = []

    def noted(matrix: np.ndarray, row: np.ndarray) -> Any:
        products.append(row.shape)
        return matrix @ row

    linear = swapped(nn.Linear(6, 4))
    monkeypatch.setattr(np, "dot", noted)
    one, two = torch.randn(1, 6), torch.randn(2, 6)
    with torch.no_grad():
        torch.testing.assert_close(linear(one), F.linear(one, linear.weight, linear.bias))
        assert torch.equal(linear(two), F.linear(two, linear.weight, linear.bias))
    assert products == [(6,)]
    linear(one).sum().backward()  # nothing that a gradient is asked of
    assert linear.weight.grad is not None and products == [(6,)]


@pytest.mark.usefixtures("quick")
def test_what_is_no_number_stays_so_and_nobody_is_warned(recwarn: pytest.WarningsRecorder) -> None:
    linear = swapped(nn.Linear(3, 2, bias=False))
    linear.weight.data[0, 1] = torch.inf
    with torch.inference_mode():
        out = linear(torch.tensor([[1.0, 0.0, 1.0]]))  # infinity times zero
    assert out.isnan().tolist() == [[True, False]]
    assert not recwarn.list


@pytest.mark.usefixtures("quick")
def test_a_model_answers_the_same_and_the_dense_one_is_not_touched() -> None:
    model = random_llama().eval()
    quick = skeleton(model)
    by_numpy(quick)
    assert {type(m) for m in quick.modules() if isinstance(m, nn.Linear)} == {OneRow}
    assert {type(m) for m in model.modules() if isinstance(m, nn.Linear)} == {nn.Linear}
    ids = torch.tensor([[1, 5, 9]])
    options = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0}
    assert torch.equal(quick.generate(ids, **options), model.generate(ids, **options))
    with torch.inference_mode():
        torch.testing.assert_close(quick(ids[:, :1]).logits, model(ids[:, :1]).logits, rtol=1e-4, atol=1e-5)


class Other(nn.Linear):
    """Of a class of its own, as adapters and quantised linears are."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 2


def column_major() -> nn.Linear:
    linear = nn.Linear(4, 4)
    linear.weight.data = linear.weight.data.t().contiguous().t()
    return linear


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "make",
    [lambda: nn.Linear(4, 4).bfloat16(), lambda: nn.Linear(4, 4, device="meta"), lambda: Other(4, 4), column_major],
)
def test_what_it_cannot_multiply_stays_as_it_is(make: Callable[[], nn.Linear]) -> None:
    linear = make()
    assert type(swapped(linear)) is type(linear) is not OneRow


@pytest.mark.usefixtures("quick")
def test_offloaded_weights_are_left_to_what_brings_them(tmp_path: Path) -> None:
    model = skeleton(all_on_disk(tmp_path))
    by_numpy(model)
    assert not [m for m in model.modules() if isinstance(m, OneRow)]


@pytest.mark.parametrize(("torch_takes", "numpy_takes", "chosen"), [(3, 1, True), (1, 1, False), (1, 3, False)])
def test_the_faster_one_is_chosen_once(
    torch_takes: int, numpy_takes: int, chosen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that each of them puts forward."""
    now = [0.0]

    def taking(seconds: int) -> Callable[..., None]:
        return lambda *_: now.__setitem__(0, now[0] + seconds)

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(F, "linear", taking(torch_takes))
    monkeypatch.setattr(np, "dot", taking(numpy_takes))
    matvec._measured.cache_clear()
    try:
        assert matvec.faster(1) is chosen
        assert now[0] == matvec.TRIALS * (torch_takes + numpy_takes)
        assert matvec.faster(1) is chosen and now[0] == matvec.TRIALS * (torch_takes + numpy_takes)
        linear = swapped(nn.Linear(2, 2))
        assert type(linear) is (OneRow if chosen else nn.Linear)
    finally:
        matvec._measured.cache_clear()
