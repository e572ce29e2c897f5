"""Means, deviations and the verdict about a difference, by hand and against Student's density integrated."""

from __future__ import annotations

import math
import re

import pytest

from neuroal.evaluation.spread import FEW, LEAST, Figure, T, quantile, shown, spread


def density(t: float, degrees: int) -> float:
    """Of Student's t."""
    scale = math.gamma((degrees + 1) / 2) / math.gamma(degrees / 2) / math.sqrt(degrees * math.pi)
    return scale * (1 + t * t / degrees) ** (-(degrees + 1) / 2)


@pytest.mark.parametrize("degrees", range(1, len(T) + 1))
def test_the_quantiles_are_those_of_student(degrees: int) -> None:
    """Simpson's rule from 0 to the quantile gives 0.475, within what three decimals of the quantile can tell."""
    steps, end = 20_000, T[degrees - 1]
    h = end / steps
    inner = sum((4 if i % 2 else 2) * density(i * h, degrees) for i in range(1, steps))
    assert (density(0, degrees) + inner + density(end, degrees)) * h / 3 == pytest.approx(
        0.475, abs=5.1e-4 * density(end, degrees)
    )
    assert quantile(degrees + 1) == end


def test_beyond_the_table_the_last_quantile_is_used() -> None:
    assert quantile(1000) == T[-1] > 1.96


def test_a_figure_by_hand() -> None:
    """2, 4, 6: mean 4, variance (4 + 0 + 4) / 2 = 4; 4.303 standard errors of 2 / sqrt(3) to each side."""
    figure = Figure.of([6.0, 2.0, 4.0])
    assert (figure.mean, figure.deviation, figure.smallest, figure.largest) == (4.0, 2.0, 2.0, 6.0)
    assert figure.stderr == pytest.approx(2 / math.sqrt(3))
    assert (figure.low, figure.high) == pytest.approx((4 - 4.303 * 2 / 3**0.5, 4 + 4.303 * 2 / 3**0.5))


def test_differences_are_paired() -> None:
    """Both move by ten, their difference is always -2 or -3."""
    found = spread([10.0, 20.0, 30.0], [12.0, 23.0, 32.0])
    assert found is not None and found.uniform is not None and found.difference is not None
    assert (found.n, found.better) == (3, 3)
    assert (found.method.mean, found.method.deviation) == (20.0, 10.0)
    assert found.uniform.mean == pytest.approx(67 / 3)
    assert found.difference.mean == pytest.approx(-7 / 3)
    assert found.difference.deviation == pytest.approx(math.sqrt(1 / 3))
    assert found.apart == pytest.approx(4.303 * math.sqrt(2) * 10)
    assert "lower than the uniform control's in 3 of 3, by 2.33 on average" in found.sentence
    assert "more than calibration alone does" in found.sentence
    assert "95 % interval 0.90 to 3.77" in found.sentence


def test_a_method_that_is_worse_is_said_to_be() -> None:
    found = spread([12.0, 23.0, 32.0], [10.0, 20.0, 30.0])
    assert found is not None and found.better == 0
    assert "higher than the uniform control's in 3 of 3, by 2.33" in found.sentence
    assert "more than calibration alone does" in found.sentence


@pytest.mark.parametrize(("sign", "toward", "against"), [(1, "lower", "higher"), (-1, "higher", "lower")])
def test_a_difference_within_its_error_means_nothing(sign: int, toward: str, against: str) -> None:
    """Differences of -3, -1 and 1, or the opposite: mean -1, 2 / sqrt(3) each way times 4.303 is 4.97."""
    found = spread([10.0, 20.0, 30.0], [10 + 3.0 * sign, 20 + 1.0 * sign, 30 - 1.0 * sign])
    assert found is not None
    assert f"in 2 of 3, by 1.00 on average, but the 95 % interval goes from 5.97 {toward} to 3.97 {against}: " in (
        found.sentence
    )
    assert "calibration alone may do that" in found.sentence


@pytest.mark.parametrize(
    ("method", "uniform", "verdict"),
    [
        ([10.0, 20.0, 30.0], [12.0, 23.0, 32.0], "better"),
        ([12.0, 23.0, 32.0], [10.0, 20.0, 30.0], "worse"),
        ([10.0, 20.0, 30.0], [13.0, 21.0, 29.0], "open"),
        ([10.0, 20.0], [12.0, 22.0], "few"),
        ([10.0, 20.0], [10.0, 20.0], "same"),
        ([10.0, 20.0, 30.0], None, ""),
    ],
)
def test_the_verdict_in_a_word(method: list[float], uniform: list[float] | None, verdict: str) -> None:
    found = spread(method, uniform)
    assert found is not None and found.verdict == verdict


def test_few_calibrations_give_a_caution_and_two_no_verdict() -> None:
    two = spread([10.0, 20.0], [12.0, 22.5])
    assert two is not None and "too few to say" in two.sentence and "interval" not in two.sentence
    for n in (LEAST, FEW, FEW + 1):
        found = spread([10.0 + i for i in range(n)], [12.0 + 1.1 * i for i in range(n)])
        assert found is not None and ("rough guide" in found.sentence) == (n <= FEW)


def test_without_a_control_only_the_spread_is_told() -> None:
    found = spread([10.0, 20.0])
    assert found is not None and found.uniform is found.difference is None
    assert "control" not in found.sentence
    assert "from 10.0 to 20.0 (standard deviation 7.07)" in found.sentence
    assert spread([10.0]) is None and spread([]) is None and spread([], []) is None


def test_what_never_moves_is_said_plainly() -> None:
    found = spread([10.0] * 3, [10.0] * 3)
    assert found is not None and found.sentence == (
        "Over 3 calibrations the pruned model's perplexity was the same. "
        "The uniform control had the same perplexity each time."
    )
    same = spread([10.0] * 3, [12.0] * 3)
    assert same is not None and "more than calibration alone does" in same.sentence


@pytest.mark.parametrize(("value", "text"), [(1.234, "1.23"), (12.34, "12.3"), (12345.6, "12,346"), (-2.5, "-2.50")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert shown(value) == text


def test_every_sentence_ends() -> None:
    found = spread([1.0, 2.0, 4.0, 1e6], [2.0, 3.0, 5.0, 1.0])
    assert found is not None and re.fullmatch(r"[^\n]+\.", found.sentence)
