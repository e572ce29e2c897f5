"""Where the numbers of a model stop being numbers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from neuroal.blocks import find_blocks
from neuroal.calls import Stop
from neuroal.errors import UserError
from neuroal.linears import find_linears


@torch.no_grad()
def first_not_finite(model: nn.Module, ids: Tensor) -> str:
    """The first linear of a decoder block, in order of execution, that receives or returns what is not finite.

    Args:
        model: a skeleton of the caller's own, for it is hooked meanwhile (see twin.py).
        ids: int64 [n, length], on the model's device.

    Returns:
        Such as "model.layers.1.mlp.up_proj (block 1)"; "" where it is in no block, or there are no blocks.
    """
    found: list[str] = []

    def watch(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if not all(bool(torch.isfinite(t).all()) for t in (*args, output) if isinstance(t, Tensor)):
                found.append(name)
                raise Stop

        return hook

    try:
        path, blocks = find_blocks(model)
    except UserError:
        return ""
    handles = [
        linear.module.register_forward_hook(watch(f"{linear.path} (block {b})"))
        for b, block in enumerate(blocks)
        for linear in find_linears(f"{path}.{b}", block)
    ]
    try:
        with suppress(Stop):
            model(input_ids=ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else ""
