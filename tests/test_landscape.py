"""Which candidates are scored: a normal distribution worked out by hand, and the outcome on every recorded curve."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from neuroal import landscape
from neuroal.landscape import GAIN, LEAST, MOST, Known, following, learnt, recorded
from neuroal.schedules import BLOCK_LAMBDAS, ROW_LAMBDAS, block_lambdas
from tests.benchmarks.bench_auto import GOOD, outcomes


def _scored(step: str, lambdas: tuple[float, ...], score: Callable[[float], float]) -> dict[float, float]:
    """All that is scored until no more is wanted."""
    scores: dict[float, float] = {}
    while wanted := following(step, lambdas, scores):
        assert not set(wanted) & set(scores), "nothing is scored twice"
        scores |= {lam: score(lam) for lam in wanted}
    return scores


@pytest.mark.parametrize(("step", "grid"), [("block", BLOCK_LAMBDAS), ("row", ROW_LAMBDAS)])
def test_it_begins_where_recorded_curves_are_lowest(step: str, grid: tuple[float, ...]) -> None:
    known = recorded(step)
    assert known.lambdas == grid
    assert following(step, grid, {}) == (grid[int(known.mean.argmin())],)


def test_what_is_learnt_is_relative_to_each_curves_level() -> None:
    """Two curves of one shape at levels 1 and 100, and one that is flat: deviations 1/6, 1/6 and -1/3 of the first."""
    known = learnt([((0.1, 0.2), (1.0, math.e)), ((0.1, 0.2), (100.0, 100 * math.e)), ((0.1, 0.2), (5.0, 5.0))])
    assert known.mean == pytest.approx([-1 / 3, 1 / 3])
    assert known.covariance == pytest.approx(np.array([[1, -1], [-1, 1]]) / 12)


def test_conditioning_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second candidate goes with the first, but for a deviation of 0.1 of its own; the third does not.

    After a bad first score the third promises more, after a good one the second.
    """
    covariance = np.array([[0.04, 0.04, 0.0], [0.04, 0.05, 0.0], [0.0, 0.0, 0.04]])
    monkeypatch.setattr(landscape, "recorded", lambda _: Known((0.1, 0.2, 0.3), np.array([-0.001, 0, 0]), covariance))
    monkeypatch.setattr(landscape, "LEVEL", 0.0)
    monkeypatch.setattr(landscape, "ROUGHNESS", 1e-5)
    grid = (0.1, 0.2, 0.3)
    assert following("block", grid, {}) == (0.1,)
    assert following("block", grid, {0.1: math.exp(0.5)}) == (0.3,)
    assert following("block", grid, {0.1: math.exp(-0.5)}) == (0.2,)
    mean, deviation = landscape._conditioned(landscape.recorded("block"), {0: 0.5}, None)
    assert mean == pytest.approx([0.5, 0.501, 0.0], abs=1e-3)
    assert deviation == pytest.approx([0.0, 0.1, 0.2], abs=4e-3)


def test_expected_improvement_by_hand() -> None:
    """At equal means it is the deviation over the root of two pi."""
    assert landscape._expected_improvement(0.0, 0.0, 1.0) == pytest.approx(0.39894228)
    assert landscape._expected_improvement(0.0, 5.0, 0.01) == pytest.approx(0.0)
    assert landscape._expected_improvement(0.0, -2.0, 1e-6) == pytest.approx(2.0)


def test_it_ends_also_on_a_curve_unlike_all_others() -> None:
    rough = {lam: 1 + (i * 7919 % 13) / 13 for i, lam in enumerate(BLOCK_LAMBDAS)}
    assert LEAST <= len(_scored("block", BLOCK_LAMBDAS, rough.__getitem__)) <= MOST


@pytest.mark.parametrize("constant", [0.0, 7.0, 1e-30, 1e30])
def test_no_level_of_scores_is_special(constant: float) -> None:
    """Scores of zero too: a model that pruning does not change."""
    assert LEAST <= len(_scored("row", ROW_LAMBDAS, lambda _: constant)) <= MOST


def test_the_shorter_grid_of_high_sparsity_will_do() -> None:
    scores = _scored("block", block_lambdas(0.8), lambda lam: 2 - 3 * lam)
    assert set(scores) <= set(block_lambdas(0.8))
    assert min(scores, key=scores.__getitem__) == 0.2


def test_a_score_at_lambda_zero_is_heard() -> None:
    """0.12 far below lambda 0 leaves less to be gained than 0.12 just below it; a score of zero says nothing."""
    known = recorded("row")
    at = {known.lambdas.index(0.12): 0.0}
    near, far = (landscape._conditioned(known, at, math.exp(above))[0] for above in (0.0, 0.3))
    assert near[0] < far[0], "what is expected at lambda 0 itself"
    silent = following("row", ROW_LAMBDAS, {0.12: 1.0})
    assert following("row", ROW_LAMBDAS, {0.12: 1.0}, at_zero=0.0) == silent


def test_the_chosen_lambda_is_good_on_recorded_curves() -> None:
    """Cross-validated by model, pruner and sparsity: within 1 % of the exact minimum in 95 % of at least 40 cases."""
    found = list(outcomes())
    assert len(found) >= 40
    assert sum(above <= GOOD for _, above, _ in found) >= 0.95 * len(found)
    assert sum(count for _, _, count in found) / len(found) <= 4.5
    assert GAIN < GOOD
