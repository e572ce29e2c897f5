"""The pattern 2:4: who has it, and the measured product with a stand-in for torch's two calls."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from neuroal.evaluation.semi_structured import Products, has_units, is_two_four, measure_products

CONVERT = "torch.sparse.to_sparse_semi_structured"
CAPABILITY = "torch.cuda.get_device_capability"


def _weight() -> Tensor:
    """[32, 16] in the pattern."""
    return torch.randn(32, 16) * torch.tensor([1.0, 0, 0, 1]).repeat(32, 4)


def test_the_pattern() -> None:
    assert is_two_four(torch.tensor([[1.0, 0, 0, 2, 0, 3, 4, 0]]))
    assert is_two_four(torch.zeros(3, 4))
    assert not is_two_four(torch.tensor([[1.0, 0, 0, 0, 1, 1, 1, 0]]))  # half of all, but three of four
    assert not is_two_four(torch.tensor([[1.0, 0], [0, 0]]))  # no groups of four along a row
    assert not is_two_four(torch.zeros(8))
    assert not is_two_four(torch.zeros(0, 4))


def test_along_rows_only() -> None:
    weight = torch.ones(4, 4)
    weight[::2] = 0
    assert is_two_four(weight.t())
    assert not is_two_four(weight)


def test_equal_to_a_plain_loop() -> None:
    for seed in range(40):
        random = torch.Generator().manual_seed(seed)
        weight = torch.randn(2, 8, generator=random) * (torch.rand(2, 8, generator=random) > 0.6)
        groups = [row[i : i + 4] for row in weight.tolist() for i in (0, 4)]
        assert is_two_four(weight) == all(sum(x != 0 for x in group) <= 2 for group in groups)


@pytest.mark.parametrize(("capability", "there"), [((7, 5), False), ((8, 0), True), ((9, 0), True), ((12, 0), True)])
def test_units_are_told_by_the_capability(
    capability: tuple[int, int], there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(CAPABILITY, lambda device: asked.append(device) or capability)
    assert has_units(torch.device("cuda", 1)) is there
    assert asked == [torch.device("cuda", 1)]


def test_other_devices_have_none() -> None:
    assert not has_units(torch.device("cpu"))
    assert not has_units(torch.device("mps"))


def test_both_products_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, used, packed = _weight(), [], _weight()

    def linear(inputs: Tensor, w: Tensor) -> Tensor:
        used.append("packed" if w is packed else "dense")
        return inputs @ weight.t()

    monkeypatch.setattr(CONVERT, lambda w: packed if torch.equal(w, weight) else None)
    monkeypatch.setattr("torch.nn.functional.linear", linear)
    monkeypatch.setattr("neuroal.evaluation.semi_structured.PRODUCTS", 3)
    found = measure_products(weight, 5, repeats=2)
    assert isinstance(found, Products)
    assert (found.tokens, len(found.dense), len(found.sparse)) == (5, 2, 2)
    assert min(found.dense + found.sparse) > 0
    trial = ["dense"] * 3 + ["packed"] * 3
    assert used == ["dense", "packed"] + 3 * trial  # the comparison, one trial that is not counted, and two that are


def test_a_weight_that_is_a_view_is_made_contiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(CONVERT, lambda w: seen.append(w.is_contiguous()) or w)
    assert isinstance(measure_products(_weight().t().contiguous().t(), 2, 1), Products)
    assert seen == [True]


def test_the_speedup_is_that_of_pairs() -> None:
    found = Products(128, dense=(2.0, 4.0, 9.0), sparse=(1.0, 1.0, 3.0))
    assert found.speedups == (2.0, 4.0, 3.0)
    assert found.speedup == 3.0


@pytest.mark.parametrize("error", [RuntimeError, ValueError, NotImplementedError, AssertionError])
def test_a_refusal_becomes_a_reason(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Tensor) -> Tensor:
        raise error("dtype is not supported.\nException raised from somewhere (most recent call first):")

    monkeypatch.setattr(CONVERT, refuse)
    reason = measure_products(_weight(), 4)
    assert reason == "torch does not do it for a weight of 32 x 16 in float32 (dtype is not supported)"


def test_torch_itself_refuses_a_weight_that_is_not_on_a_gpu() -> None:
    reason = measure_products(_weight(), 4)
    assert isinstance(reason, str)
    assert reason.startswith("torch does not do it for a weight of 32 x 16 in float32 (")


def test_a_wrong_product_is_no_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CONVERT, lambda w: w * 1.1)
    assert "another result" in str(measure_products(_weight(), 4))
    monkeypatch.setattr(CONVERT, lambda w: w * float("nan"))
    assert "another result" in str(measure_products(_weight(), 4))
