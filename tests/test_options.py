"""Options: named and held to their range, and those of another top-up left out."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.options import Options, OptionValues
from neuroal.runs.spec import RunSpec
from neuroal.topups import TOP_UPS

# Of every option another value than its default, and a top-up that looks at it.
OTHER: dict[str, tuple[str, Any]] = {
    "lambdas": ("neuroal", (0.1, 0.2)),
    "gqa": ("neuroal", "base"),
    "pattern": ("uniform", "2:4"),
    "exclude": ("uniform", ("*.down_proj",)),
    "block_sparsity": ("custom", (0.5, 0.6, 0.7)),
    "owl_m": ("owl", 3.0),
    "owl_lambda": ("owl", 0.1),
    "alpha_epsilon": ("alphapruning", 0.2),
    "dsnot_cycles": ("dsnot", 3),
    "dsnot_threshold": ("dsnot", 0.5),
    "continuations": ("owl", 5),
    "renormalise": ("owl", True),
    "exact_budget": ("uniform", True),
    "exact_statistics": ("dsnot", True),
    "reconstruct": ("uniform", True),
}


def test_defaults_are_those_of_a_run() -> None:
    assert set(OTHER) == set(Options.names()), "a new option needs a line in these tests"
    for field in dataclasses.fields(Options):
        assert field.default == getattr(RunSpec(), field.name) != OTHER[field.name][1], field.name
        assert field.name in Options.__doc__, field.name


# Options that are looked at with another one only.
WITH = {"continuations": {"reconstruct": True}}


@pytest.mark.parametrize("name", OTHER)
def test_every_option_reaches_the_engine(model: LlamaForCausalLM, tokens: torch.Tensor, name: str) -> None:
    """The allocation remembers them all, so that pruning needs no more."""
    top_up, value = OTHER[name]
    options = {name: value, **WITH.get(name, {})}
    settings = {"top_up": top_up, "sparsity": 0.5, **options}
    allocation = neuroal.allocate(model, tokens, **settings)
    assert Options(**allocation.options) == Options(**options)
    report = neuroal.prune(model, tokens, allocation)
    assert 0.3 < report.overall < 0.7


@pytest.mark.parametrize("name", OTHER)
def test_what_only_another_top_up_looks_at_keeps_its_default(name: str) -> None:
    value = OTHER[name][1]
    for top_up in TOP_UPS.entries:
        if top_up.name == "custom":
            continue
        common = not any(name in other.settings for other in TOP_UPS.entries)
        expected = value if common or name in top_up.settings else getattr(Options(), name)
        assert getattr(Options.parse({name: value, **WITH.get(name, {})}, top_up.name), name) == expected


@pytest.mark.parametrize(
    ("given", "meant"),
    [("lamdas", "lambdas"), ("owl_n", "owl_m"), ("dsnot_cycle", "dsnot_cycles"), ("excludes", "exclude"),
     ("renormalize", "renormalise"), ("exact_budgets", "exact_budget"), ("epsilon", "alpha_epsilon")],
)  # fmt: skip
def test_an_unknown_option_names_the_near_miss(
    model: LlamaForCausalLM, tokens: torch.Tensor, given: str, meant: str
) -> None:
    with pytest.raises(TypeError, match=f"Option '{given}' is not known: did you mean '{meant}'"):
        neuroal.iter_allocate(model, tokens, **{given: 1})


@pytest.mark.parametrize("given", ["zzz", "sparsity_ratio_of_rows", "model", "source"])
def test_an_unknown_option_far_from_any_lists_them_all(given: str) -> None:
    """Settings of a run that are no option of an allocation are unknown too."""
    with pytest.raises(TypeError) as caught:
        Options.parse({given: 1})
    assert "did you mean" in str(caught.value) or all(name in str(caught.value) for name in OTHER)


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("owl_m", (0.0, -1, 1001, "5", True, float("nan")), "from 0.1 to 1000"),
        ("owl_lambda", (-0.1, 0.6, None), "from 0 to 0.5"),
        ("alpha_epsilon", (-0.1, 1.0, float("inf")), "from 0 to 0.99"),
        ("dsnot_cycles", (0, 2.5, 10_001, True), "a whole number from 1 to 10000"),
        ("dsnot_threshold", (-1, float("nan")), "from 0 to 1000000"),
        ("lambdas", ((), (2.0,), 0.1, "0.1"), "from 0 to 1"),
        ("gqa", ("folded", None, 1), "Known: fold, base"),
        ("pattern", ("4:2", 0.5, "half"), "N:M|must be text"),
        ("exclude", (5, (1,), None), "list of globs"),
        ("block_sparsity", ((), (1.0,), (-0.1,), 0.5, "0.5", (True,), (float("nan"),)), "from 0 to below 1"),
        ("renormalise", (1, 0, "yes", None), "true or false"),
        ("exact_budget", (1, "true"), "true or false"),
        ("exact_statistics", (1.0, []), "true or false"),
        ("reconstruct", (0, "no"), "true or false"),
    ],
)
def test_a_value_out_of_range_names_the_range(name: str, values: tuple[Any, ...], says: str) -> None:
    """Also where the top-up at hand does not look at it."""
    for value in values:
        for top_up in ("uniform", OTHER[name][0]):
            with pytest.raises(ValueError, match=says) as caught:
                Options.parse({name: value}, top_up)
            assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_lists_and_a_single_glob_are_taken(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    parsed = Options.parse({"lambdas": [0.1], "exclude": [" mlp ", "mlp", ""]})
    assert (parsed.lambdas, parsed.exclude) == ((0.1,), ("mlp",))
    assert Options.parse({"exclude": "0"}) == Options.parse({"exclude": ("0",)})
    assert Options.parse({"pattern": ""}) == Options()
    allocation = neuroal.allocate(model, tokens, top_up="uniform", sparsity=0.5, exclude="0")
    assert len(allocation.sparsity) == 14


@pytest.mark.parametrize("pattern", ["1:16", "15:16", "1:128"])
def test_a_pattern_may_be_sparser_than_a_ratio_may(model: LlamaForCausalLM, tokens: torch.Tensor, pattern: str) -> None:
    allocation = neuroal.allocate(model, tokens, top_up="uniform", pattern=pattern)
    kept, of = map(int, pattern.split(":"))
    assert allocation.target == 1 - kept / of


def test_type_checkers_know_every_option() -> None:
    assert list(OptionValues.__annotations__) == Options.names()
