"""The form asks exactly what RunSpec asks, and turns what people type into a spec or a sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from components.controls import FIELDS, OWN_TEXTS, TEXT_BYTES
from components.form import (
    CLAIMED,
    CUSTOM,
    DEFAULT_PRESET,
    MAIN,
    MEASURED,
    Form,
    build_form,
    measured_settings,
    own_settings,
    preset_of,
    read_upload,
    sparsity_use,
    spec_from,
    values_of,
)
from neuroal.errors import UserError
from neuroal.pruners import PRUNERS
from neuroal.runs.spec import PRESETS, RunSpec
from neuroal.topups import TOP_UPS

SPEC = RunSpec(model="tiny", sparsity=0.5, lambdas=(0.1, 0.2), samples=3, length=32, prune_samples=7, seed=4)

# A value other than the default for every setting that has a control, and what another setting must then be.
OTHERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "model": ("tiny", {}),
    "revision": ("v2", {}),
    "pruner": ("sparsegpt", {}),
    "top_up": ("owl", {}),
    "step": ("row", {}),
    "mode": ("exact", {}),
    "sparsity": (0.35, {}),
    "pattern": ("1:16", {}),
    "exclude": (("*.down_proj", "0", "model.layers.[12]"), {}),
    "reconstruct": (True, {}),
    "block_sparsity": ((0.0, 0.5, 0.725), {"top_up": "custom"}),
    "owl_m": (7.5, {"top_up": "owl"}),
    "owl_lambda": (0.125, {"top_up": "owl"}),
    "alpha_epsilon": (0.0, {"top_up": "alphapruning"}),
    "dsnot_cycles": (7, {"top_up": "dsnot"}),
    "dsnot_threshold": (0.005, {"top_up": "dsnot"}),
    "continuations": (5, {"reconstruct": True}),
    "renormalise": (True, {}),
    "exact_budget": (True, {}),
    "exact_statistics": (True, {}),
    "lambdas": ((0.05, 0.1), {}),
    "gqa": ("base", {}),
    "source": ("c4", {}),
    "samples": (3, {}),
    "length": (32, {}),
    "prune_samples": (9, {}),
    "seed": (4, {}),
    "dtype": ("float16", {}),
    "eval_source": ("ptb", {}),
    "eval_windows": (4, {}),
    "eval_length": (64, {}),
    "evaluations": (("cost", "perplexity"), {}),
    "tasks": (("piqa", "rte"), {"evaluations": ("zeroshot",)}),
    "task_limit": (7, {"evaluations": ("zeroshot",)}),
    "sensitivity_seeds": (5, {"evaluations": ("sensitivity",)}),
}


@pytest.fixture(scope="module")
def form() -> Form:
    with gr.Blocks():
        built, actions = build_form(lambda: "buttons")
    assert actions == "buttons"
    return built


@pytest.fixture(scope="module")
def order(form: Form) -> list[str]:
    """Names of the controls in the order in which a handler receives their values."""
    return list(form.controls)


def _changed(order: list[str], spec: RunSpec = SPEC, **values: Any) -> list[Any]:
    """What the controls of a spec show, some of them changed by a person."""
    return [values.get(name, old) for name, old in zip(order, values_of(spec), strict=True)]


def test_every_setting_has_a_control(order: list[str]) -> None:
    assert set(order) == set(FIELDS)
    assert len(order) == len(set(order))


def test_values_and_spec_are_inverse() -> None:
    assert spec_from(*values_of(SPEC)) == SPEC
    assert spec_from(*values_of(RunSpec())) == RunSpec()


def test_every_setting_is_tried_with_another_value(order: list[str]) -> None:
    """Own text is left out: it is its owner's, see below."""
    assert set(OTHERS) == set(order) - set(OWN_TEXTS)


@pytest.mark.parametrize("name", OTHERS)
def test_every_setting_survives_the_way_through_the_form(name: str) -> None:
    value, others = OTHERS[name]
    spec = RunSpec(**{**others, name: value})
    assert getattr(spec, name) == value != FIELDS[name].default
    back = spec_from(*values_of(spec))
    assert (back, back.key()) == (spec, spec.key())


def test_own_text_is_not_shown_to_others() -> None:
    own = dataclasses.replace(SPEC, source="own", text="A secret. " * 50)
    assert not any("secret" in str(value) for value in values_of(own))


def test_new_methods_appear_by_themselves(form: Form) -> None:
    assert [name for _, name in form.controls["pruner"].choices] == list(PRUNERS.labels)
    assert [name for _, name in form.controls["top_up"].choices] == list(TOP_UPS.labels)


@pytest.mark.parametrize("top_up", TOP_UPS.labels)
def test_only_the_settings_of_the_chosen_top_up_are_seen(order: list[str], top_up: str) -> None:
    dependent = [name for name in order if name == "step" or name in CLAIMED]
    seen = {name for name, update in zip(dependent, own_settings(top_up), strict=True) if update["visible"]}
    chosen = TOP_UPS.get(top_up)
    assert seen == {*chosen.settings, *(["step"] if chosen.steps else [])}


def test_a_new_form_shows_the_settings_of_the_default_top_up(form: Form) -> None:
    seen = {name for name in CLAIMED if form.controls[name].visible}
    assert seen == set(TOP_UPS.get(RunSpec().top_up).settings)
    assert {name for name, control in form.controls.items() if not control.visible} == (CLAIMED - seen) | MEASURED | {
        "eval_text"
    }


def test_the_settings_of_an_evaluation_are_seen_when_it_is_chosen() -> None:
    shown = dict(zip(sorted(MEASURED), measured_settings(["perplexity", "zeroshot"]), strict=True))
    assert {name for name, update in shown.items() if update["visible"]} == {"tasks", "task_limit"}
    assert not any(update["visible"] for update in measured_settings(["perplexity"]))


def test_an_unseen_setting_of_an_evaluation_may_hold_anything(order: list[str]) -> None:
    assert spec_from(*_changed(order, task_limit=None, tasks=[])) == SPEC
    with pytest.raises(UserError, match="at least one"):
        spec_from(*_changed(order, evaluations=["zeroshot"], tasks=[]))


def test_what_is_not_seen_may_hold_anything(order: list[str]) -> None:
    nonsense = {"owl_m": None, "owl_lambda": 99, "block_sparsity": "half", "dsnot_cycles": 0.5}
    assert spec_from(*_changed(order, **nonsense)) == SPEC
    owl = spec_from(*_changed(order, top_up="owl", lambdas="half", owl_m=3))
    assert (owl.lambdas, owl.owl_m) == (None, 3.0)


def test_the_ratio_is_greyed_out_where_something_else_decides_it() -> None:
    assert sparsity_use("neuroal", "") == gr.update(interactive=True, info=FIELDS["sparsity"].metadata["help"])
    assert "the N:M pattern decides" in sparsity_use("neuroal", "2:4")["info"]
    assert "your ratios decide" in sparsity_use("custom", "")["info"]
    assert not sparsity_use("neuroal", "2:4")["interactive"] and not sparsity_use("custom", None)["interactive"]


def test_refitting_is_a_switch_of_the_main_part(form: Form) -> None:
    assert "reconstruct" in MAIN
    assert isinstance(form.controls["reconstruct"], gr.Checkbox)


@pytest.mark.parametrize("empty", ["", None, 0])
def test_empty_samples_to_prune_means_the_same(order: list[str], empty: object) -> None:
    assert spec_from(*_changed(order, prune_samples=empty)).prune_samples is None


@pytest.mark.parametrize(
    ("typed", "means"),
    [("0.5, 0.6", (0.5, 0.6)), ("0.5;0.6", (0.5, 0.6)), (" 0.5\n0.6\n", (0.5, 0.6)), ("0 .25 5e-1", (0, 0.25, 0.5))],
)
def test_ratios_are_typed_in_any_plain_way(order: list[str], typed: str, means: tuple[float, ...]) -> None:
    assert spec_from(*_changed(order, top_up="custom", block_sparsity=typed)).block_sparsity == means


@pytest.mark.parametrize("typed", ["0,*.down_proj", " 0 \n*.down_proj\n\n", "0, *.down_proj, 0,"])
def test_globs_are_apart_by_commas_or_lines(order: list[str], typed: str) -> None:
    assert spec_from(*_changed(order, exclude=typed)).exclude == ("0", "*.down_proj")


def test_decimals_stay_decimals_and_whole_numbers_ask_the_same_question(order: list[str], form: Form) -> None:
    owl = spec_from(*_changed(order, top_up="owl", owl_lambda=0.055, owl_m=5))
    assert (owl.owl_lambda, owl.owl_m, type(owl.owl_m)) == (0.055, 5.0, float)
    assert owl.key() == dataclasses.replace(owl, owl_m=5.0).key()
    assert form.controls["owl_lambda"].step == 0.01 and form.controls["samples"].step == 1
    assert form.controls["dsnot_threshold"].info.endswith("0 to 1,000,000.")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"lambdas": "one, two"}, "Lambdas 'one, two' are not numbers"),
        ({"lambdas": ","}, "from 0 to 1"),
        ({"samples": None}, "Samples is empty"),
        ({"samples": 2.5}, "whole number"),
        ({"sparsity": 0.95}, "from 0.1 to 0.9"),
        ({"model": "  "}, "No model is given"),
        ({"seed": -1}, "from 0 to"),
        ({"pattern": "2 of 4"}, "write N:M"),
        ({"top_up": "custom", "block_sparsity": ""}, "needs your ratios"),
        ({"top_up": "custom", "block_sparsity": "half, " * 30}, r"Your ratios .{10,50} are not numbers"),
        ({"top_up": "custom", "block_sparsity": "50, 60"}, "from 0 to below 1"),
        ({"top_up": "owl", "owl_m": None}, "OWL's M is empty"),
        ({"top_up": "owl", "owl_lambda": 0.6}, "from 0 to 0.5"),
        ({"top_up": "dsnot", "dsnot_cycles": 2.5}, "whole number"),
        ({"top_up": "nothing"}, "Top-up 'nothing' is not known"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(order: list[str], values: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as told:
        spec_from(*_changed(order, **values))
    assert "\n" not in str(told.value)


def test_presets_are_what_their_names_promise() -> None:
    assert RunSpec(**PRESETS[DEFAULT_PRESET]) == RunSpec()
    assert (PRESETS["Quick"]["samples"], PRESETS["Quick"]["length"]) == (8, 64)
    paper = PRESETS["Paper"]
    assert (paper["samples"], paper["length"], paper["prune_samples"]) == (8, 2048, 128)


def test_a_link_shows_the_budget_of_its_run() -> None:
    assert [preset_of(RunSpec(**sizes)) for sizes in PRESETS.values()] == list(PRESETS)
    assert preset_of(SPEC) == CUSTOM


def test_a_text_file_is_read_and_others_are_refused(tmp_path: Path) -> None:
    good, binary, large = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.txt"
    good.write_text("Grüße, text.", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe\x00PK")
    large.write_bytes(b"a" * (TEXT_BYTES + 1))
    assert read_upload(str(good)) == "Grüße, text."
    with pytest.raises(gr.Error, match="not UTF-8"):
        read_upload(str(binary))
    with pytest.raises(gr.Error, match="larger than 2 MB"):
        read_upload(str(large))
