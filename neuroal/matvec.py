"""A matrix times one vector, which is nearly all that a written token costs: by numpy where that is faster than torch.

torch comes with MKL, which does not know every processor. On AMD's Zen 5 its product of a float32 matrix and a vector
reads 16 GB/s and takes no second thread; the OpenBLAS that numpy comes with reads 27 to 31, of 40 that the memory gives
to two threads. For SmolLM2 that is 21 in the place of 33 ms a token. Products with more rows stay with torch.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Twice what a near cache holds, out of which no model's matrices come: 64 MB.
TRIAL = (8192, 2048)
TRIALS = 5

# So much faster numpy has to be: 1.7 times and more it is on Zen 5, 1.04 to 1.2 times on Zen 4. Sums are added up in
# another order, so the choice must not hang on a moment's noise.
LEAST = 1.4


class OneRow(nn.Linear):
    """A linear in main memory, in float32, that numpy multiplies where its input is one row, and torch otherwise."""

    matrix: np.ndarray

    def forward(self, input: Tensor) -> Tensor:
        """``input``: float32 [..., in] -> [..., out]."""
        if input.numel() != self.in_features or input.dtype != torch.float32 or torch.is_grad_enabled():
            return super().forward(input)
        with np.errstate(all="ignore"):  # torch has nothing to say of what is not a number, either
            product = np.dot(self.matrix, input.numpy().reshape(-1))
        product = torch.from_numpy(product).view(*input.shape[:-1], self.out_features)
        return product if self.bias is None else product.add_(self.bias)


def by_numpy(model: nn.Module) -> None:
    """Has numpy multiply single rows in all linears for which it can, where it is faster on this thread.

    Args:
        model: a skeleton of one's own (twin.py). What is on another device, offloaded, of another precision or not a
            plain linear stays as it is.
    """
    linears = [module for module in model.modules() if _is_plain(module)]
    if linears and faster(torch.get_num_threads()):
        for linear in linears:
            linear.__class__, linear.matrix = OneRow, linear.weight.detach().numpy()


def _is_plain(module: nn.Module) -> bool:
    if type(module) is not nn.Linear or "forward" in vars(module):  # accelerate's hooks put a forward on the object
        return False
    weight = module.weight
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.is_contiguous()


def faster(threads: int) -> bool:
    """Whether numpy is: against torch on so many threads, those of the calling one. Measured once, in some 60 ms."""
    with _measuring:  # two that answer side by side must not come to different results
        return _measured(threads)


_measuring = threading.Lock()


@functools.cache
def _measured(threads: int) -> bool:
    matrix, vector = torch.ones(TRIAL), torch.ones(1, TRIAL[1])
    by_torch = functools.partial(F.linear, vector, matrix)
    of_numpy = functools.partial(np.dot, matrix.numpy(), vector[0].numpy())
    seconds = [(_seconds(by_torch), _seconds(of_numpy)) for _ in range(TRIALS)]
    torch_took, numpy_took = map(min, zip(*seconds, strict=True))
    return torch_took >= LEAST * numpy_took


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
