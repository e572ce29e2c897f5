"""Whether the blocks of a model can be replayed one by one: tried on one short sequence before anything relies on it.

A block is replayed with the arguments that it was recorded with. That is wrong for a model which keeps state elsewhere,
passes a block's by-products on as arguments, or does something between its blocks; such a model is refused in one
sentence instead of being scored on inputs that it never had. A mapping or list that blocks fill for later ones (shared
keys and values) does work: each micro-batch keeps its own, and walking the blocks in order fills it again.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from neuroal.calls import Call, Stop, hidden_of, same_content, tensors
from neuroal.errors import UserError, is_out_of_memory

# Tokens of the sequence that is tried: more would show nothing else.
PROBE_TOKENS = 32


@dataclass
class Pass:
    """One forward pass, as the blocks saw it: per block its input [1, T, d], its call and its output.

    Attributes:
        order: the blocks as they were called.
        containers: mappings and lists among the arguments, each with what it held when it was first seen.
    """

    order: list[int] = field(default_factory=list)
    inputs: dict[int, Tensor] = field(default_factory=dict)
    calls: dict[int, Call] = field(default_factory=dict)
    outputs: dict[int, Any] = field(default_factory=dict)
    containers: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def keep_containers(self, call: Call) -> None:
        """Remembers the containers of a call that have not been seen before."""
        for _, value in call.named():
            if isinstance(value, (MutableMapping, list)):
                held = dict(value) if isinstance(value, MutableMapping) else list(value)
                self.containers.setdefault(id(value), (value, held))

    def restore_containers(self) -> None:
        """Back to what they held at first."""
        for container, held in self.containers.values():
            container.clear()
            container.update(held) if isinstance(container, MutableMapping) else container.extend(held)


@dataclass(frozen=True)
class Examined:
    """A model whose blocks can be replayed.

    Attributes:
        probe: a recorded pass, for whoever needs an input of some block.
        varying: whether calls depend on the tokens themselves, not on their number alone.
        plain: whether blocks return hidden states and nothing else, so that the model goes on without their work.
    """

    probe: Pass
    varying: bool
    plain: bool


def examine(model: nn.Module, path: str, blocks: list[nn.Module], tokens: Tensor) -> Examined:
    """Two passes over one short sequence and its reverse, then each block on its own on what it had in the first.

    The second pass leaves other state behind, so that a block which reads state of the model's cannot pass by luck.

    Args:
        path: of the list of blocks, for messages.
        tokens: int64 [N, T], on the model's device.

    Raises:
        UserError: a block cannot be replayed; it is named, and what stands in the way.
    """
    tokens = tokens[:1, :PROBE_TOKENS]
    with torch.inference_mode(False), torch.no_grad():  # what is recorded serves a gradient later
        first = _record(model, path, blocks, tokens)
        second = _record(model, path, blocks, _others(tokens))
        varying = [_varying(first.calls[b], second.calls[b]) for b in range(len(blocks))]
        for b, names in enumerate(varying):
            _check_arguments(path, b, first, names)
        first.restore_containers()
        for b, block in enumerate(blocks):
            _check_replay(path, b, block, first)
    return Examined(first, any(varying), all(isinstance(output, Tensor) for output in first.outputs.values()))


def _others(tokens: Tensor) -> Tensor:
    """The sequence reversed; where that is the same sequence, its neighbours in the vocabulary."""
    reversed_ = tokens.flip(1)
    return torch.where(tokens > 0, tokens - 1, 1) if torch.equal(reversed_, tokens) else reversed_


def block_name(path: str, b: int) -> str:
    """As it is called in messages, such as "Block 3 (model.layers.3)"."""
    return f"Block {b} ({path}.{b})"


def _refuse(path: str, b: int, reason: str) -> NoReturn:
    raise UserError(f"{block_name(path, b)} cannot be replayed on its own: {reason}; choose another model.")


def _record(model: nn.Module, path: str, blocks: list[nn.Module], tokens: Tensor) -> Pass:
    """One forward pass with hooks on every block; ends after the last one."""
    seen, handles = Pass(), []

    def before(b: int) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen.order.append(b)
            seen.inputs[b], seen.calls[b] = Call.split(args, kwargs, block_name(path, b))
            seen.keep_containers(seen.calls[b])

        return hook

    def after(b: int) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            seen.outputs[b] = output
            if b == len(blocks) - 1:
                raise Stop

        return hook

    try:
        for b, block in enumerate(blocks):
            handles.append(block.register_forward_pre_hook(before(b), with_kwargs=True))
            handles.append(block.register_forward_hook(after(b)))
        with suppress(Stop):
            model(input_ids=tokens, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    for b in range(len(blocks)):
        if seen.order[b : b + 1] != [b] or seen.order.count(b) != 1:
            _refuse(path, b, "the model does not run its blocks once each, in the order of their list")
    return seen


def _check_arguments(path: str, b: int, seen: Pass, varying: list[str]) -> None:
    """No argument may be a by-product of an earlier block: the pruned one's would not be heard.

    By-products that do not depend on the tokens, such as a position bias, are harmless.
    """
    produced = [t for earlier in range(b) for t in tensors(seen.outputs[earlier])]
    for name, value in seen.calls[b].named():
        if name not in varying or id(value) in seen.containers:
            continue
        if any(t is p for t in tensors(value) for p in produced):
            _refuse(path, b, f"its argument {name!r} comes from a block before it")


def _check_replay(path: str, b: int, block: nn.Module, seen: Pass) -> None:
    """Called again it returns the same, and the next block receives just that."""
    output = hidden_of(seen.outputs[b])
    if output is None:
        _refuse(path, b, f"it returns {type(seen.outputs[b]).__name__} instead of hidden states")
    arguments = ", ".join(["hidden_states", *(name for name, _ in seen.calls[b].named())])
    elsewhere = f"with the same arguments ({arguments}) it returns something else, so it needs state kept elsewhere"
    version = seen.inputs[b]._version
    try:
        again = seen.calls[b].run(block, seen.inputs[b])
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError) as error:
        if is_out_of_memory(error):
            raise
        _refuse(path, b, elsewhere)
    if seen.inputs[b]._version != version:
        _refuse(path, b, "it writes over its argument 'hidden_states'")
    if not _close(again, output, seen.inputs[b]):
        _refuse(path, b, elsewhere)
    following = seen.inputs.get(b + 1)
    if following is not None and not _equal(output, following):
        slot = seen.calls[b + 1].slot
        slot = slot if isinstance(slot, str) else "hidden_states"
        _refuse(path, b, f"the argument {slot!r} of block {b + 1} is not what it returns")


def _close(again: Tensor, output: Tensor, inputs: Tensor) -> bool:
    """The same up to rounding, measured against what the block adds to its input: the stream itself may be huge."""
    if again.shape != output.shape:
        return False
    eps = torch.finfo(output.dtype).eps
    before = inputs.to(output.device).float() if output.shape == inputs.shape else 0
    added = output.float() - before
    limit = eps**0.5 * added.norm() + eps * output.float().norm()
    difference = (again.float() - output.float()).norm()
    return not bool(torch.isfinite(limit)) or bool(difference <= limit)


def _equal(output: Tensor, following: Tensor) -> bool:
    """Bit by bit, wherever the model keeps the next block; what is not a number equals itself."""
    if output is following:
        return True
    if output.shape != following.shape or output.dtype != following.dtype:
        return False
    return bool(torch.allclose(output.to(following.device), following, rtol=0, atol=0, equal_nan=True))


def _varying(a: Call, b: Call) -> list[str]:
    """Names of the arguments whose content differs between two calls of a block on different tokens."""
    named = dict(b.named())
    return [name for name, value in a.named() if not same_content(value, named.get(name))]
