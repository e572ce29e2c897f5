"""The ground of all scenes: the teaching model, its calibration samples, and what its dense blocks receive."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroal.alignment import compared
from neuroal.allocation import Sparsity
from neuroal.blocks import Captured, DecoderStack, Linear
from neuroal.calibration import calibration_tokens, held_out_windows
from neuroal.errors import UserError
from neuroal.learning.asked import Asked
from neuroal.learning.turns import Turns
from neuroal.method import Method
from neuroal.models.loading import LanguageModel
from neuroal.options import Options
from neuroal.schedules import block_schedule
from neuroal.scoring import Problem, Scorer
from neuroal.statistics import Gathered, Gram, InputNorm
from neuroal.threads import on_one_thread

MODEL = "tiny"
SAMPLES, LENGTH = 4, 64
WINDOWS, WINDOW = 4, 128

# So far may the mean of ratios made by hand be from the sparsity that is asked for.
OFF = 0.005

# Walks that are remembered: a learner moves a slider back and forth. And scores alone: each race leaves a dozen.
KEPT_WALKS, KEPT_SCORES = 64, 1024


@dataclass(frozen=True)
class Received:
    """What the inputs of one consumer group look like: activation norms [in] of the dense and of the pruned block, on
    the same block inputs, and the alignment term that follows from them."""

    linears: tuple[Linear, ...]
    dense: Tensor
    pruned: Tensor
    term: float


@dataclass(frozen=True)
class Walk:
    """One candidate's walk over all blocks: what every consumer group received, and the totals.

    Attributes:
        received: per block, its consumer groups in order of execution.
        blocks: the term of each block: each linear of a group counts.
        score: the alignment score, added up as a search does; lower is better.
    """

    received: tuple[tuple[Received, ...], ...]
    blocks: tuple[float, ...]
    score: float

    def alignment(self) -> dict[str, np.ndarray]:
        """Dense minus pruned norms, float64 [in] by linear path: what drives the rows."""
        return {
            linear.path: (group.dense - group.pruned).double().numpy()
            for groups in self.received
            for group in groups
            for linear in group.linears
        }


class Ground:
    """The teaching model, made ready once. Scenes compute one at a time: they share its private modules."""

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        self.tokens = calibration_tokens(lm.tokenizer, source="prose", samples=SAMPLES, length=LENGTH, seed=0)
        self.windows = held_out_windows(lm.tokenizer, windows=WINDOWS, length=WINDOW)
        self.stack = DecoderStack(lm.model)
        self._captured = self.stack.capture(self.tokens)
        self.turns = Turns()
        self._scores: dict[tuple[str, tuple[float, ...]], float] = {}
        self.walk = functools.lru_cache(KEPT_WALKS)(self._walk)

    @contextmanager
    def held(self, *, ahead: bool = False) -> Iterator[None]:
        """Inside, nobody else computes with this ground; its products are too small to be shared among threads.

        Args:
            ahead: True where nobody waits for the outcome yet (see turns.py).
        """
        with self.turns.taken(ahead=ahead), torch.no_grad(), on_one_thread():
            yield

    @contextmanager
    def beside(self, work: Callable[[], object]) -> Iterator[None]:
        """Inside, another thread does ``work``, which must not walk: its blocks would be those of this thread.

        Raises:
            whatever ``work`` raises, at the end.
        """

        def alone() -> None:
            with torch.no_grad(), on_one_thread():
                work()

        with ThreadPoolExecutor(1, "neuroal-beside") as pool:
            working = pool.submit(alone)
            yield
            working.result()

    @property
    def captured(self) -> Captured:
        """The block inputs; a new list each time, because a walk replaces its entries."""
        return Captured(list(self._captured.hidden), self._captured.calls)

    @functools.cached_property
    def dense(self) -> tuple[dict[Linear, Any], ...]:
        """Per block, the statistics of each linear's input in the dense model: ``norm`` [in], ``gram`` [in, in]."""
        hidden, found = self.captured.hidden, []
        for b in range(len(self.stack)):
            gathered, hidden = self.stack.gather(b, hidden, self._captured, _norm_and_gram)
            found.append(self.stack.by_linear(b, gathered))
        return tuple(found)

    def linear(self, asked: Asked) -> Linear:
        """The linear that is asked for; the first that is read by another one of its block where none is named.

        Raises:
            UserError: no such block, or no such linear.
        """
        if asked.block >= len(self.stack):
            last = len(self.stack) - 1
            raise UserError(f"Block {asked.block} is not there; the teaching model has blocks 0 to {last}.")
        linears = {linear.name: linear for linear in self.stack.linears[asked.block]}
        if asked.linear and asked.linear not in linears:
            raise UserError(f"Linear {asked.linear!r} is not there; block {asked.block} has {', '.join(linears)}.")
        return linears[asked.linear] if asked.linear else self.stack.groups[asked.block][1][0]

    def ratios(self, asked: Asked) -> tuple[float, ...]:
        """The sparsity ratio of each block: given by hand, or rising by lambda.

        Raises:
            UserError: those given by hand are too few or many, or prune more or less than is asked for.
        """
        if not asked.ratios:
            return tuple(block_schedule(asked.sparsity, asked.lam, len(self.stack))[0])
        if len(asked.ratios) != len(self.stack):
            raise UserError(f"{len(asked.ratios)} ratios were given; the teaching model has {len(self.stack)} blocks.")
        ratios = tuple(map(float, asked.ratios))
        mean, target = self.mean(asked, ratios), asked.sparsity
        if not self.is_kept(mean, target):
            raise UserError(
                f"These ratios prune {100 * mean:.4g} % of the weights on average; bring that to {100 * target:.4g} %,"
                f" at most {100 * OFF:g} points above or below."
            )
        return ratios

    def mean(self, asked: Asked, ratios: Sequence[float]) -> float:
        """The fraction of all prunable weights that the blocks' ratios prune."""
        return self.problem(asked.pruner, asked.sparsity).mean(ratios)

    def uniform(self, asked: Asked) -> tuple[float, ...]:
        """The control: every block at the asked sparsity."""
        return tuple(block_schedule(asked.sparsity, 0.0, len(self.stack))[0])

    def is_kept(self, mean: float, sparsity: float) -> bool:
        """Whether a mean is near enough to a sparsity to be compared with others of that sparsity."""
        return abs(mean - sparsity) <= OFF + 1e-9  # 0.655 - 0.65 is not quite 0.005

    def score(self, pruner: str, ratios: tuple[float, ...]) -> float:
        """The alignment score of the blocks' ratios: as a race has found it, else of a walk."""
        found = self._scores.get((pruner, ratios))
        return self.walk(pruner, ratios).score if found is None else found

    def scored(self, pruner: str, ratios: tuple[float, ...], score: float) -> None:
        """Remembers a score; the oldest ones are forgotten."""
        self._scores[pruner, ratios] = score
        if len(self._scores) > KEPT_SCORES:
            del self._scores[next(iter(self._scores))]

    def problem(self, pruner: str, sparsity: float, step: str = "block") -> Problem:
        """What a search is asked on this ground, as ``neuroal.allocate`` in its exact mode asks it."""
        options = Options()
        every = tuple(self.stack.all_linears())
        method = Method(pruner, "neuroal", options)
        return Problem(self.stack, self.captured, "neuroal", method, sparsity, step, options, every)

    def _walk(self, pruner: str, ratios: tuple[float, ...]) -> Walk:
        """Each block dense and pruned on the outputs of the pruned blocks before it, every linear of a block at the
        block's ratio. Remembered as ``walk``."""
        problem = self.problem(pruner, float(np.mean(ratios)))
        return self.walked(problem, problem.spread(ratios))

    def walked(self, problem: Problem, sparsity: Sparsity) -> Walk:
        """The same for any ratios, by linear path."""
        scorer, hidden, walk = Scorer(problem), problem.captured.hidden, []
        for b, groups in enumerate(self.stack.groups):
            dense, pruned, hidden = scorer.two_passes(b, hidden, sparsity, quick=False)
            walk.append(_received(groups, dense, pruned))
        terms = {linear: group.term for groups in walk for group in groups for linear in group.linears}
        score = sum((terms[linear] for linear in self.stack.all_linears() if linear in terms), 0.0)
        return Walk(tuple(walk), tuple(sum(g.term * len(g.linears) for g in groups) for groups in walk), score)


def _received(groups: Sequence[tuple[Linear, ...]], dense: list[Tensor], pruned: list[Tensor]) -> tuple[Received, ...]:
    terms, _ = compared(groups, dense, pruned)
    return tuple(Received(group, d, p, terms[group[0]]) for group, d, p in zip(groups, dense, pruned, strict=True))


def _norm_and_gram() -> Gathered:
    return Gathered(InputNorm(), Gram())
