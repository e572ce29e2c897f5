"""Twins: modules of one's own around tensors that are shared.

The dense model is never hooked and never written to, because others may be generating with it at the same moment.
Whoever needs hooks works on a skeleton; whoever needs other weights works on a sparse twin.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import nn

from neuroal.residence import is_offloaded, own_maps, settle, shared_by_copies

Module = TypeVar("Module", bound=nn.Module)


def skeleton(module: Module) -> Module:
    """New module objects around the very same parameters and buffers. Costs no tensor memory.

    What accelerate keeps in main memory or on disk is shared as well, and its hooks are copied.
    """
    shared: dict[int, Any] = {id(t): t for t in chain(module.parameters(), module.buffers())}
    copied = copy.deepcopy(module, shared | shared_by_copies(module))  # what the memo holds is not copied
    settle(copied)
    return copied


@torch.no_grad()
def sparse_twin(module: Module, paths: Iterable[str]) -> Module:
    """A skeleton whose modules at ``paths`` own a copy of their weight; every other tensor stays shared.

    Of a weight that is offloaded there is a copy once it is written to (residence.py), and that is on disk.
    """
    twin = skeleton(module)
    own_maps(twin)
    for path in paths:
        linear = twin.get_submodule(path)
        if is_offloaded(linear):
            continue
        linear.weight = nn.Parameter(linear.weight.detach().clone(), requires_grad=False)
    return twin


def own_bytes(twin: nn.Module, dense: nn.Module) -> int:
    """Bytes of the twin's tensors that it does not share with ``dense``."""
    shared = {t.data_ptr() for t in chain(dense.parameters(), dense.buffers())}
    return sum(
        t.numel() * t.element_size() for t in chain(twin.parameters(), twin.buffers()) if t.data_ptr() not in shared
    )
