"""Which modules count as prunable linears, and their weight as [out, in]."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from neuroal.linears import find_linears


class Written(nn.Linear):
    """The very product, in other words."""

    def forward(self, input: Tensor) -> Tensor:
        return input @ self.weight.T + self.bias


class Router(nn.Linear):
    """Returns a choice."""

    def forward(self, input: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(input).topk(2)


class Scaled(nn.Linear):
    """Something else than the product."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def _names(device: str, dtype: torch.dtype) -> list[str]:
    with torch.device(device):
        modules = {"plain": nn.Linear(6, 4), "conv": Conv1D(4, 6), "written": Written(6, 4)}
        modules |= {"router": Router(6, 4), "norm": nn.LayerNorm(6), "scaled": Scaled(6, 4)}
        block = nn.ModuleDict(modules).to(dtype)
    return [linear.name for linear in find_linears("block", block)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_subclasses_that_do_the_same_product_are_found(dtype: torch.dtype) -> None:
    assert _names("cpu", dtype) == ["plain", "conv", "written"]


def test_without_memory_only_shapes_are_seen() -> None:
    assert _names("meta", torch.float32) == ["plain", "conv", "written", "scaled"]


def test_conv1d_is_seen_as_out_by_in() -> None:
    """Reading and writing share the memory of the stored [in, out]."""
    (linear,) = find_linears("h.0", nn.ModuleDict({"fc": Conv1D(4, 6)}))
    assert (linear.path, linear.name, linear.owner, tuple(linear.weight.shape)) == ("h.0.fc", "fc", "", (4, 6))
    linear.weight[3, 1] = 7
    assert linear.module.weight[1, 3] == 7
    linear.put(linear.module, torch.ones(4, 6))
    assert tuple(linear.module.weight.shape) == (6, 4)
