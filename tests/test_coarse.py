"""Coarse to fine: where it begins, what the parabola asks for, when it ends; and how it fares on recorded curves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from neuroal.coarse import MOST, STARTS, following
from neuroal.schedules import BLOCK_LAMBDAS, ROW_LAMBDAS, block_lambdas


def _scored(step: str, lambdas: tuple[float, ...], score: Callable[[float], float]) -> dict[float, float]:
    """All that is scored until no more is wanted."""
    scores: dict[float, float] = {}
    while wanted := following(step, lambdas, scores):
        assert not set(wanted) & set(scores), "nothing is scored twice"
        scores |= {lam: score(lam) for lam in wanted}
    return scores


@pytest.mark.parametrize(("step", "grid"), [("block", BLOCK_LAMBDAS), ("row", ROW_LAMBDAS)])
def test_it_begins_at_three_places_of_the_grid(step: str, grid: tuple[float, ...]) -> None:
    assert following(step, grid, {}) == STARTS[step]
    assert following(step, grid, {STARTS[step][0]: 1.0}) == STARTS[step][1:]


def test_another_grid_is_begun_at_its_ends_and_middle() -> None:
    assert following("other", (0.5, 0.1, 0.2, 0.3, 0.4), {}) == (0.1, 0.3, 0.5)
    assert following("other", (0.3,), {}) == (0.3,)


@pytest.mark.parametrize("bottom", [0.01, 0.06, 0.09, 0.12, 0.25])
def test_the_bottom_of_a_parabola_is_found_with_one_more(bottom: float) -> None:
    """Three points determine it; 4 (lam - bottom)² is steep enough for every bottom to be worth a candidate."""
    scores = _scored("block", BLOCK_LAMBDAS, lambda lam: 1 + 4 * (lam - bottom) ** 2)
    best = min(scores, key=scores.__getitem__)
    assert scores[best] <= 1.002
    assert len(scores) <= 4


def test_a_flat_curve_needs_no_more_than_the_beginning() -> None:
    assert len(_scored("row", ROW_LAMBDAS, lambda _: 7.0)) == 3


def test_it_ends_also_on_a_curve_that_keeps_promising() -> None:
    """Each candidate is worse than promised: only the count ends it."""
    rough = {lam: 1 + (i * 7919 % 13) / 13 for i, lam in enumerate(BLOCK_LAMBDAS)}
    assert 3 <= len(_scored("block", BLOCK_LAMBDAS, rough.__getitem__)) <= MOST


def test_nothing_is_better_than_no_damage() -> None:
    """Scores of zero (a model that pruning does not change) divide nothing."""
    assert len(_scored("block", BLOCK_LAMBDAS, lambda _: 0.0)) == 3


def test_a_grid_smaller_than_the_beginning_is_scored_in_full() -> None:
    assert set(_scored("block", (0.3, 0.1), lambda lam: lam)) == {0.1, 0.3}


def test_the_shorter_grid_of_high_sparsity_will_do() -> None:
    scores = _scored("block", block_lambdas(0.8), lambda lam: 2 - lam)
    assert min(scores, key=scores.__getitem__) == 0.2
