"""Scoring candidates of lambda by neuron alignment: a generator of events.

For one candidate the blocks are walked in order. Each block is run dense, then pruned, on the same inputs (the outputs
of the already pruned blocks before it), and the activation norms that its linears receive are compared. NeuroAL,
arXiv 2411.07066; the score and its conventions follow the original implementation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from neuroal.alignment import compared, norms_of
from neuroal.allocation import Sparsity
from neuroal.blocks import Captured, DecoderStack, Linear
from neuroal.errors import UserError
from neuroal.method import Method
from neuroal.options import Options
from neuroal.patterns import apportion
from neuroal.pruners import Pruner
from neuroal.rows import Alignment
from neuroal.runs.events import BlockScored


@dataclass
class Problem:
    """What a top-up is asked: the model as a stack, its block inputs, and what to reach.

    Attributes:
        top_up: its name, for the events.
        method: how a block is pruned.
        included: the linears that are pruned at all.
        every: True to score every candidate of a grid, False for as few as find the lowest score (landscape.py).
        quick: True for passes in bfloat16, on a CPU that is faster at it; statistics are float32.
        together: True to walk candidates side by side, so that each block's weights are moved once for all of them.
        known: scores of candidates that an interrupted run had finished, by (step, lambda).
        scorer: makes what scores candidates; None for one that does it here.
    """

    stack: DecoderStack
    captured: Captured
    top_up: str
    method: Method
    sparsity: float
    step: str
    options: Options
    included: tuple[Linear, ...]
    every: bool = True
    quick: bool = False
    together: bool = False
    known: Mapping[tuple[str, float], float] = field(default_factory=dict)
    scorer: Callable[[Problem], Scorer] | None = None

    def new_scorer(self) -> Scorer:
        """Scores this problem's candidates."""
        return (self.scorer or Scorer)(self)

    @property
    def pruner(self) -> Pruner:
        return self.method.pruner

    @property
    def of(self) -> int | None:
        """M of the N:M pattern, or None."""
        return self.method.of

    @property
    def sizes(self) -> list[int]:
        """Weights to prune in each block."""
        wanted = {linear.path for linear in self.included}
        return [sum(linear.weight.numel() for linear in ls if linear.path in wanted) for ls in self.stack.linears]

    def mean(self, ratios: Sequence[float]) -> float:
        """Of block ratios, weighted by what is pruned of each block."""
        sizes = self.sizes
        return sum(r * n for r, n in zip(ratios, sizes, strict=True)) / sum(sizes)

    @property
    def weights(self) -> list[int] | None:
        """Sizes, where they differ: then the mean over blocks is not the mean over weights."""
        return self.sizes if len(set(self.sizes)) > 1 else None

    def spread(self, ratios: Sequence[float]) -> Sparsity:
        """Every linear that is pruned gets its block's ratio; with a pattern, the nearest that the pattern allows."""
        if self.of is not None:
            ratios = apportion(ratios, self.sizes, self.of)
        wanted = {linear.path for linear in self.included}
        return {
            linear.path: ratios[b]
            for b, linears in enumerate(self.stack.linears)
            for linear in linears
            if linear.path in wanted
        }


@dataclass(frozen=True)
class Candidate:
    """A lambda of a grid, its place there, and the sparsity ratios that it stands for."""

    index: int
    lam: float
    sparsity: Sparsity


class Scorer:
    """Scores candidates on the stack's private modules; the weights it prunes are its own."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._first: dict[bool, list[Any]] = {}  # what the dense block 0 receives, the same for every candidate

    def expect(
        self, step: str, now: Sequence[Candidate], later: Sequence[float], candidate: Callable[[float], Candidate]
    ) -> None:
        """Told of the candidates that will be scored now, and of the lambdas that will be scored after them whatever is
        found; for a scorer that has others begin with those. ``candidate`` makes one of a lambda."""

    @torch.no_grad()
    def score(
        self, step: str, candidates: Sequence[Candidate], *, exact: bool = False
    ) -> Generator[BlockScored, None, list[tuple[float, Alignment]]]:
        """One pass over the blocks, in which the candidates go side by side: each block's weights are needed once.

        Args:
            exact: in the model's own precision, also where the problem is a quick one.

        Yields:
            each candidate's term of each block.

        Returns:
            for each, the total and the alignment vectors δ = dense minus pruned norms, float64 [in] by linear path.
        """
        quick = self.problem.quick and not exact
        totals, alignments = [0.0] * len(candidates), [Alignment() for _ in candidates]
        hidden = [self.problem.captured.hidden] * len(candidates)
        for b, linears in enumerate(self.problem.stack.linears):
            with self.problem.stack.resident(b):
                for i, candidate in enumerate(candidates):
                    dense, pruned, hidden[i] = self.two_passes(b, hidden[i], candidate.sparsity, quick)
                    terms, lost = compared(self.problem.stack.groups[b], dense, pruned)
                    for linear in linears:
                        if linear in terms:
                            totals[i] += terms[linear]
                            alignments[i][linear.path] = lost[linear]
                    if not math.isfinite(totals[i]):
                        raise UserError(
                            f"The activations of block {b} are not finite numbers, so it cannot be scored; "
                            "try another precision, or check the checkpoint."
                        )
                    yield BlockScored(step, candidate.index, candidate.lam, b, sum(terms.values()))
        return list(zip(totals, alignments, strict=True))

    def two_passes(
        self, b: int, hidden: list[Tensor], sparsity: Sparsity, quick: bool
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Activation norms by group of the dense and of the pruned block ``b``, and the pruned block's outputs (none
        for the last block)."""
        stack, captured, method = self.problem.stack, self.problem.captured, self.problem.method
        dense = self._dense_pass(b, hidden, quick)
        weights = method.pruned(stack, b, stack.by_linear(b, dense), sparsity)
        with _Borrowed(stack.blocks[b], weights) as block, _precision(quick):
            last = b == len(stack) - 1
            pruned, outputs = stack.gather(b, hidden, captured, method.pruner.norms, block, outputs=not last)
        return norms_of(stack, b, dense), norms_of(stack, b, pruned), outputs

    def _dense_pass(self, b: int, hidden: list[Tensor], quick: bool) -> list[Any]:
        """What each consumer group of the dense block receives, as the pruner needs it to mask.

        Block 0 gets the calibration samples whatever the candidate; that is gathered once, unless it is products of
        inputs, which fill more memory than a block does.
        """
        problem = self.problem
        shared = hidden is problem.captured.hidden and not problem.pruner.needs_gram
        if shared and quick in self._first:
            return self._first[quick]
        masking = functools.partial(problem.method.statistics, refit=False)
        with _precision(quick):
            dense, _ = problem.stack.gather(b, hidden, problem.captured, masking, outputs=False)
        if shared:
            self._first[quick] = dense
        return dense


def _precision(quick: bool) -> AbstractContextManager[Any]:
    """In a quick pass torch multiplies in bfloat16, and adds to the hidden states in their own precision."""
    return torch.autocast("cpu", torch.bfloat16) if quick else nullcontext()


class _Borrowed:
    """Puts pruned weights into a block's private modules for the length of a ``with``."""

    def __init__(self, block: nn.Module, weights: dict[Linear, Tensor]) -> None:
        self.block, self.weights = block, weights
        self._own: list[tuple[nn.Module, nn.Parameter]] = []

    def __enter__(self) -> nn.Module:
        for linear, weight in self.weights.items():
            module = self.block.get_submodule(linear.name)
            self._own.append((module, module.weight))
            linear.put(module, weight)
        return self.block

    def __exit__(self, *_: object) -> None:
        for module, weight in self._own:
            module.weight = weight
