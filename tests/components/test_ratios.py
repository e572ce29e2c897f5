"""What the server tells the editor of ratios: how many blocks there are, and what a run gave them."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from components.ratio_editor import EditorValue, RatioEditor
from components.ratios import borrowed, count

VALUE: EditorValue = {"shown": True, "blocks": 8, "text": ", ".join(["0.2"] * 8), "target": 0.2}
MODEL = ("tiny", "")


def told(top_up: str, model: str) -> list[EditorValue]:
    return list(count(top_up, model, ""))


def test_it_is_seen_only_where_ratios_are_asked_for() -> None:
    assert told("owl", "tiny") == [{"shown": False}]
    assert told("custom", "tiny")[0] == {"shown": True}


def test_the_blocks_are_those_of_the_model() -> None:
    assert told("custom", "tiny")[-1] == {"shown": True, "blocks": 8}


def test_an_unknown_model_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    answer = told("custom", "no-such-model")[-1]
    assert answer["blocks"] == 0 and "no-such-model" in answer["problem"]


def read(run: str, after: int) -> tuple[list[dict[str, Any]], bool]:
    """A log with two allocations, one without any, and none under another name."""
    logs = {
        "searched": [
            {"kind": "AllocationReady", "top_up": "neuroal", "sparsity": [0.9] * 8},
            {"kind": "AllocationReady", "top_up": "neuroal", "sparsity": [0.50004, 0.6, 0.70001, *[0.6] * 5]},
        ],
        "searching": [{"kind": "SearchStarted"}],
        "larger": [{"kind": "AllocationReady", "top_up": "owl", "sparsity": [0.5] * 30}],
    }
    return logs[run], True


def test_the_ratios_of_a_run_with_their_own_mean() -> None:
    text, value = borrowed(VALUE, "searched", *MODEL, read)
    assert text == value["text"] == "0.5, 0.6, 0.7, 0.6, 0.6, 0.6, 0.6, 0.6"
    assert value["target"] == pytest.approx(0.6) and value["note"] == "" and value["blocks"] == 8


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ("", "No run is shown"),
        ("searching", "has no ratios yet"),
        ("larger", "a model with 30 blocks, this one has 8"),
        ("removed", "has no ratios yet"),
    ],
)
def test_what_a_run_cannot_give_is_said_and_nothing_is_changed(run: str, says: str) -> None:
    text, value = borrowed(VALUE, run, *MODEL, read)
    assert text == gr.skip() and says in value["note"]
    assert {name: value[name] for name in VALUE} == VALUE


@pytest.mark.parametrize("told", [{}, {"blocks": 30}, {"blocks": 0, "problem": "No such model."}])
def test_the_blocks_are_those_of_the_model_whatever_the_editor_was_told(told: EditorValue) -> None:
    value: EditorValue = {"shown": True, "text": "", "target": 0.6, **told}
    _, refused = borrowed(value, "larger", *MODEL, read)
    assert refused["blocks"] == 8 and "this one has 8" in refused["note"] and not refused["problem"]
    text, taken = borrowed(value, "searched", *MODEL, read)
    assert text == taken["text"] and taken["blocks"] == 8 and not taken["problem"]


def test_of_an_unknown_model_the_problem_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text, value = borrowed(VALUE, "searched", "no-such-model", "", read)
    assert text == gr.skip() and value["blocks"] == 0 and "no-such-model" in value["problem"]


def test_the_value_holds_what_is_given_and_differs_each_time() -> None:
    with gr.Blocks():
        editor = RatioEditor()
    first, second = editor.postprocess({"blocks": 8}), editor.postprocess({"blocks": 8})
    assert first.keys() == {"blocks", "visit"} and first["visit"] != second["visit"]
    assert editor.postprocess(None).keys() == {"visit"}
    assert "elsewhere" not in editor.postprocess({"blocks": 8, "elsewhere": 1})
