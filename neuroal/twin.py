"""Twins: modules of one's own around tensors that are shared.

The dense model is never hooked and never written to, because others may be generating with it at the same moment.
Whoever needs hooks works on a skeleton; whoever needs other weights works on a sparse twin.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import chain
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def skeleton(module: Module) -> Module:
    """New module objects around the very same parameters and buffers. Costs no tensor memory."""
    shared = {id(t): t for t in chain(module.parameters(), module.buffers())}
    return copy.deepcopy(module, shared)  # a memo that already holds the tensors makes deepcopy reuse them


@torch.no_grad()
def sparse_twin(module: Module, paths: Iterable[str]) -> Module:
    """A skeleton whose modules at ``paths`` own a copy of their weight; every other tensor stays shared."""
    twin = skeleton(module)
    for path in paths:
        linear = twin.get_submodule(path)
        linear.weight = nn.Parameter(linear.weight.detach().clone(), requires_grad=False)
    return twin


def own_bytes(twin: nn.Module, dense: nn.Module) -> int:
    """Bytes of the twin's tensors that it does not share with ``dense``."""
    shared = {t.data_ptr() for t in chain(dense.parameters(), dense.buffers())}
    return sum(
        t.numel() * t.element_size() for t in chain(twin.parameters(), twin.buffers()) if t.data_ptr() not in shared
    )
