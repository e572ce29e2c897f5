"""The linears of a decoder block that can be pruned: which modules count, and one view of their weight as [out, in]."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from neuroal.errors import is_out_of_memory
from neuroal.residence import is_offloaded, resident

# How far a class derived from nn.Linear may be from the plain product, relative to its largest output.
SAME_PRODUCT = 0.02


@dataclass(frozen=True)
class Linear:
    """A prunable linear: its path in the model, its name within the block, and its weight as [out, in]."""

    path: str
    name: str
    module: nn.Module

    @property
    def transposed(self) -> bool:
        """Whether the module has its weight as [in, out], as transformers' Conv1D does."""
        return isinstance(self.module, Conv1D)

    @property
    def weight(self) -> Tensor:
        """The weight as [out, in]; where the module has it transposed, a view of the same memory."""
        weight = self.module.weight.detach()
        return weight.t() if self.transposed else weight

    @property
    def owner(self) -> str:
        """Name within the block of the module that owns it, such as "self_attn"; empty where that is the block."""
        return self.name.rpartition(".")[0]

    def stored(self, weight: Tensor) -> Tensor:
        """A weight [out, in] as the module has it: transposed for Conv1D."""
        return weight.t() if self.transposed else weight

    def put(self, module: nn.Module, weight: Tensor) -> None:
        """Gives ``module`` (this linear, in whatever copy of the block) the weight [out, in] as its own."""
        module.weight = nn.Parameter(self.stored(weight), requires_grad=False)


def find_linears(path: str, block: nn.Module) -> tuple[Linear, ...]:
    """The prunable linears of a block in registration order: nn.Linear, Conv1D, and what does the very same product."""
    return tuple(
        Linear(f"{path}.{name}", name, module)
        for name, module in block.named_modules()
        if type(module) in (nn.Linear, Conv1D) or (isinstance(module, nn.Linear) and _is_plain(module, block))
    )


def _is_plain(module: nn.Linear, block: nn.Module) -> bool:
    """Whether it does the product; what is kept elsewhere is loaded for the trial, the whole block if need be."""
    if not is_offloaded(block):
        return _does_the_product(module)
    with resident(module if is_offloaded(module) else block):
        return _does_the_product(module)


@torch.no_grad()
def _does_the_product(module: nn.Linear) -> bool:
    """Whether a class derived from nn.Linear still computes ``x Wᵀ + bias`` from a weight of plain numbers.

    Some only write the product differently; others are routers that return a choice of experts, or keep their weight
    quantised: to zero entries of those would mean something else. Without memory (device meta) only the shape is seen.
    """
    weight = module.weight
    if type(weight) not in (nn.Parameter, Tensor) or not weight.is_floating_point() or weight.dim() != 2:
        return False
    inputs = torch.linspace(-1, 1, weight.shape[1], device=weight.device).to(weight.dtype).unsqueeze(0)  # [1, in]
    try:
        expected, got = nn.functional.linear(inputs, weight, module.bias), module(inputs)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        if is_out_of_memory(error):
            raise
        return False
    if not isinstance(got, Tensor) or got.shape != expected.shape:
        return False
    if weight.device.type == "meta":
        return True
    return bool((got.float() - expected.float()).abs().max() <= SAME_PRODUCT * expected.float().abs().max())
