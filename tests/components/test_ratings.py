"""Runs without a search: blocks are rated, or a person gave each its ratio."""

from __future__ import annotations

from components.charts import LIGHT, figures, fold, fold_all, progress, sentence
from neuroal.folding.work import work
from tests.components.logs import own_ratios, rated


def test_ratings_fill_in_block_by_block_and_count_as_work() -> None:
    rating = rated()[:6]  # two of four blocks
    state = fold_all(rating)
    assert state["ratings"] == {
        "measure": "outliers",
        "label": "weights beyond M times the mean, %",
        "values": [4.5, 3.25],
    }
    assert sentence(state) == "Rating every block of the dense model: 2 of 4 blocks."
    drawn = figures(state, palette=LIGHT)
    assert list(drawn) == ["ratings"]
    assert drawn["ratings"]["data"][0]["y"] == [4.5, 3.25]
    assert drawn["ratings"]["layout"]["xaxis"]["range"] == [-0.5, 3.5]  # room for those to come
    assert progress(state)[0] == 2 * 2.0 / work(state)[0]
    again = {**rating[-1], "n": rating[-1]["n"] + 1}
    assert fold(state, again)["ratings"]["values"] == [4.5, 3.25]


def test_a_rated_run_shows_its_ratings_beside_the_sparsity() -> None:
    assert list(figures(fold_all(rated()), palette=LIGHT)) == ["ratings", "sparsity", "damage"]


def test_a_block_without_weights_has_no_figure_but_is_done() -> None:
    state = fold_all(rated(values=(4.5, float("nan"), 3.5))[:7])
    assert state["ratings"]["values"] == [4.5, None, 3.5]
    assert progress(state)[0] == 3 * 2.0 / work(state)[0]


def test_own_ratios_have_no_target() -> None:
    drawn = figures(fold_all(own_ratios()), palette=LIGHT)
    assert [t["name"] for t in drawn["sparsity"]["data"]] == ["chosen", "achieved"]
