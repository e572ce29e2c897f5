"""SweepSpec: which questions a sweep asks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.runs.spec import RunSpec
from neuroal.sweeps.spec import MOST_RUNS, SweepSpec

SPARSITIES = [{"sparsity": 0.5}, {"sparsity": 0.7}]


def asked(spec: SweepSpec) -> list[tuple[Any, ...]]:
    return [(m.spec.pruner, m.spec.top_up, m.spec.step, m.spec.sparsity) for m in spec.members]


def test_every_combination_is_asked_and_uniform_first() -> None:
    top_ups = [{"top_up": "owl"}, {"top_up": "uniform"}]
    spec = SweepSpec({"model": "tiny"}, (top_ups, SPARSITIES))
    assert asked(spec) == [
        ("wanda", "uniform", "both", 0.5), ("wanda", "uniform", "both", 0.7),
        ("wanda", "owl", "both", 0.5), ("wanda", "owl", "both", 0.7),
    ]  # fmt: skip
    assert [m.index for m in spec.members] == [0, 1, 2, 3]
    assert spec.members[3].settings == {"top_up": "owl", "sparsity": 0.7}
    assert all(m.spec.model == "tiny" for m in spec.members)


def test_the_control_is_asked_where_it_is_missing_and_wanted() -> None:
    owl = SweepSpec({}, ([{"top_up": "owl"}], SPARSITIES))
    assert [row[1] for row in asked(owl)] == ["uniform", "uniform", "owl", "owl"]
    base = SweepSpec({"top_up": "owl"}, (SPARSITIES,))
    assert [row[1] for row in asked(base)] == ["uniform", "uniform", "owl", "owl"]
    default = SweepSpec({}, (SPARSITIES,))
    assert [row[1] for row in asked(default)] == ["uniform", "uniform", "neuroal", "neuroal"]
    none = SweepSpec({}, ([{"top_up": "owl"}], SPARSITIES), control=False)
    assert [row[1] for row in asked(none)] == ["owl", "owl"]


def test_the_same_question_is_asked_once() -> None:
    """The step means nothing to uniform and OWL."""
    steps = [{"top_up": t, "step": s} for t in ("uniform", "owl", "neuroal") for s in ("block", "row")]
    assert [row[1:3] for row in asked(SweepSpec({}, (steps,)))] == [
        ("uniform", "both"), ("owl", "both"), ("neuroal", "block"), ("neuroal", "row"),
    ]  # fmt: skip


def test_members_are_ordinary_questions() -> None:
    spec = SweepSpec({"model": "tiny", "samples": 4}, (SPARSITIES,), control=False)
    alone = RunSpec(model="tiny", samples=4, sparsity=0.7)
    assert spec.members[1].spec == alone and spec.members[1].spec.key() == alone.key()


def test_combinations_that_are_not_possible_are_left_out_and_told() -> None:
    spec = SweepSpec({}, ([{"top_up": "owl"}, {"top_up": "custom"}], SPARSITIES), control=False)
    assert [row[1] for row in asked(spec)] == ["owl", "owl"]
    assert spec.refusals == ["The custom top-up needs your ratios, one per block; give them, or pick another top-up."]


def test_json_there_and_back() -> None:
    spec = SweepSpec({"model": "tiny"}, ([{"top_up": "owl", "owl_m": 3}], SPARSITIES), control=False)
    assert SweepSpec.from_json(spec.to_json()) == spec
    assert SweepSpec.from_json(spec.to_json()).key() == spec.key()


def test_the_key_is_that_of_the_questions() -> None:
    axes = ([{"pruner": "wanda"}, {"pruner": "magnitude"}], SPARSITIES)
    assert SweepSpec({}, axes).key() == SweepSpec({}, tuple(reversed(axes))).key() == SweepSpec({"seed": 0}, axes).key()
    assert SweepSpec({}, axes).key() != SweepSpec({"seed": 1}, axes).key()


def test_own_text_is_its_owners() -> None:
    spec = SweepSpec({"source": "own", "text": "my secret words " * 40}, (SPARSITIES,))
    assert spec.private and not SweepSpec({}, (SPARSITIES,)).private
    assert "secret" not in json.dumps(spec.card()) and "secret" in spec.to_json()
    axis = SweepSpec({"source": "own"}, ([{"text": "my secret words " * 40}], SPARSITIES))
    assert "secret" not in json.dumps(axis.card())


@pytest.mark.parametrize(
    ("base", "axes", "sentence"),
    [
        ({}, ([],), "An axis of a sweep is a list"),
        ({}, ("sparsity",), "An axis of a sweep is a list"),
        ({}, ([{}],), "An axis of a sweep is a list"),
        ({}, ([0.5],), "An axis of a sweep is a list"),
        ([], (), "A sweep is an object"),
        ({}, "axes", "A sweep is an object"),
        ({}, 5, "A sweep is an object"),
        ({"sparsty": 0.5}, (), "Setting 'sparsty' is not known. Did you mean 'sparsity'?"),
        ({}, ([{"prunr": "wanda"}],), "Setting 'prunr' is not known. Did you mean 'pruner'?"),
        ({}, ([{"seed": 0}], [{"seed": 1}]), "The setting 'seed' is on two axes"),
        ({}, ([{"seed": i} for i in range(MOST_RUNS)],), "These are 1,000 combinations, but a sweep has at most 500"),
        ({"sparsity": 7}, (), "None of these combinations is possible."),
        ({}, ([{"sparsity": 0.99}],), "None of these combinations is possible."),
    ],
)
def test_a_bad_sweep_gets_one_sentence(base: Any, axes: Any, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        SweepSpec(base, axes)
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "The settings of this sweep cannot be read"),
        ("[]", "A sweep is an object"),
        ('{"axis": []}', "Part 'axis' of a sweep is not known. Did you mean 'axes'?"),
    ],
)
def test_json_that_is_no_sweep(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        SweepSpec.from_json(text)
    assert str(error.value).startswith(sentence)
