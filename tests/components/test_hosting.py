"""What the page shows of its host: limits beside the button, and controls that keep to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from components.controls import model_choices
from components.form import build_form
from components.hosting import LENT, NOT_KEPT, build_host
from components.page import Records, build_page
from components.warmup import Warmup
from neuroal.hosting import profile as hosting
from neuroal.hosting.limits import Limits, sentence
from neuroal.hosting.profile import Profile, current
from neuroal.models import MENU
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop

SPACE_CPU, CLASSROOM = (current({"NEUROAL_PROFILE": name}) for name in ("space-cpu", "classroom"))


def told_of(profile: Profile) -> list[gr.blocks.Block]:
    with gr.Blocks() as page:
        build_host(profile)
    return list(page.blocks.values())


def test_a_machine_of_ones_own_says_nothing() -> None:
    assert told_of(current({})) == []


def test_a_space_tells_its_limits_what_is_lost_and_how_to_have_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/neuroal")
    monkeypatch.delenv("NEUROAL_DATA")
    monkeypatch.setattr(hosting.os.path, "isdir", lambda path: False)  # no /data here
    limits, lost, duplicate = told_of(SPACE_CPU)
    assert (limits.value, lost.value) == (sentence(SPACE_CPU), NOT_KEPT)
    assert isinstance(duplicate, gr.DuplicateButton)
    monkeypatch.setenv("NEUROAL_DATA", str(tmp_path))
    told = [block.value for block in told_of(SPACE_CPU)[:-1]]
    assert told == [sentence(SPACE_CPU)], "its owner has chosen a place"


def test_where_a_folder_is_kept_nothing_is_said_to_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEUROAL_DATA")
    (told,) = told_of(Profile(samples=3, data=(str(tmp_path),)))
    assert NOT_KEPT not in told.value


def test_zerogpu_tells_whose_quota_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert LENT.format(60) in told_of(current({"NEUROAL_PROFILE": "zerogpu"}))[0].value


def shape_of(profile: Profile) -> tuple[dict[str, Any], list[str]]:
    with gr.Blocks():
        form, _ = build_form(lambda: None, Limits(profile))
    return form.controls, [value for _, value in form.preset.choices]


def test_the_form_keeps_to_the_limits() -> None:
    controls, budgets = shape_of(CLASSROOM)
    names = [name for _, name in controls["model"].choices]
    assert names == ["SmolLM2-135M-Instruct", "tiny", "OPT-125m", "Pythia-70m"]
    assert controls["samples"].info.endswith(" 1 to 16.") and controls["eval_length"].info.endswith(" 16 to 512.")
    assert budgets == ["Quick", "Balanced", "Custom"], "Paper is more than is allowed"
    controls, budgets = shape_of(Profile(samples=4, length=64))
    assert (controls["samples"].value, controls["length"].value, controls["prune_samples"].value) == (4, 64, None)
    assert budgets == ["Custom"]


def test_without_limits_the_form_is_as_ever() -> None:
    controls, budgets = shape_of(Profile())
    assert len(controls["model"].choices) == len(MENU) and budgets == ["Quick", "Balanced", "Paper", "Custom"]
    assert controls["samples"].info.endswith(" 1 to 256.") and controls["samples"].value == RunSpec().samples


def test_the_menu_has_what_the_host_allows_and_no_more() -> None:
    names = [name for _, name in model_choices(Limits(SPACE_CPU))]
    assert "SmolLM2-360M" in names and "Qwen3-0.6B" not in names
    own = Limits(Profile(models=("tiny", "ours/our-model")))
    assert [name for _, name in model_choices(own)] == ["tiny", "ours/our-model"]


@pytest.mark.parametrize(("sweep", "asked"), [(0, False), (4, True)])
def test_a_host_without_sweeps_has_the_map_only(tmp_path: Path, sweep: int, asked: bool) -> None:
    workshop = Workshop(tmp_path, profile=Profile(sweep=sweep))
    page = build_page(workshop, Records(workshop), Warmup(workshop))
    workshop.close()
    start = next(block for block in page.blocks.values() if block.elem_id == "sweep-start")
    assert start.parent.visible is asked


def test_the_estimate_says_already_what_is_not_allowed(tmp_path: Path) -> None:
    """Before anybody presses Run."""
    workshop = Workshop(tmp_path, profile=Profile(samples=4))
    page = build_page(workshop, Records(workshop), Warmup(workshop))
    workshop.close()
    tell = next(f for f in page.fns.values() if [c.elem_id for c in f.outputs] == ["estimate"])
    values = [control.value for control in tell.inputs]
    at = next(i for i, control in enumerate(tell.inputs) if control.label == "Samples")
    assert values[at] == 4
    values[at] = 5
    assert tell.fn(gr.Request(), *values) == "⚠️ Samples is 5, but this host allows at most 4; choose less."


def test_a_profile_of_ones_own_reaches_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "ours.json"
    own.write_text(json.dumps({"where": "our server", "more": "write to us", "minutes": 5}))
    monkeypatch.setenv("NEUROAL_PROFILE", str(own))
    (told,) = told_of(current())
    assert told.value == "On our server: 3 runs waiting each, 5 minutes a run; write to us."
