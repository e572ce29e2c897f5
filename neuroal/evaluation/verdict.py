"""Is a pruned model's text healthy, degraded or collapsed? One answer from a handful of figures, with its reasons.

The thresholds were set on a model of 135 million parameters, pruned by Wanda at a uniform sparsity, by reading its
answers; tests/benchmarks/bench_probes.py prints the table again. In short (greedy answers of 48 tokens):

    sparsity           0      0.3    0.4    0.5    0.6    0.7    0.8    0.9
    new 4-grams        0.69   0.71   0.60   0.38   0.21   0.17   0.17   0.06
    distinct-2         0.60   0.60   0.51   0.30   0.18   0.12   0.12   0.04
    perplexity, new    3.0    3.5    5.4    5.4    13     59     290    850
    read as            whole  whole  odd    loops, sense left    loops only, then noise

Small models loop under greedy decoding even when they are whole: the dense one repeats 31 % of its 4-grams. So every
figure is held against the dense model's own on the same prompts, and none against a fixed level.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEALTHY, DEGRADED, COLLAPSED = VERDICTS = ("healthy", "degraded", "collapsed")

# Share of the dense model's new 4-grams (one minus repetition), and of its distinct-2, below which a model is degraded
# or collapsed. Measured for both: 0.84 to 1.04 up to a sparsity of 0.4, 0.49 to 0.66 at 0.5 and 0.55, at most 0.31
# from 0.6 on.
VARIETY_DEGRADED, VARIETY_COLLAPSED = 0.75, 0.35

# Times the dense model's perplexity, on tokens newly said. Measured: 1.2 at 0.3; 1.8 at 0.4 and 0.5; 2.4 at 0.55; 4.3
# at 0.6; 5.6 at 0.65; 20 at 0.7. It also finds what varies and makes no sense: SparseGPT at 0.6 and 0.7 has 9, where
# nothing of its text can be understood, and 0.4 to 0.7 of the variety. The perplexity of all tokens is no sign: a loop
# is easy to predict, so at 0.5 and at 0.9 it is about that of the dense model's text.
PERPLEXITY_DEGRADED, PERPLEXITY_COLLAPSED = 1.5, 6.0

# More non-words than the dense model has. Well-written prose has 0.01; measured 0 up to 0.5, then 0 to 0.2 in no order:
# what is left of a collapsed model is often one real word. It never makes "collapsed" alone, because a model that
# changes its language has lost other things than its words.
NON_WORDS_DEGRADED = 0.05

# More answers without any letter or digit than the dense model has: two of eight, and half.
EMPTY_DEGRADED, EMPTY_COLLAPSED = 0.25, 0.5

# The dense model's own figures from which on a comparison with them says nothing.
LOOPS_ITSELF, NOT_ENGLISH = 0.75, 0.2


@dataclass(frozen=True)
class Mean:
    """Mean over the ``n`` prompts that have the figure, None where none has, with its standard error."""

    value: float | None
    stderr: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Mean:
        """A single value tells nothing about spread: its standard error is 0."""
        there = [value for value in values if value is not None]
        if not there:
            return cls(None, 0.0, 0)
        spread = statistics.stdev(there) / math.sqrt(len(there)) if len(there) > 1 else 0.0
        return cls(statistics.fmean(there), spread, len(there))


@dataclass(frozen=True)
class Figures:
    """Means over the prompts.

    Attributes:
        repetition: share of the 4-grams of tokens that occurred before in the answer, 0..1.
        distinct_1, distinct_2: different tokens, and different pairs of tokens, over tokens, 0..1.
        non_words: share of words that are not in the lexicon, 0..1.
        perplexity: of the text under the dense model, given the prompt: exp of the mean over prompts of the mean
            cross-entropy; its standard error by the delta method.
        perplexity_new: the same over the tokens that end a 4-gram for the first time, so that loops do not count.
        length: tokens of the text.
        empty: share of the answers without any letter or digit, 0..1.
    """

    repetition: Mean
    distinct_1: Mean
    distinct_2: Mean
    non_words: Mean
    perplexity: Mean
    perplexity_new: Mean
    length: Mean
    empty: Mean


def judge(figures: Figures, dense: Figures) -> tuple[str, tuple[str, ...]]:
    """The worst of what each figure says on its own.

    Args:
        figures: of the model; dense: of the dense model's answers to the same prompts.

    Returns:
        "healthy", "degraded" or "collapsed", and a sentence for each figure that crossed a threshold.
    """
    found = [*_variety(figures, dense), *_surprise(figures, dense), *_words(figures, dense), *_silence(figures, dense)]
    worst = max((VERDICTS.index(level) for level, _ in found), default=0)
    return VERDICTS[worst], tuple(sentence for _, sentence in found)


def doubts(dense: Figures) -> tuple[str, ...]:
    """What cannot be judged because the dense model's own answers are that way, one sentence each."""
    found = []
    if _loops(dense):
        found.append(
            f"The dense model itself repeats {dense.repetition.value:.0%} of its 4-grams, more than "
            f"{LOOPS_ITSELF:.0%}, so repetition and distinct-2 are not judged."
        )
    if dense.non_words.value is None:
        found.append("The dense model's own answers have no words in Latin letters, so non-words are not judged.")
    if _other_language(dense):
        found.append(
            f"{dense.non_words.value:.0%} of the dense model's own words are not in the English lexicon, more than "
            f"{NOT_ENGLISH:.0%}, so non-words are not judged."
        )
    return tuple(found)


def _loops(dense: Figures) -> bool:
    return dense.repetition.value is not None and dense.repetition.value > LOOPS_ITSELF


def _other_language(dense: Figures) -> bool:
    return dense.non_words.value is not None and dense.non_words.value > NOT_ENGLISH


# A verdict that is not healthy, and the sentence that says why.
Found = Iterator[tuple[str, str]]


def _variety(figures: Figures, dense: Figures) -> Found:
    if _loops(dense):
        return
    a, b = figures.repetition.value, dense.repetition.value
    if a is not None and b is not None:
        ratio = (1 - a) / (1 - b)
        for level, limit in _crossed(ratio, VARIETY_DEGRADED, VARIETY_COLLAPSED):
            yield (
                level,
                f"{a:.0%} of the 4-grams repeat an earlier one, {b:.0%} in the dense model's answers: "
                f"{ratio:.0%} as many new ones, less than {limit:.0%}.",
            )
    a, b = figures.distinct_2.value, dense.distinct_2.value
    if a is not None and b:
        for level, limit in _crossed(a / b, VARIETY_DEGRADED, VARIETY_COLLAPSED):
            yield (
                level,
                f"Distinct-2 is {a:.2f}, {b:.2f} in the dense model's answers: {a / b:.0%} of it, "
                f"less than {limit:.0%}.",
            )


def _surprise(figures: Figures, dense: Figures) -> Found:
    a, b = figures.perplexity_new.value, dense.perplexity_new.value
    if a is None or b is None:
        return
    for level, limit in _crossed(-a / b, -PERPLEXITY_DEGRADED, -PERPLEXITY_COLLAPSED):
        yield (
            level,
            f"Where the text repeats nothing its perplexity under the dense model is {a:,.1f}, {a / b:,.1f} times that "
            f"of the dense model's own answers, more than {-limit:g} times.",
        )


def _words(figures: Figures, dense: Figures) -> Found:
    a, b = figures.non_words.value, dense.non_words.value
    if a is not None and b is not None and not _other_language(dense) and a - b > NON_WORDS_DEGRADED:
        yield (
            DEGRADED,
            f"{a:.0%} of the words are not in the English lexicon, {b:.0%} in the dense model's answers: "
            f"{100 * (a - b):.0f} points more, above {100 * NON_WORDS_DEGRADED:.0f}.",
        )


def _silence(figures: Figures, dense: Figures) -> Found:
    a, b = figures.empty.value, dense.empty.value
    if a is None or b is None:
        return
    for level, limit in _crossed(b - a, -EMPTY_DEGRADED, -EMPTY_COLLAPSED):
        yield (
            level,
            f"{a:.0%} of the answers have no letter or digit, {b:.0%} of the dense model's: "
            f"{100 * (a - b):.0f} points more, above {-100 * limit:.0f}.",
        )


def _crossed(value: float, degraded: float, collapsed: float) -> Iterator[tuple[str, float]]:
    """The verdict and the threshold that a value is below, the stronger of the two; nothing if it is below neither."""
    if value < collapsed:
        yield COLLAPSED, collapsed
    elif value < degraded:
        yield DEGRADED, degraded
