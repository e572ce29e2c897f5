"""A causal language model seen as a stack of decoder blocks: discovery, capture, replay, consumer groups.

Nothing here knows a model family. The stack is found through the class that the model itself declares unsplittable;
each block's own arguments are recorded during one forward pass; linears that receive the same tensor one after another
are found to be one group. All of it happens on a skeleton (twin.py), never on the caller's modules.

Shapes: N sequences, T tokens, d hidden size. Hidden states travel in micro-batches [B, T, d].
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neuroal.batches import at_once
from neuroal.calls import Call, Stop, passed_by
from neuroal.consumers import Fold, GroupWatcher
from neuroal.errors import UserError
from neuroal.examination import Examined, block_name, examine
from neuroal.linears import Linear, find_linears
from neuroal.residence import execution_device, is_offloaded, resident, write_weight
from neuroal.twin import skeleton

# Tokens in one micro-batch: enough to keep the matrix products efficient, small beside the weights. On a GPU, where
# every step is a launch, so many times more.
MICRO_BATCH_TOKENS, GPU_BATCHES = 4096, 8


@dataclass
class Captured:
    """The inputs of block 0 in micro-batches, and per block its call of each micro-batch."""

    hidden: list[Tensor]
    calls: list[list[Call]]


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


class DecoderStack:
    """The blocks of a model, on a private skeleton that shares every tensor with it.

    Attributes:
        model: the skeleton.
        path: where the list of blocks is, such as "model.layers".
        blocks: the decoder blocks.
        linears: per block, its prunable linears in registration order.
        groups: per block, its consumer groups in order of execution; known after the first capture. A linear that was
            never called is in no group.
        examined: what the first capture found out by trying whether blocks can be replayed.
        folds: how a linear's rows feed its consumer's columns, by what rows.py asked for (see consumers.py).
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = skeleton(model).eval()
        self.path, blocks = find_blocks(self.model)
        self.blocks: list[nn.Module] = list(blocks)
        self.linears = [find_linears(f"{self.path}.{b}", block) for b, block in enumerate(self.blocks)]
        self.groups: list[list[tuple[Linear, ...]]] = []
        self.examined: Examined | None = None
        self.folds: dict[tuple[str, int, int], Fold | None] = {}
        # Looked up once: to ask every module of a block for its hooks takes a tiny model a twentieth of a search.
        self._all_there = not is_offloaded(self.model) and all(p.device.type != "meta" for p in self.model.parameters())
        if not any(self.linears):
            raise UserError("No prunable linear was found in this model's decoder blocks.")

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        return execution_device(self.model)

    def resident(self, b: int) -> AbstractContextManager[None]:
        """Inside, the weights of block ``b`` are there and calls of it move none; free where that is so already.

        Outside, the weights of an offloaded model have shapes and no content. Whoever does several things with a block
        holds it over all of them, so that its weights are moved once.
        """
        return self._resident(self.blocks[b])

    def _resident(self, block: nn.Module) -> AbstractContextManager[None]:
        return nullcontext() if self._all_there else resident(block)

    def write(self, linear: Linear, weight: Tensor) -> None:
        """Replaces a weight [out, in] in the model itself, for everyone who shares it (see residence.py)."""
        write_weight(self.model, linear.path, linear.stored(weight))

    def all_linears(self) -> Iterator[Linear]:
        """Every prunable linear, in block then registration order."""
        for linears in self.linears:
            yield from linears

    def left_dense(self) -> list[tuple[str, int]]:
        """What no pruner reaches: (name within the block, elements) of every other parameter of two dimensions or more.

        Experts that a mixture keeps in one tensor and routers that are no linears are the usual ones; the elements of
        all blocks are added up.
        """
        pruned = {id(linear.module.weight) for linear in self.all_linears()}
        sizes: dict[str, int] = {}
        for block in self.blocks:
            for name, parameter in block.named_parameters():
                if parameter.dim() >= 2 and id(parameter) not in pruned:
                    sizes[name] = sizes.get(name, 0) + parameter.numel()
        return list(sizes.items())

    def attention(self, b: int) -> tuple[Linear, ...]:
        """The linears of the module that owns the first linear which block ``b`` executes; known after a capture.

        Where the block itself owns it, those of the first two consumer groups: what reads the block's input, and what
        reads their outcome.
        """
        groups = self.groups[b]
        owner = groups[0][0].owner if groups else ""
        if not owner:
            return tuple(linear for group in groups[:2] for linear in group)
        return tuple(linear for linear in self.linears[b] if linear.owner == owner)

    @torch.no_grad()
    def capture(self, tokens: Tensor) -> Captured:
        """Runs the model once up to its blocks and records what each of them is called with.

        Args:
            tokens: int64 [N, T], no padding.

        Raises:
            UserError: a block cannot be replayed on its own (see examination.py).
        """
        if self.examined is None:
            self._examine(tokens[:1].to(self.device))
        limit = MICRO_BATCH_TOKENS * (GPU_BATCHES if self.device.type == "cuda" else 1)
        size = at_once(limit, tokens.shape[1])
        captured = Captured([], [[] for _ in self.blocks])
        first: dict[int, list[Call]] = {}
        for batch in tokens.split(size):
            known = first.get(batch.shape[0])
            calls = self._one_pass(batch, captured.hidden, all_blocks=known is None or self.examined.varying)
            if known is not None:  # calls of equal batches differ only where they depend on the tokens themselves
                calls = [call.sharing(same) for call, same in zip(calls, known, strict=False)] + known[len(calls) :]
            first.setdefault(batch.shape[0], calls)
            for own, call in zip(captured.calls, calls, strict=True):
                own.append(call)
        return captured

    def _examine(self, tokens: Tensor) -> None:
        """Tries the blocks on a short sequence; that also shows the groups, where it reaches every linear."""
        watchers = [GroupWatcher(linears) for linears in self.linears]
        try:
            self.examined = examine(self.model, self.path, self.blocks, tokens)
        finally:
            for handle in (h for w in watchers for h in w.handles):
                handle.remove()
        if all(sum(map(len, w.groups)) == len(w.linears) for w in watchers):  # experts may wait for more tokens
            self.groups = [w.groups for w in watchers]

    def _one_pass(self, batch: Tensor, inputs: list[Tensor], *, all_blocks: bool) -> list[Call]:
        """The calls of all blocks for one batch, or of block 0 alone; the hidden states it receives join ``inputs``.

        Where nothing but the blocks' calls is still to be learnt, the blocks are passed by.
        """
        calls: list[Call] = []

        def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden, call = Call.split(args, kwargs, block_name(self.path, len(calls)))
            if not calls:
                inputs.append(hidden)
            calls.append(call)
            if not all_blocks:
                raise Stop

        known = self.groups and self.examined.plain and not self.examined.varying
        with self._recording(record), passed_by(self.blocks) if known else nullcontext(), suppress(Stop):
            self.model(input_ids=batch.to(self.device), use_cache=False)
        return calls

    @contextmanager
    def _recording(self, record: Callable[..., None]) -> Iterator[None]:
        """``record`` before every block; the pass ends after the last one. The first such pass finds the groups."""

        def stop(*_: Any) -> None:
            raise Stop  # the head is not needed, and with a large vocabulary it is the dearest matrix product

        handles = [block.register_forward_pre_hook(record, with_kwargs=True) for block in self.blocks]
        handles.append(self.blocks[-1].register_forward_hook(stop))
        watchers = [] if self.groups else [GroupWatcher(linears) for linears in self.linears]
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
        with self._resident(block):
            return [call.run(block, x) for call, x in zip(captured.calls[b], hidden, strict=True)]

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
        groups: Collection[int] | None = None,
    ) -> tuple[list[Any], list[Tensor]]:
        """Replays block ``b`` (or a stand-in) and gathers statistics of the input of each consumer group.

        Args:
            statistics: makes an object with ``update(inputs)``; one per group.
            outputs: False stops each pass once the last group's input has been seen: its linear feeds nothing then.
            groups: the indices of the groups that are looked at; None for all.

        Returns:
            the statistics in group order, and the output micro-batches (empty when ``outputs`` is False).
        """
        block = self.blocks[b] if block is None else block
        watched = [group for g, group in enumerate(self.groups[b]) if groups is None or g in groups]
        gathered, handles, shape = [statistics() for _ in watched], [], []
        for g, (group, stat) in enumerate(zip(watched, gathered, strict=True)):
            last = not outputs and g == len(gathered) - 1
            module = block.get_submodule(group[0].name)
            handles.append(module.register_forward_pre_hook(_feeding(stat, shape, stop=last)))
        results = []
        try:
            with self._resident(block):
                for call, x in zip(captured.calls[b], hidden, strict=True):
                    shape[:] = x.shape[:-1][-2:]
                    try:
                        output = call.run(block, x)
                    except Stop:
                        continue
                    if outputs:  # a group that not every batch reaches does not end every pass
                        results.append(output)
        finally:
            for handle in handles:
                handle.remove()
        return gathered, results

    def by_linear(self, b: int, gathered: list[Any]) -> dict[Linear, Any]:
        """What was gathered for the groups of block ``b``, by linear: those of a group share theirs."""
        return {linear: stat for group, stat in zip(self.groups[b], gathered, strict=True) for linear in group}


def _feeding(stat: Any, shape: list[int], *, stop: bool) -> Callable[..., None]:
    """A pre-hook that feeds a statistic, then goes on or ends the pass. ``shape``: [batch, tokens] of the pass."""

    def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
        stat.update(_by_sequence(args[0], *shape))
        if stop:
            raise Stop

    return hook


def _by_sequence(inputs: Tensor, batch: int, tokens: int) -> Tensor:
    """The input of a linear as [batch, tokens, in]; [tokens, in] where its sequences can no longer be told apart.

    A layer that flattens its tokens gets its sequences back: statistics that are means over sequences would otherwise
    take the batch for one long sequence. What has more dimensions has them joined to the tokens.
    """
    if inputs.dim() == 2 and inputs.shape[0] == batch * tokens:
        return inputs.reshape(batch, tokens, inputs.shape[-1])
    if inputs.dim() > 3:
        return inputs.flatten(1, -2) if inputs.shape[0] == batch else inputs.flatten(0, -2)
    return inputs
