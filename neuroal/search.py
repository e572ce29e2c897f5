"""Choosing a lambda: which candidates are scored, in which order, and which of them wins; a generator of events.

NeuroAL, arXiv 2411.07066. How a candidate is scored: scoring.py. Which one is worth it: landscape.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from neuroal.allocation import Sparsity, mean_sparsity
from neuroal.batches import at_once
from neuroal.landscape import following
from neuroal.rows import Alignment
from neuroal.runs.events import (
    CandidateFinished,
    CandidateStarted,
    Event,
    LambdaChosen,
    Notice,
    SearchStarted,
)
from neuroal.scoring import Candidate, Problem, Scorer

# Candidates whose score is within this share of the winner's are shown as near-ties: the landscape is often flat.
NEAR_TIE = 0.01


@dataclass(frozen=True)
class Searched:
    """The chosen lambda, every score by lambda, and the winner's requested sparsity.

    Attributes:
        alignment: the winner's alignment vectors, where rows follow that go by them; else it may be empty.
    """

    lam: float
    scores: dict[float, float]
    sparsity: Sparsity
    alignment: Alignment


def search(
    scorer: Scorer,
    step: str,
    lambdas: Sequence[float],
    ratios: Callable[[float], Sparsity],
    at_zero: float | None = None,
) -> Generator[Event, None, Searched]:
    """Scores lambdas of a grid, every one or as few as will do, and chooses the smallest score, the first on ties.

    Args:
        step: "block" or "row", for the events.
        ratios: the sparsity ratios a lambda stands for.
        at_zero: about what lambda 0 would score, where that is known.

    Yields:
        SearchStarted, then per candidate CandidateStarted, BlockScored for each block and CandidateFinished; at the end
        LambdaChosen. Candidates that an interrupted run had finished are not scored again.
    """
    problem = scorer.problem
    yield SearchStarted(step, tuple(lambdas), len(problem.stack), problem.sparsity)
    scores: dict[float, float] = {}
    alignments: dict[float, Alignment] = {}  # of the best so far, where more than its score is known

    def candidate(lam: float) -> Candidate:
        return Candidate(lambdas.index(lam), lam, ratios(lam))

    while wanted := _wanted(problem, step, lambdas, scores, at_zero):
        unknown = [lam for lam in wanted if (step, lam) not in problem.known]
        candidates = [candidate(lam) for lam in unknown]
        if problem.every and candidates:
            later = [x for x in lambdas if x not in scores and x not in wanted and (step, x) not in problem.known]
            scorer.expect(step, candidates, later, candidate)
        found = dict(zip(unknown, (yield from _scored(scorer, step, candidates)), strict=True))
        for lam in wanted:
            if lam in found:
                scores[lam], alignments[lam] = found[lam]
            else:
                scores[lam] = problem.known[step, lam]
        alignments = {lam: a for lam, a in alignments.items() if scores[lam] == min(scores.values())}
    scores = {lam: scores[lam] for lam in lambdas if lam in scores}
    winner = min(scores, key=scores.__getitem__)
    index = lambdas.index(winner)
    near = tuple(lam for lam in scores if lam != winner and scores[lam] <= scores[winner] * (1 + NEAR_TIE))
    yield LambdaChosen(step, index, winner, scores[winner], near)
    sparsity = ratios(winner)
    rows_follow = step == "block" and problem.step == "both"  # and go by the alignment, which must not be a quick one
    # One that is known from before an interruption has a score only.
    if rows_follow and (problem.quick or winner not in alignments):
        ((_, alignments[winner]),) = yield from scorer.score(step, [Candidate(index, winner, sparsity)], exact=True)
    return Searched(winner, scores, sparsity, alignments.get(winner, Alignment()))


def _wanted(
    problem: Problem, step: str, lambdas: Sequence[float], scores: Mapping[float, float], at_zero: float | None
) -> Sequence[float]:
    """The lambdas to score next: one, or several that go side by side; none when the search is over."""
    if not problem.every:
        return following(step, lambdas, scores, at_zero)
    left = [lam for lam in lambdas if lam not in scores]
    return left[: at_once(len(left))] if problem.together else left[:1]  # each has hidden states of its own


def _scored(
    scorer: Scorer, step: str, candidates: Sequence[Candidate], *, exact: bool = False
) -> Generator[Event, None, list[tuple[float, Alignment]]]:
    """Candidates side by side, with their opening and closing events."""
    if not candidates:
        return []
    stack, started = scorer.problem.stack, time.perf_counter()
    for c in candidates:
        ratios = tuple(mean_sparsity(stack, b, c.sparsity) for b in range(len(stack)))
        yield CandidateStarted(step, c.index, c.lam, ratios)
    found = yield from scorer.score(step, candidates, exact=exact)
    seconds = (time.perf_counter() - started) / len(candidates)
    for c, (score, _) in zip(candidates, found, strict=True):
        yield CandidateFinished(step, c.index, c.lam, score, seconds)
    for trouble in scorer.problem.method.troubles():
        yield Notice(trouble)
    return found


def alignment_pass(scorer: Scorer, sparsity: Sparsity) -> Generator[Event, None, tuple[float, Alignment]]:
    """The single pass that supplies the alignment of step "row" when no block search has run, and its score."""
    (found,) = yield from _scored(scorer, "alignment", [Candidate(0, 0.0, sparsity)], exact=True)
    return found
