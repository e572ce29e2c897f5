"""A causal language model seen as a stack of decoder blocks: discovery, capture, replay, consumer groups.

Nothing here knows a model family. The stack is found through the class that the model itself declares unsplittable;
each block's own arguments are recorded during one forward pass; linears that receive the same tensor one after another
are found to be one group. All of it happens on a skeleton (twin.py), never on the caller's modules.

Shapes: N sequences, T tokens, d hidden size. Hidden states travel in micro-batches [B, T, d].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from neuroal.errors import UserError
from neuroal.twin import skeleton

# Tokens in one micro-batch: enough to keep the matrix products efficient, small beside the weights.
MICRO_BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Linear:
    """A prunable linear: its path in the model, its name within the block, and its weight as [out, in]."""

    path: str
    name: str
    module: nn.Module

    @property
    def weight(self) -> Tensor:
        """The weight as [out, in]; for transformers' Conv1D (stored [in, out]) a transposed view of the same memory."""
        weight = self.module.weight.detach()
        return weight.t() if isinstance(self.module, Conv1D) else weight

    @staticmethod
    def put(module: nn.Module, weight: Tensor) -> None:
        """Gives ``module`` (this linear, in whatever copy of the block) the weight [out, in] as its own."""
        stored = weight.t() if isinstance(module, Conv1D) else weight
        module.weight = nn.Parameter(stored, requires_grad=False)


@dataclass(frozen=True)
class Call:
    """How one block is called: everything but the hidden states, which come first or by keyword."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    keyword: str | None

    @classmethod
    def split(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Call]:
        """Separates the hidden states from the rest of a recorded call."""
        if args:
            return args[0], cls(args[1:], dict(kwargs), None)
        rest = {name: value for name, value in kwargs.items() if name != "hidden_states"}
        return kwargs["hidden_states"], cls((), rest, "hidden_states")

    def run(self, block: nn.Module, hidden: Tensor) -> Tensor:
        """The block's output hidden states, whether it returns a tensor or a tuple that starts with them."""
        if self.keyword:
            output = block(**{self.keyword: hidden}, **self.kwargs)
        else:
            output = block(hidden, *self.args, **self.kwargs)
        return output[0] if isinstance(output, tuple) else output


@dataclass
class Captured:
    """The inputs of block 0 in micro-batches, and each block's call by micro-batch size."""

    hidden: list[Tensor]
    calls: list[dict[int, Call]]


class _Stop(Exception):
    """Ends a forward pass early, once what was wanted has been seen."""


def find_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The path and the list of the decoder blocks.

    The list holds the class named in the model's ``_no_split_modules``; where that is not declared, it is the list with
    the most parameters.

    Raises:
        UserError: the model is not a decoder-only language model, or has no list of blocks.
    """
    config = getattr(model, "config", None)
    if getattr(config, "is_encoder_decoder", False) or not getattr(model, "can_generate", lambda: True)():
        raise UserError(
            "This is not a causal language model; choose a decoder-only text model such as SmolLM2 or GPT-2."
        )
    lists = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m)]
    declared = set(getattr(model, "_no_split_modules", None) or ())
    candidates = [(n, m) for n, m in lists if type(m[0]).__name__ in declared] or lists
    if not candidates:
        raise UserError("No stack of decoder blocks was found in this model, so it cannot be pruned block by block.")
    return max(candidates, key=lambda item: sum(p.numel() for p in item[1].parameters()))


def find_linears(path: str, block: nn.Module) -> tuple[Linear, ...]:
    """The prunable linears of a block in registration order. Exact types: a subclass may mean something else."""
    return tuple(
        Linear(f"{path}.{name}", name, module)
        for name, module in block.named_modules()
        if type(module) in (nn.Linear, Conv1D)
    )


class DecoderStack:
    """The blocks of a model, on a private skeleton that shares every tensor with it.

    Attributes:
        model: the skeleton.
        path: where the list of blocks is, such as "model.layers".
        blocks: the decoder blocks.
        linears: per block, its prunable linears in registration order.
        groups: per block, its consumer groups in order of execution; known after the first capture. A linear that was
            never called is in no group.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = skeleton(model).eval()
        self.path, blocks = find_blocks(self.model)
        self.blocks: list[nn.Module] = list(blocks)
        self.linears = [find_linears(f"{self.path}.{b}", block) for b, block in enumerate(self.blocks)]
        self.groups: list[list[tuple[Linear, ...]]] = []
        if not any(self.linears):
            raise UserError("No prunable linear was found in this model's decoder blocks.")

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def all_linears(self) -> Iterator[Linear]:
        """Every prunable linear, in block then registration order."""
        for linears in self.linears:
            yield from linears

    @torch.no_grad()
    def capture(self, tokens: Tensor) -> Captured:
        """Runs the model once up to its blocks and records what each of them is called with.

        Args:
            tokens: int64 [N, T], no padding.
        """
        size = max(1, MICRO_BATCH_TOKENS // tokens.shape[1])
        captured = Captured([], [{} for _ in self.blocks])
        for batch in tokens.split(size):
            new_size = batch.shape[0] not in captured.calls[0]
            with self._recording(captured, all_blocks=new_size):
                try:
                    self.model(input_ids=batch.to(self.device), use_cache=False)
                except _Stop:
                    continue
        return captured

    @contextmanager
    def _recording(self, captured: Captured, *, all_blocks: bool) -> Iterator[None]:
        """Pre-hooks on the blocks for one forward pass: of all of them when this batch size is new, else of block 0."""

        def record(b: int) -> Callable[..., None]:
            def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                hidden, call = Call.split(args, kwargs)
                if b == 0:
                    captured.hidden.append(hidden)
                captured.calls[b][hidden.shape[0]] = call
                if not all_blocks:
                    raise _Stop

            return hook

        def stop(*_: Any) -> None:
            raise _Stop  # the head is not needed, and with a large vocabulary it is the dearest matrix product

        watched = self.blocks if all_blocks else self.blocks[:1]
        handles = [blk.register_forward_pre_hook(record(b), with_kwargs=True) for b, blk in enumerate(watched)]
        handles.append(self.blocks[-1].register_forward_hook(stop))
        watchers = [] if self.groups else [_GroupWatcher(linears) for linears in self.linears]
        try:
            yield
            if watchers:
                self.groups = [w.groups for w in watchers]
        finally:
            for handle in handles + [h for w in watchers for h in w.handles]:
                handle.remove()

    @torch.no_grad()
    def replay(self, b: int, hidden: list[Tensor], captured: Captured, block: nn.Module | None = None) -> list[Tensor]:
        """The outputs of block ``b``, or of a stand-in for it, on micro-batches of hidden states [B, T, d]."""
        block = self.blocks[b] if block is None else block
        return [captured.calls[b][x.shape[0]].run(block, x) for x in hidden]

    @torch.no_grad()
    def gather(
        self,
        b: int,
        hidden: list[Tensor],
        captured: Captured,
        statistics: Callable[[], Any],
        block: nn.Module | None = None,
        *,
        outputs: bool = True,
    ) -> tuple[list[Any], list[Tensor]]:
        """Replays block ``b`` (or a stand-in) and gathers statistics of the input of each consumer group.

        Args:
            statistics: makes an object with ``update(inputs)``; one per group.
            outputs: False stops each pass once the last group's input has been seen: its linear feeds nothing then.

        Returns:
            the statistics in group order, and the output micro-batches (empty when ``outputs`` is False).
        """
        block = self.blocks[b] if block is None else block
        gathered = [statistics() for _ in self.groups[b]]
        handles = []
        for g, (group, stat) in enumerate(zip(self.groups[b], gathered, strict=True)):
            last = not outputs and g == len(gathered) - 1
            module = block.get_submodule(group[0].name)
            handles.append(module.register_forward_pre_hook(_feeding(stat, stop=last)))
        results = []
        try:
            for x in hidden:
                try:
                    results.append(captured.calls[b][x.shape[0]].run(block, x))
                except _Stop:
                    continue
        finally:
            for handle in handles:
                handle.remove()
        return gathered, results


def _feeding(stat: Any, *, stop: bool) -> Callable[..., None]:
    """A pre-hook that feeds a statistic, then goes on or ends the pass."""

    def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
        stat.update(args[0])
        if stop:
            raise _Stop

    return hook


@dataclass
class _GroupWatcher:
    """Groups the linears of one block by the tensor they receive, in order of execution."""

    linears: tuple[Linear, ...]
    groups: list[tuple[Linear, ...]] = field(default_factory=list)
    handles: list[Any] = field(default_factory=list)
    _last: Tensor | None = None
    _seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for linear in self.linears:
            self.handles.append(linear.module.register_forward_pre_hook(self._watch(linear)))

    def _watch(self, linear: Linear) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
            if linear.name in self._seen:
                return
            self._seen.add(linear.name)
            if self._last is not None and _same_memory(self._last, args[0]):
                self.groups[-1] += (linear,)
            else:
                self.groups.append((linear,))
            self._last = args[0]  # held, so that its memory is not handed to the next tensor

        return hook


def _same_memory(a: Tensor, b: Tensor) -> bool:
    """The same values in the same place, also when they arrive through another view object."""
    return a.data_ptr() == b.data_ptr() and a.shape[-1] == b.shape[-1] and a.numel() == b.numel()
