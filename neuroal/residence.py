"""Weights that are not always there: what accelerate keeps in main memory or on disk, loaded while it is needed.

accelerate puts a hook on each module whose weights it keeps elsewhere: they are on the device "meta", come before every
call of the module and go after it. That is once per micro-batch and statistic for whoever calls one block many times,
and nothing can be read in between. Here they come once, stay while a block is ``resident``, and go.

This is the only file that looks at these hooks. For a model without them everything here does nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.hooks import AlignDevicesHook, SequentialHook
from accelerate.utils import PrefixedDataset
from torch import Tensor, nn

from neuroal.errors import UserError
from neuroal.overlay import Overlay

# Methods that accelerate puts on a model object itself; they go on moving that very object when they are copied.
MOVERS = ("to", "cuda", "npu", "xpu", "mlu", "sdaa", "musa")


def _align_hooks(module: nn.Module) -> Iterator[tuple[nn.Module, AlignDevicesHook]]:
    """(module, hook) for every hook on it and on what is inside it."""
    for part in module.modules():
        for hook in _own_hooks(part):
            yield part, hook


def _own_hooks(module: nn.Module) -> list[AlignDevicesHook]:
    """The hooks on a module itself."""
    hook = getattr(module, "_hf_hook", None)
    every = hook.hooks if isinstance(hook, SequentialHook) else (hook,)
    return [single for single in every if isinstance(single, AlignDevicesHook)]


def _keepers(module: nn.Module) -> Iterator[tuple[nn.Module, AlignDevicesHook]]:
    """The hooks that keep weights elsewhere; also while these are loaded."""
    return ((part, hook) for part, hook in _align_hooks(module) if hook.weights_map is not None)


def is_offloaded(module: nn.Module) -> bool:
    """Whether some of its weights are kept elsewhere."""
    return next(_keepers(module), None) is not None


@contextmanager
def resident(block: nn.Module) -> Iterator[None]:
    """Inside, all weights of a module are on the device that it runs on, and calls of it move none.

    Its inputs still travel to that device. Inside another ``resident`` of the same module this does nothing.

    Args:
        block: of a skeleton: its hooks are switched off and on.

    Raises:
        UserError: weights without memory and without anything that knows where they are kept.
    """
    loaded: list[tuple[nn.Module, AlignDevicesHook]] = []
    try:
        for part, hook in _keepers(block):
            if hook.offload:  # else an outer ``resident`` has loaded it
                loaded.append((part, hook))
                hook.pre_forward(part)
                hook.offload = False
        if any(p.device.type == "meta" for p in block.parameters()):
            raise UserError("Some weights of this model were never loaded; load it again, complete.")
        yield
    finally:
        for part, hook in loaded:
            hook.offload = True
            hook.post_forward(part, None)


def execution_device(module: nn.Module) -> torch.device:
    """The device for a module's inputs: of its first weight that is there, or that its first hook brings weights to."""
    own = next((p.device for p in module.parameters() if p.device.type != "meta"), None)
    if own is not None:
        return own
    devices = (hook.execution_device for _, hook in _keepers(module) if hook.execution_device is not None)
    return torch.device(next(devices, "meta"))


def shared_by_copies(module: nn.Module) -> dict[int, Any]:
    """For the memo of a deep copy, by id: the weights kept elsewhere, themselves; the books on tied ones, copied."""
    memo: dict[int, Any] = {}
    for _, hook in _align_hooks(module):
        if hook.weights_map is not None:
            memo[id(hook.weights_map)] = hook.weights_map
        tied = hook.tied_params_map
        if tied is not None and id(tied) not in memo:
            memo[id(tied)] = {pointer: dict(devices) for pointer, devices in list(tied.items())}
    return memo


def settle(copied: nn.Module) -> None:
    """Makes a fresh copy of a module a thing of its own."""
    for name in MOVERS:
        copied.__dict__.pop(name, None)
    for _, hook in _keepers(copied):
        # Tied weights are told by their address, and what was loaded and freed may leave its address to the next one.
        if not hook.tied_params_names:
            hook.tied_params_map = None


def when_gone(model: nn.Module, call: Callable[[], Any]) -> None:
    """Calls ``call`` once nothing uses the offloaded weights of a model any longer, or at the end of the process."""
    for _, hook in _keepers(model):
        weakref.finalize(getattr(hook.weights_map, "dataset", hook.weights_map), call)
        return


def own_maps(twin: nn.Module) -> None:
    """What is written to a skeleton's offloaded weights from now on is its own, and on disk."""
    overlays: dict[int, Overlay] = {}
    for _, hook in _keepers(twin):
        kept = hook.weights_map
        base, prefix = (kept.dataset, kept.prefix) if isinstance(kept, PrefixedDataset) else (kept, "")
        if id(base) not in overlays:
            overlays[id(base)] = Overlay(base)
        hook.weights_map = PrefixedDataset(overlays[id(base)], prefix)


def read_weight(model: nn.Module, path: str) -> Tensor:
    """The weight of the linear at ``path``, as it is stored, wherever it is kept; not to be written to."""
    return read_parameter(model, f"{path}.weight")


def read_parameter(model: nn.Module, name: str) -> Tensor:
    """The parameter called ``name``, as it is stored, wherever it is kept; not to be written to."""
    owner, _, leaf = name.rpartition(".")
    keeper, parameter = _keeper(model, name), getattr(model.get_submodule(owner), leaf).detach()
    if keeper is None:
        return parameter
    hook, key = keeper
    return hook.weights_map[key].to(parameter.dtype)


def write_weight(model: nn.Module, path: str, weight: Tensor) -> None:
    """Replaces the weight of the linear at ``path``, for the model and all skeletons that share it.

    Weights in memory are written over. Of weights on disk the new ones are put into files of our own: the checkpoint
    stays as it is.

    Args:
        weight: as it is stored ([in, out] for Conv1D).

    Raises:
        UserError: they are kept where nothing can be written, or the disk is full.
    """
    keeper, module = _keeper(model, f"{path}.weight"), model.get_submodule(path)
    if keeper is None:
        module.weight.copy_(weight)
        return
    hook, key = keeper
    kept = _writable(model, hook, key)
    if isinstance(kept, Overlay):
        kept.put(f"{hook.weights_map.prefix}{key}", weight)
    else:
        kept.copy_(weight)
    if module.weight.device.type != "meta":  # resident: what was loaded may be a copy, or shared with the dense model
        module.weight = nn.Parameter(weight.to(module.weight).contiguous(), requires_grad=False)


def _keeper(model: nn.Module, name: str) -> tuple[AlignDevicesHook, str] | None:
    """The hook that keeps the parameter called ``name``, and its name there; None where it is plain."""
    names = name.split(".")
    for depth in range(len(names) - 1, -1, -1):
        owner, key = model.get_submodule(".".join(names[:depth])), ".".join(names[depth:])
        for hook in _own_hooks(owner):
            if hook.weights_map is not None and ("." not in key or hook.place_submodules):
                return hook, key
    return None


def _writable(model: nn.Module, hook: AlignDevicesHook, key: str) -> Tensor | Overlay:
    """The tensor in memory, or the overlay, that takes a new weight in the place of the one called ``key``."""
    kept = hook.weights_map
    over = kept.dataset if isinstance(kept, PrefixedDataset) else None
    if isinstance(over, Overlay):
        return over
    stored = kept[key]
    if stored is kept[key]:  # read from disk it would be a new tensor each time
        return stored
    if over is None:
        raise UserError("The weights of this model are kept where pruned ones cannot be written; load it another way.")
    overlay = Overlay(over)
    for _, other in _keepers(model):
        if isinstance(other.weights_map, PrefixedDataset) and other.weights_map.dataset is over:
            other.weights_map.dataset = overlay  # this object is shared by the model and its skeletons
    return overlay
