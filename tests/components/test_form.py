"""The form asks exactly what RunSpec asks, and turns what people type into a spec or a sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gradio as gr
import pytest

from components.form import DEFAULT_PRESET, UPLOAD_BYTES, build_form, read_upload, spec_from, values_of
from neuroal.errors import UserError
from neuroal.pruners import PRUNERS
from neuroal.runs.spec import PRESETS, RunSpec

SPEC = RunSpec(model="tiny", sparsity=0.5, lambdas=(0.1, 0.2), samples=3, length=32, prune_samples=7, seed=4)


@pytest.fixture(scope="module")
def order() -> list[str]:
    """Names of the controls in the order in which a handler receives their values."""
    with gr.Blocks():
        form, built = build_form(lambda: "buttons")
    assert built == "buttons"
    return list(form.controls)


def _changed(order: list[str], name: str, value: object) -> list[object]:
    return [value if known == name else old for known, old in zip(order, values_of(SPEC), strict=True)]


def test_every_setting_but_two_has_a_control(order: list[str]) -> None:
    """The mode has one value so far, and perplexity is what is measured."""
    assert set(order) == {f.name for f in dataclasses.fields(RunSpec)} - {"mode", "evaluations"}


def test_values_and_spec_are_inverse() -> None:
    assert spec_from(*values_of(SPEC)) == SPEC


def test_own_text_is_not_shown_to_others() -> None:
    own = dataclasses.replace(SPEC, source="own", text="A secret. " * 50)
    assert not any("secret" in str(value) for value in values_of(own))


def test_a_new_pruner_appears_by_itself() -> None:
    with gr.Blocks():
        form, _ = build_form(lambda: None)
    assert [name for _, name in form.controls["pruner"].choices] == list(PRUNERS.labels)


@pytest.mark.parametrize("empty", ["", None, 0])
def test_empty_samples_to_prune_means_the_same(order: list[str], empty: object) -> None:
    assert spec_from(*_changed(order, "prune_samples", empty)).prune_samples is None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("lambdas", "one, two", "not numbers"),
        ("samples", None, "Samples is empty"),
        ("samples", 2.5, "whole number"),
        ("sparsity", 0.95, "from 0.1 to 0.9"),
        ("model", "  ", "No model is given"),
        ("seed", -1, "from 0 to"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(order: list[str], name: str, value: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        spec_from(*_changed(order, name, value))


def test_presets_are_what_their_names_promise() -> None:
    assert RunSpec(**PRESETS[DEFAULT_PRESET]) == RunSpec()
    assert (PRESETS["Quick"]["samples"], PRESETS["Quick"]["length"]) == (8, 64)
    paper = PRESETS["Paper"]
    assert (paper["samples"], paper["length"], paper["prune_samples"]) == (8, 2048, 128)


def test_a_text_file_is_read_and_others_are_refused(tmp_path: Path) -> None:
    good, binary, large = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.txt"
    good.write_text("Grüße, text.", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe\x00PK")
    large.write_bytes(b"a" * (UPLOAD_BYTES + 1))
    assert read_upload(str(good)) == "Grüße, text."
    with pytest.raises(gr.Error, match="not UTF-8"):
        read_upload(str(binary))
    with pytest.raises(gr.Error, match="larger than 2 MB"):
        read_upload(str(large))
