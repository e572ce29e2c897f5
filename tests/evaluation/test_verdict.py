"""Thresholds, one figure at a time; means and standard errors by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from neuroal.evaluation.verdict import Figures, Mean, doubts, judge

WHOLE = {
    "repetition": 0.3,
    "distinct_1": 0.5,
    "distinct_2": 0.6,
    "non_words": 0.01,
    "perplexity": 2.5,
    "perplexity_new": 3.0,
    "length": 48.0,
    "empty": 0.0,
}


def figures(**changes: float | None) -> Figures:
    return Figures(**{name: Mean(value, 0.1, 8) for name, value in {**WHOLE, **changes}.items()})


DENSE = figures()


def test_mean_and_standard_error() -> None:
    mean = Mean.of([1.0, None, 3.0, 5.0])
    assert mean == Mean(3.0, pytest.approx(math.sqrt(4 / 3)), 3)  # variance 4
    assert Mean.of([2.0]) == Mean(2.0, 0.0, 1)
    assert Mean.of([None, None]) == Mean(None, 0.0, 0)


def test_the_dense_model_is_healthy_beside_itself() -> None:
    assert judge(DENSE, DENSE) == ("healthy", ())


# New 4-grams: 0.7 in the dense text; 0.75 and 0.35 of that are 0.525 and 0.245.
@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({"repetition": 0.47}, "healthy", None),
        ({"repetition": 0.48}, "degraded", "48% of the 4-grams repeat an earlier one, 30% in the dense"),
        ({"repetition": 0.75}, "degraded", "less than 75%"),
        ({"repetition": 0.76}, "collapsed", "34% as many new ones, less than 35%"),
        ({"repetition": 0.0}, "healthy", None),
        ({"distinct_2": 0.46}, "healthy", None),
        ({"distinct_2": 0.44}, "degraded", "Distinct-2 is 0.44, 0.60 in the dense model's answers: 73% of it"),
        ({"distinct_2": 0.2}, "collapsed", "less than 35%"),
        ({"perplexity_new": 4.4}, "healthy", None),
        ({"perplexity_new": 4.6}, "degraded", "is 4.6, 1.5 times that of the dense model's own answers, more than 1.5"),
        ({"perplexity_new": 18.1}, "collapsed", "more than 6 times"),
        ({"perplexity_new": 1.0}, "healthy", None),
        ({"non_words": 0.05}, "healthy", None),
        ({"non_words": 0.07}, "degraded", "7% of the words are not in the English lexicon, 1% in the dense"),
        ({"non_words": 1.0}, "degraded", "99 points more, above 5"),  # another language is no collapse
        ({"empty": 0.25}, "healthy", None),
        ({"empty": 0.375}, "degraded", "38 points more, above 25"),
        ({"empty": 0.625}, "collapsed", "above 50"),
    ],
)
def test_each_figure_has_its_thresholds(changes: dict[str, float], verdict: str, says: str | None) -> None:
    found, reasons = judge(figures(**changes), DENSE)
    assert found == verdict
    assert len(reasons) == (says is not None)
    assert says is None or says in reasons[0]


def test_the_worst_figure_decides_and_every_one_is_told() -> None:
    verdict, reasons = judge(figures(repetition=0.5, perplexity_new=30.0, non_words=0.2), DENSE)
    assert verdict == "collapsed" and len(reasons) == 3


def test_a_loop_that_is_easy_to_predict_is_no_excuse() -> None:
    assert judge(figures(perplexity=1.1, perplexity_new=50.0), DENSE)[0] == "collapsed"
    assert judge(figures(perplexity=1.1), DENSE)[0] == "healthy"


def test_silence_is_collapse() -> None:
    """No answer has a token, so no other figure exists."""
    nothing = dict.fromkeys(WHOLE, None) | {"length": 0.0, "empty": 1.0}
    verdict, reasons = judge(figures(**nothing), DENSE)
    assert verdict == "collapsed" and reasons == (
        "100% of the answers have no letter or digit, 0% of the dense model's: 100 points more, above 50.",
    )
    assert judge(figures(**nothing), figures(**nothing)) == ("healthy", ())


def test_a_dense_model_that_loops_is_no_yardstick_for_variety() -> None:
    loops = figures(repetition=0.9, distinct_2=0.1)
    assert judge(figures(repetition=1.0, distinct_2=0.01), loops) == ("healthy", ())
    assert [sentence for sentence in doubts(loops) if "repeats 90%" in sentence and "not judged" in sentence]
    assert doubts(DENSE) == ()


def test_a_dense_model_of_another_language_is_not_held_to_english() -> None:
    foreign = figures(non_words=0.6)
    assert judge(figures(non_words=0.9), foreign) == ("healthy", ())
    assert [sentence for sentence in doubts(foreign) if "60%" in sentence and "not judged" in sentence]
    (sentence,) = doubts(figures(non_words=None))
    assert "no words in Latin letters" in sentence


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("side", ["model", "dense"])
def test_a_figure_that_no_answer_has_is_passed_over(name: str, side: str) -> None:
    without: Any = dataclasses.replace(DENSE, **{name: Mean(None, 0.0, 0)})
    assert judge(*((without, DENSE) if side == "model" else (DENSE, without))) == ("healthy", ())
