"""How fast this machine multiplies matrices: tried, once in the life of a process, in the shapes of a small model."""

from __future__ import annotations

import functools
import threading
import time

import torch
from torch import Tensor

from neuroal.models.precision import has_cuda
from neuroal.vectors import fast_bfloat16

# How long the machine is tried: the best of many products is that of a machine which does nothing else.
CALIBRATION_SECONDS = 0.5

# Products of each precision by which the two are compared.
COMPARED = 8

_TRYING = threading.Lock()


def machine_speed() -> float:
    """Floating-point operations per second of float32 matrix products of a small model; takes half a second once."""
    with _TRYING:
        return _speed()


def bfloat16_time() -> float:
    """Seconds of a matrix product in bfloat16 for each second of the same in float32; takes a twentieth of a second
    once. About 0.45 on AMD's Zen 4, 0.2 to 0.3 on Zen 5."""
    with _TRYING:
        return _bfloat16_time()


def try_machine() -> None:
    """All that an estimate needs to know, so that the first one has not to wait for it."""
    machine_speed()
    if fast_bfloat16():
        bfloat16_time()


@functools.cache
def _speed() -> float:
    device = "cuda" if has_cuda() else "cpu"
    a, b = _factors(device)
    best, until = float("inf"), time.perf_counter() + CALIBRATION_SECONDS
    while time.perf_counter() < until:
        best = min(best, _seconds(a, b))
    return 2 * a.numel() * b.shape[1] / best


@functools.cache
def _bfloat16_time() -> float:
    plain = _factors("cpu")
    short = [factor.bfloat16() for factor in plain]
    pairs = [(_seconds(*plain), _seconds(*short)) for _ in range(COMPARED)]  # in turn: what slows one slows the other
    full, half = (min(times) for times in zip(*pairs, strict=True))
    return half / full


def _factors(device: str) -> tuple[Tensor, Tensor]:
    return torch.rand(1024, 576, device=device), torch.rand(576, 1536, device=device)


def _seconds(a: Tensor, b: Tensor) -> float:
    started = time.perf_counter()
    a @ b
    if a.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
