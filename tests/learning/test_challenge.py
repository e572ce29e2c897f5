"""Challenges: goals that follow from what is measured, and attempts that may be compared with them."""

from __future__ import annotations

import pytest
from torch import Tensor

import neuroal
from neuroal.errors import UserError
from neuroal.learning.ground import WINDOW, WINDOWS
from neuroal.learning.scenes import Classroom
from neuroal.models.loading import LanguageModel
from neuroal.twin import sparse_twin


def perplexity_of(lm: LanguageModel, tokens: Tensor, ratios: list[float]) -> float:
    """By the public functions."""
    options = {"pruner": "wanda", "sparsity": sum(ratios) / len(ratios)}
    allocation = neuroal.allocate(lm.model, tokens, top_up="custom", block_sparsity=ratios, **options)
    twin = sparse_twin(lm.model, list(allocation.sparsity))
    neuroal.prune(twin, tokens, allocation)
    return neuroal.perplexity(twin, neuroal.held_out_windows(lm.tokenizer, windows=WINDOWS, length=WINDOW))


def test_goals_lie_between_uniform_and_what_the_search_has_chosen(classroom: Classroom) -> None:
    asked = {"sparsity": 0.65}
    scene, race = classroom.answer("challenge", asked), classroom.answer("race", asked)
    uniform, search = scene["uniform"]["perplexity"], scene["search"]["perplexity"]
    assert scene["search"]["lam"] == race["chosen"]
    assert scene["search"]["score"] == pytest.approx(min(race["scores"]))
    assert scene["uniform"]["score"] == pytest.approx(race["uniform"])
    assert scene["goals"]["share"] == pytest.approx(uniform - 2 / 3 * (uniform - search), abs=0.051)
    assert scene["goals"]["search"] == pytest.approx(search, abs=0.051)
    assert scene["goals"] == {"share": pytest.approx(168.6, rel=0.01), "search": pytest.approx(159.8, rel=0.01)}
    assert scene["dense"] < search < scene["goals"]["share"] < uniform


def test_its_ends_are_told_before_the_search_is_over(classroom: Classroom) -> None:
    asked = {"sparsity": 0.65}
    ends, scene = classroom.answer("ends", asked), classroom.answer("challenge", asked)
    assert ends == {"sparsity": 0.65, "dense": scene["dense"], "uniform": scene["uniform"]["perplexity"]}


def test_a_score_is_the_same_whether_a_race_found_it_or_a_walk(classroom: Classroom) -> None:
    """To the last bit: who measures the same twice must not see two scores."""
    settings = {"sparsity": 0.55, "lam": 0.08}
    walked = classroom.answer("score", settings)["score"]
    race = classroom.answer("race", {"sparsity": 0.55})
    assert race["scores"][race["lambdas"].index(0.08)] == walked
    assert classroom.answer("attempt", settings)["score"] == walked


def test_without_a_gain_uniform_is_what_there_is_to_beat(classroom: Classroom) -> None:
    scene = classroom.answer("challenge", {"sparsity": 0.5, "pruner": "magnitude"})
    uniform = scene["uniform"]["perplexity"]
    assert scene["search"]["perplexity"] > uniform and scene["gain"] == 0
    assert scene["goals"] == {"share": round(uniform, 1), "search": round(uniform, 1)}


def test_an_attempt_by_hand_is_pruned_and_measured(classroom: Classroom, tiny: LanguageModel, tokens: Tensor) -> None:
    ratios = [0.55, *[0.66] * 5, 0.67, 0.68]
    found = classroom.answer("attempt", {"sparsity": 0.65, "ratios": ratios})
    assert found["counts"] and found["mean"] == pytest.approx(0.65)
    assert found["perplexity"] == pytest.approx(perplexity_of(tiny, tokens, ratios), rel=1e-4)
    assert found["achieved"] == pytest.approx(0.65, abs=0.006)  # each row loses a whole number of weights
    assert found["score"] == pytest.approx(classroom.answer("score", {"sparsity": 0.65, "ratios": ratios})["score"])


def test_an_attempt_by_lambda_is_that_of_the_search(classroom: Classroom) -> None:
    search = dict(classroom.answer("challenge", {"sparsity": 0.65})["search"])
    assert classroom.answer("attempt", {"sparsity": 0.65, "lam": search.pop("lam")}) == search


def test_a_lambda_that_leaves_the_sparsity_does_not_count(classroom: Classroom) -> None:
    """At 80 % the steepest slope would reach 105 % in the last block; 99 % takes its place."""
    found = classroom.answer("attempt", {"sparsity": 0.8, "pruner": "magnitude", "lam": 0.25})
    assert found["ratios"][-1] == 0.99 and found["mean"] == pytest.approx(0.7925) and not found["counts"]


@pytest.mark.parametrize(
    ("ratios", "says"),
    [
        ([0.65] * 7, "7 ratios were given; the teaching model has 8 blocks"),
        ([0.61, *[0.65] * 7], None),
        ([0.609, *[0.65] * 7], "prune 64.49 % of the weights on average; bring that to 65 %, at most 0.5 points"),
        ([*[0.65] * 7, 0.7], "prune 65.62 % of the weights"),
    ],
)
def test_ratios_whose_mean_is_another_one_are_refused(
    classroom: Classroom, ratios: list[float], says: str | None
) -> None:
    asked = {"sparsity": 0.65, "ratios": ratios}
    if says is None:
        assert classroom.answer("attempt", asked)["mean"] == pytest.approx(0.645)
    else:
        for scene in ("attempt", "result"):
            with pytest.raises(UserError, match=says):
                classroom.answer(scene, asked)
