"""Where a model runs and in which precision: what "auto" means, and which choices this machine cannot follow."""

from __future__ import annotations

import torch

from neuroal.errors import UserError
from neuroal.hosting import gpu

# Instead of a device: weights of the decoder blocks are kept elsewhere, as many as must be, or all of them on disk.
SPREAD, DISK = "offload", "disk"

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def has_cuda() -> bool:
    """Whether there is a CUDA device that this process may use."""
    return gpu.is_usable() and torch.cuda.is_available()


def pick_device(device: str = "auto") -> torch.device:
    """The device that blocks are run on: for "auto", "offload" and "disk" (CUDA, then MPS, then CPU), or the one named.

    Raises:
        UserError: it is not a device, or this machine has none.
    """
    available = {"cuda": has_cuda(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device in ("auto", SPREAD, DISK):
        return torch.device(next(kind for kind, there in available.items() if there))
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"Device {device!r} is not known; choose auto, cpu, cuda, mps, offload or disk.") from error
    beyond = picked.type == "cuda" and (picked.index or 0) >= torch.cuda.device_count()
    if not available.get(picked.type, False) or beyond:
        raise UserError(f"This machine has no device {device!r}; choose auto or cpu.")
    return picked


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The dtype for "auto", "float32", "bfloat16" or "float16".

    "auto" is float32 on CPU and MPS, on CUDA bfloat16 where the hardware has it and float16 elsewhere.

    Raises:
        UserError: it is none of these.
    """
    if dtype == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if dtype not in DTYPES:
        raise UserError(f"Precision {dtype!r} is not known; choose auto, {', '.join(DTYPES)}.")
    return DTYPES[dtype]
