"""The Trade-offs tab: which sweep its controls ask for."""

from __future__ import annotations

from typing import Any

import pytest

from components.sweep import METHODS, sweep_from
from neuroal.errors import UserError
from neuroal.runs.spec import RunSpec
from neuroal.topups import TOP_UPS

CHOSEN: dict[str, Any] = {
    "models": ["tiny"], "pruners": ["wanda"], "methods": ["uniform", "owl"], "sparsities": "0.5, 0.6",
    "patterns": "", "seeds": "0",
}  # fmt: skip


def asked(base: RunSpec | None = None, **changes: Any) -> list[RunSpec]:
    return [m.spec for m in sweep_from(base or RunSpec(), *{**CHOSEN, **changes}.values()).members]


def test_every_combination() -> None:
    specs = asked(pruners=["wanda", "magnitude"], seeds="0, 1")
    assert len(specs) == 2 * 2 * 2 * 2
    assert {(s.pruner, s.top_up, s.sparsity, s.seed) for s in specs} == {
        (p, t, s, seed)
        for p in ("wanda", "magnitude") for t in ("uniform", "owl") for s in (0.5, 0.6) for seed in (0, 1)
    }  # fmt: skip


def test_all_else_is_as_it_is_set_under_prune() -> None:
    base = RunSpec(
        samples=4, length=32, exclude=("*.o_proj",), seed=9, sparsity=0.3, pattern="2:4", model="SmolLM2-135M-Instruct"
    )
    (spec, *others) = asked(base, sparsities="0.5", methods=["owl"])
    assert (spec.samples, spec.length, spec.exclude) == (4, 32, ("*.o_proj",))
    assert (spec.model, spec.seed, spec.sparsity, spec.pattern) == ("tiny", 0, 0.5, None)
    assert [s.top_up for s in (spec, *others)] == ["uniform", "owl"]


def test_settings_of_a_top_up_reach_the_runs_that_look_at_them() -> None:
    specs = asked(RunSpec(top_up="owl", owl_m=3.0), methods=["owl", "neuroal block"], sparsities="0.5")
    assert {s.top_up: s.owl_m for s in specs} == {"uniform": 5.0, "owl": 3.0, "neuroal": 5.0}


def test_steps_are_methods_of_their_own() -> None:
    specs = asked(methods=["neuroal block", "neuroal row"], sparsities="0.5")
    assert [(s.top_up, s.step) for s in specs] == [("uniform", "both"), ("neuroal", "block"), ("neuroal", "row")]
    steps = sum(len(t.steps or ("",)) for t in TOP_UPS.entries if t.name != "custom")
    assert len(METHODS) == steps and ("NeuroAL both", "neuroal both") in METHODS and ("OWL", "owl") in METHODS


def test_patterns_beside_ratios_and_alone() -> None:
    assert {(s.pattern, s.sparsity) for s in asked(patterns="2:4 4:8")} == {
        (None, 0.5), (None, 0.6), ("2:4", 0.5), ("4:8", 0.5),
    }  # fmt: skip
    assert {s.pattern for s in asked(patterns="2:4", sparsities="")} == {"2:4"}


def test_no_top_up_is_the_control_alone() -> None:
    assert {s.top_up for s in asked(methods=[])} == {"uniform"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"models": []}, "No model is chosen; choose at least one."),
        ({"pruners": None}, "No base pruner is chosen; choose at least one."),
        ({"sparsities": "half"}, "Sparsity ratios 'half' cannot be read; write them like 0.5, 0.6, 0.7."),
        ({"sparsities": " "}, "No sparsity ratio and no pattern is given; write some, such as 0.5, 0.6, 0.7."),
        ({"seeds": "1.5"}, "Calibration seeds '1.5' cannot be read; write them like 0, 1, 2."),
        ({"sparsities": "60"}, "None of these combinations is possible. Sparsity ratio is 60.0"),
        ({"patterns": "5:4", "sparsities": ""}, "None of these combinations is possible."),
        ({"seeds": " ".join(map(str, range(200)))}, "These are 800 combinations, but a sweep has at most 500"),
    ],
)
def test_what_cannot_be_asked_gets_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        asked(**changes)
    assert str(error.value).startswith(sentence)
