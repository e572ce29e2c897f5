"""2:4, the one pattern of zeros that a GPU multiplies faster: whether weights have it, and what it brings here.

At most 2 of any 4 consecutive weights along the inputs are kept. NVIDIA GPUs have units for it from compute capability
8.0 on (Mishra et al. 2021, https://arxiv.org/abs/2104.08378); torch reaches them through torch.sparse.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

CAPABILITY = (8, 0)

# Products that are timed as one trial: a single one may take less than a clock can tell.
PRODUCTS = 50

# How far the two products may be from each other, relative to the largest entry: both are in half precision.
SAME_PRODUCT = 0.02


@dataclass(frozen=True)
class Products:
    """Seconds of one product ``x Wᵀ`` in each trial, dense and semi-structured, for so many ``tokens`` at once."""

    tokens: int
    dense: tuple[float, ...]
    sparse: tuple[float, ...]

    @property
    def speedups(self) -> tuple[float, ...]:
        """How many times faster the semi-structured product is, trial by trial."""
        return tuple(d / s for d, s in zip(self.dense, self.sparse, strict=True))

    @property
    def speedup(self) -> float:
        return median(self.speedups)


def is_two_four(weight: Tensor) -> bool:
    """Whether a weight [out, in] keeps at most 2 of each 4 consecutive entries of every row."""
    if weight.dim() != 2 or weight.shape[1] % 4 or not weight.numel():
        return False
    kept = (weight != 0).unflatten(1, (-1, 4)).view(torch.uint8)  # [out, groups, 4]
    return bool((kept[..., 0] + kept[..., 1] + kept[..., 2] + kept[..., 3]).amax() <= 2)  # twice as fast as a sum


def has_units(device: torch.device) -> bool:
    """Whether this is a GPU that may have the units; whether torch can use them, a trial tells."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= CAPABILITY


@torch.no_grad()
def measure_products(weight: Tensor, tokens: int, repeats: int = 5) -> Products | str:
    """Times the two products of one weight in interleaved trials, after one that is not counted.

    Args:
        weight: [out, in] in the pattern, on the GPU.
        tokens: rows of the other factor.

    Returns:
        the times; or, where torch cannot do it or does it wrong, why, as the end of a sentence.
    """
    inputs = torch.randn(tokens, weight.shape[1], device=weight.device).to(weight.dtype)  # [tokens, in]
    weight = weight.contiguous()
    try:
        packed = torch.sparse.to_sparse_semi_structured(weight)
        exact, got = F.linear(inputs, weight).float(), F.linear(inputs, packed).float()
        if not bool((got - exact).abs().max() <= SAME_PRODUCT * exact.abs().max()):
            return "torch's semi-structured product gives another result than the dense one"
        trials = [[_seconds(inputs, w) for w in (weight, packed)] for _ in range(repeats + 1)][1:]
    except (RuntimeError, ValueError, TypeError, AssertionError) as refusal:
        said = str(refusal).strip().split("\n")[0].rstrip(".")
        shape, dtype = " x ".join(map(str, weight.shape)), str(weight.dtype).removeprefix("torch.")
        return f"torch does not do it for a weight of {shape} in {dtype} ({said or type(refusal).__name__})"
    return Products(tokens, *(tuple(side) for side in zip(*trials, strict=True)))


def _seconds(inputs: Tensor, weight: Tensor) -> float:
    """Of one product."""
    started = time.perf_counter()
    for _ in range(PRODUCTS):
        out = F.linear(inputs, weight)
    out.flatten()[0].item()  # a GPU computes in order, so once the last product is known all are done
    return (time.perf_counter() - started) / PRODUCTS
