"""What several calibrations say together: means, standard deviations, and whether a difference is more than chance.

Two methods that are calibrated on the same tokens share much of their luck, so that their difference varies less than
either of them: it is looked at calibration by calibration (a paired comparison, Student, Biometrika 6, 1908).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# 97.5 % quantile of Student's t by degrees of freedom, from 1 on.
T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip

# Fewer calibrations give no verdict; up to so many, it comes with a caution.
LEAST, FEW = 3, 8


@dataclass(frozen=True)
class Figure:
    """One figure over all calibrations.

    Attributes:
        mean, deviation: its standard deviation with n - 1.
        stderr: of the mean, as if the calibrations were independent draws.
        low, high: the 95 % confidence interval of the mean, by Student's t.
        smallest, largest: of the values.
    """

    mean: float
    deviation: float
    stderr: float
    low: float
    high: float
    smallest: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Of two values or more."""
        mean, deviation = statistics.fmean(values), _deviation(values)
        stderr = deviation / math.sqrt(len(values))
        half = quantile(len(values)) * stderr
        return cls(mean, deviation, stderr, mean - half, mean + half, min(values), max(values))


def _deviation(values: Sequence[float]) -> float:
    """The standard deviation with n - 1. Python 3.10 squares on the way, which is more than a float holds where a
    perplexity has run away: a power of two is taken out first, which changes no digit."""
    scale = math.ldexp(1.0, math.frexp(max(map(abs, values)))[1] - 1)
    return scale * statistics.stdev(value / scale for value in values)


@dataclass(frozen=True)
class Spread:
    """What calibration does to the perplexities, and to their difference.

    Attributes:
        n: calibrations.
        method: perplexity of the pruned model.
        uniform, difference: of the control, and method minus control with the same tokens; None where there is none.
        apart: two runs of the method, each on text of its own, differ by less than this in 95 % of cases.
        better: in how many calibrations the method was better than the control.
        verdict: "better" or "worse" where the difference is more than calibration does, "open" where it may be that,
            "few" where too little is known to say, "same" where there is none, "" without a control.
        sentence: what follows.
    """

    n: int
    method: Figure
    uniform: Figure | None
    difference: Figure | None
    apart: float
    better: int
    verdict: str
    sentence: str


def spread(method: Sequence[float], uniform: Sequence[float] | None = None) -> Spread | None:
    """The summary of perplexities, one of each per calibration; None for fewer than two, which have no spread.

    Args:
        uniform: of the control, in the same order.
    """
    n = len(method)
    if n < 2:
        return None
    figure = Figure.of(method)
    apart = quantile(n) * math.sqrt(2) * figure.deviation  # the difference of two draws has twice the variance
    control = difference = None
    better, verdict = 0, ""
    if uniform is not None:
        differences = [a - b for a, b in zip(method, uniform, strict=True)]
        control, difference = Figure.of(uniform), Figure.of(differences)
        better, verdict = sum(d < 0 for d in differences), _verdict(n, difference)
    sentence = _about_one(n, figure, apart)
    if difference:
        sentence += f" {_about_both(n, difference, better, verdict)}"
    return Spread(n, figure, control, difference, apart, better, verdict, sentence)


def quantile(n: int) -> float:
    """97.5 % quantile of Student's t for the mean of n values; beyond the table its last entry, which is larger."""
    return T[min(n - 1, len(T)) - 1]


def _about_one(n: int, method: Figure, apart: float) -> str:
    if not method.deviation:
        return f"Over {n} calibrations the pruned model's perplexity was the same."
    return (
        f"Over {n} calibrations the pruned model's perplexity went from {shown(method.smallest)} to "
        f"{shown(method.largest)} (standard deviation {shown(method.deviation)}): two runs on calibrations of their "
        f"own that are less than {shown(apart)} apart may differ by calibration alone."
    )


def _verdict(n: int, difference: Figure) -> str:
    """Whether the paired difference is larger than what calibration does to it."""
    if difference.smallest == difference.largest == 0:
        return "same"
    if n < LEAST:
        return "few"
    return "better" if difference.high < 0 else "worse" if difference.low > 0 else "open"


def _about_both(n: int, difference: Figure, better: int, verdict: str) -> str:
    if verdict == "same":
        return "The uniform control had the same perplexity each time."
    what = "lower" if difference.mean < 0 else "higher"
    count = better if difference.mean < 0 else n - better
    told = (
        f"With the same calibration it was {what} than the uniform control's in {count} of {n}, "
        f"by {shown(abs(difference.mean))} on average"
    )
    if verdict == "few":
        return f"{told}; {n} calibrations are too few to say whether that is more than calibration does."
    low, high = difference.low, difference.high
    if verdict != "open":
        near, far = sorted((abs(low), abs(high)))
        told += f" (95 % interval {shown(near)} to {shown(far)}), which is more than calibration alone does."
    else:
        this, other = (-low, high) if difference.mean < 0 else (high, -low)
        against = "higher" if what == "lower" else "lower"
        told += (
            f", but the 95 % interval goes from {shown(this)} {what} to {shown(other)} {against}: calibration "
            "alone may do that."
        )
    if n <= FEW:
        told += f" With {n} calibrations, some of them on partly the same text, this is a rough guide."
    return told


def shown(value: float) -> str:
    """Three digits or so."""
    size = abs(value)
    return f"{value:.2f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:,.0f}"
