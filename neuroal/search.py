"""Scoring candidates of lambda by neuron alignment, and choosing one: a generator of events.

For one candidate the blocks are walked in order. Each block is run dense, then pruned, on the same inputs (the outputs
of the already pruned blocks before it), and the activation norms that its linears receive are compared. NeuroAL,
arXiv 2411.07066; the score and its conventions follow the original implementation.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from neuroal.allocation import Sparsity, mean_sparsity
from neuroal.blocks import Captured, DecoderStack, Linear
from neuroal.errors import UserError
from neuroal.method import Method
from neuroal.options import Options
from neuroal.patterns import apportion
from neuroal.pruners import Pruner
from neuroal.rows import Alignment
from neuroal.runs.events import (
    BlockScored,
    CandidateFinished,
    CandidateStarted,
    Event,
    LambdaChosen,
    Notice,
    SearchStarted,
)

# Candidates whose score is within this share of the winner's are shown as near-ties: the landscape is often flat.
NEAR_TIE = 0.01


@dataclass
class Problem:
    """What a top-up is asked: the model as a stack, its block inputs, and what to reach.

    Attributes:
        top_up: its name, for the events.
        method: how a block is pruned.
        included: the linears that are pruned at all.
        known: scores of candidates that an interrupted run had finished, by (step, lambda).
    """

    stack: DecoderStack
    captured: Captured
    top_up: str
    method: Method
    sparsity: float
    step: str
    options: Options
    included: tuple[Linear, ...]
    known: Mapping[tuple[str, float], float] = field(default_factory=dict)

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
class Searched:
    """The chosen lambda, every score by lambda, and the winner's requested sparsity and alignment vectors."""

    lam: float
    scores: dict[float, float]
    sparsity: Sparsity
    alignment: Alignment


class Scorer:
    """Scores candidates on the stack's private modules; the weights it prunes are its own."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @torch.no_grad()
    def score(
        self, step: str, index: int, lam: float, sparsity: Sparsity
    ) -> Generator[BlockScored, None, tuple[float, Alignment]]:
        """One pass over the blocks.

        Yields:
            the candidate's term of each block.

        Returns:
            the total, and the alignment vectors δ = dense minus pruned norms, float64 [in] by linear path.
        """
        total, alignment = 0.0, {}
        hidden = self.problem.captured.hidden
        for b, linears in enumerate(self.problem.stack.linears):
            dense, pruned, hidden = self._two_passes(b, hidden, sparsity)
            terms = {name: _distance(dense[name], pruned[name]) for name in dense}
            for linear in linears:
                if linear.name in terms:
                    total += terms[linear.name]
                    alignment[linear.path] = (dense[linear.name] - pruned[linear.name]).double().cpu().numpy()
            if not math.isfinite(total):
                raise UserError(
                    f"The activations of block {b} are not finite numbers, so it cannot be scored; "
                    "try another precision, or check the checkpoint."
                )
            yield BlockScored(step, index, lam, b, sum(terms.values()))
        return total, alignment

    def _two_passes(
        self, b: int, hidden: list[Tensor], sparsity: Sparsity
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], list[Tensor]]:
        """Activation norms by linear name of the dense and of the pruned block, and the pruned block's outputs."""
        stack, captured, method = self.problem.stack, self.problem.captured, self.problem.method
        masking = functools.partial(method.statistics, refit=False)
        with stack.resident(b):
            dense, _ = stack.gather(b, hidden, captured, masking, outputs=False)
            weights = method.pruned(stack, b, stack.by_linear(b, dense), sparsity)
            with _Borrowed(stack.blocks[b], weights) as block:
                last = b == len(stack) - 1
                pruned, outputs = stack.gather(b, hidden, captured, method.pruner.norms, block, outputs=not last)
            return _norms(stack, b, dense), _norms(stack, b, pruned), outputs


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


def search(
    scorer: Scorer, step: str, lambdas: Sequence[float], candidate: Callable[[float], Sparsity]
) -> Generator[Event, None, Searched]:
    """Scores every lambda of a grid and chooses the smallest score, the first one on ties.

    Args:
        step: "block" or "row", for the events.
        candidate: the sparsity ratios a lambda stands for.

    Yields:
        SearchStarted, then per candidate CandidateStarted, BlockScored for each block and CandidateFinished; at the end
        LambdaChosen. Candidates that an interrupted run had finished are not scored again.
    """
    problem = scorer.problem
    yield SearchStarted(step, tuple(lambdas), len(problem.stack), problem.sparsity)
    scores: dict[float, float] = {}
    best: Alignment | None = None
    for index, lam in enumerate(lambdas):
        if (step, lam) in problem.known:
            score, alignment = problem.known[step, lam], None
        else:
            score, alignment = yield from _one(scorer, step, index, lam, candidate(lam))
        if not scores or score < min(scores.values()):
            best = alignment
        scores[lam] = score
    index = min(range(len(lambdas)), key=lambda i: scores[lambdas[i]])
    winner = lambdas[index]
    near = tuple(lam for lam in lambdas if lam != winner and scores[lam] <= scores[winner] * (1 + NEAR_TIE))
    yield LambdaChosen(step, index, winner, scores[winner], near)
    sparsity = candidate(winner)
    if best is None:  # known from before the interruption: only its score was kept, so it is walked once more
        _, best = yield from scorer.score(step, index, winner, sparsity)
    return Searched(winner, scores, sparsity, best)


def _one(
    scorer: Scorer, step: str, index: int, lam: float, sparsity: Sparsity
) -> Generator[Event, None, tuple[float, Alignment]]:
    """One candidate with its opening and closing events."""
    stack, started = scorer.problem.stack, time.perf_counter()
    yield CandidateStarted(step, index, lam, tuple(mean_sparsity(stack, b, sparsity) for b in range(len(stack))))
    score, alignment = yield from scorer.score(step, index, lam, sparsity)
    yield CandidateFinished(step, index, lam, score, time.perf_counter() - started)
    for trouble in scorer.problem.method.troubles():
        yield Notice(trouble)
    return score, alignment


def alignment_pass(scorer: Scorer, sparsity: Sparsity) -> Generator[Event, None, Alignment]:
    """The single pass that supplies the alignment of step "row" when no block search has run."""
    _, alignment = yield from _one(scorer, "alignment", 0, 0.0, sparsity)
    return alignment


def _norms(stack: DecoderStack, b: int, statistics: list[Any]) -> dict[str, Tensor]:
    """Activation norms by linear name; the linears of a group share theirs. Zeros where no token arrived."""
    norms = {}
    for group, stat in zip(stack.groups[b], statistics, strict=True):
        weight = group[0].weight
        norm = stat.norm if stat.sequences else torch.zeros(weight.shape[1], device=weight.device)
        norms |= {linear.name: norm for linear in group}
    return norms


def _distance(dense: Tensor, pruned: Tensor) -> float:
    """Distance of two activation-norm vectors [in], each normalised to sum 1, per input feature."""
    difference = _normalised(dense) - _normalised(pruned)
    return float(torch.linalg.vector_norm(difference)) / dense.numel()


def _normalised(norms: Tensor) -> Tensor:
    """To sum 1; an input that is zero throughout stays zero instead of becoming NaN."""
    total = norms.sum()
    return norms / torch.where(total == 0, torch.ones_like(total), total)
