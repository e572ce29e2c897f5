"""The form: one control per setting of RunSpec, generated from the fields' own labels, help and limits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from neuroal.errors import UserError
from neuroal.models import MENU, describe, machine_memory
from neuroal.runs.spec import PRESETS, RunSpec

FIELDS = {f.name: f for f in dataclasses.fields(RunSpec)}

# Settings that a person sees first; the others wait in two folds.
MAIN = ("model", "pruner", "top_up", "step", "sparsity")
CALIBRATION = ("source", "text", "samples", "length", "prune_samples", "seed")
MEASURE = ("eval_source", "eval_windows", "eval_length")
ADVANCED = ("revision", "dtype", "gqa", "lambdas")

CUSTOM = "Custom"
DEFAULT_PRESET = "Balanced"

# Largest text file that is read.
UPLOAD_BYTES = 2_000_000


@dataclass(frozen=True)
class Form:
    """The controls by the name of their setting, in one fixed order, and what surrounds them."""

    controls: dict[str, Any]
    preset: gr.Radio
    upload: gr.UploadButton
    own: gr.Column

    @property
    def inputs(self) -> list[Any]:
        """Inputs of a handler that calls :func:`spec_from` with their values."""
        return list(self.controls.values())


def build_form(actions: Callable[[], Any]) -> tuple[Form, Any]:
    """The controls, laid out for a narrow column; call inside ``with gr.Blocks()``.

    Args:
        actions: builds the buttons, between what everyone sets and what waits in folds.

    Returns:
        the form, and what ``actions`` returned.
    """
    controls: dict[str, Any] = {name: _control(name) for name in MAIN}
    preset = gr.Radio(
        [*PRESETS, CUSTOM],
        value=DEFAULT_PRESET,
        label="Budget",
        info="Quick 8x64 tokens, Balanced 8x256, Paper 8x2048 to search and 128x2048 to prune.",
    )
    built = actions()
    with gr.Accordion("Calibration text and size", open=False):
        controls["source"] = _control("source")
        with gr.Column(visible=False) as own:
            controls["text"] = _control("text")
            upload = gr.UploadButton("Upload a .txt file", file_types=[".txt", ".md"], size="sm")
        controls |= {name: _control(name) for name in CALIBRATION if name not in controls}
    with gr.Accordion("Measuring", open=False):
        controls |= {name: _control(name) for name in MEASURE}
    with gr.Accordion("Advanced", open=False):
        controls |= {name: _control(name) for name in ADVANCED}
    return Form(controls, preset, upload, own), built


def wire_form(form: Form) -> None:
    """What the controls do to each other; nothing here computes."""
    controls = form.controls
    sized = [controls[name] for name in PRESETS[DEFAULT_PRESET]]
    # In the browser: an answer from the server could overwrite what a person types meanwhile.
    form.preset.input(None, [form.preset, *sized], sized, js=_APPLY_PRESET, **_QUIET)
    for control in sized:
        control.input(None, None, form.preset, js=f"() => {json.dumps(CUSTOM)}", **_QUIET)
    controls["top_up"].change(
        lambda top_up: gr.update(visible=top_up == "neuroal"), controls["top_up"], controls["step"], **_QUIET
    )
    controls["source"].change(lambda source: gr.update(visible=source == "own"), controls["source"], form.own, **_QUIET)
    form.upload.upload(read_upload, form.upload, controls["text"], **_QUIET)


def spec_from(*values: Any) -> RunSpec:
    """The question that the controls ask, from their values in the order of :attr:`Form.inputs`.

    Raises:
        UserError: a value is missing or not allowed.
    """
    given = dict(zip(_ORDER, values, strict=True))
    given = {name: _plain(name, value) for name, value in given.items()}
    return RunSpec.from_dict(given)


def values_of(spec: RunSpec) -> list[Any]:
    """The inverse of :func:`spec_from`: what the controls show for a spec. Own text is its owner's and is left out."""
    shown = {**dataclasses.asdict(spec), "text": ""}
    shown["lambdas"] = ", ".join(map(str, spec.lambdas or ()))
    return [shown[name] for name in _ORDER]


def read_upload(path: str) -> str:
    """The text of an uploaded file.

    Raises:
        gr.Error: it is too large or not UTF-8 text.
    """
    file = Path(path)
    if file.stat().st_size > UPLOAD_BYTES:
        limit = f"{UPLOAD_BYTES // 10**6} MB"
        raise gr.Error(f"The file is larger than {limit}; upload a shorter text.", print_exception=False)
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise gr.Error("The file is not UTF-8 text; save it as a plain .txt file.", print_exception=False) from None


def model_choices() -> list[tuple[str, str]]:
    """(label, name) of every model of the menu, with what it needs and whether it fits this machine."""
    memory = machine_memory("cpu")  # asking a GPU would load torch before the page is up
    return [(describe(entry, memory), entry.name) for entry in MENU]


_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
_SIZES = json.dumps({name: list(values.values()) for name, values in PRESETS.items()})
_APPLY_PRESET = f"(preset, ...now) => ({_SIZES})[preset] ?? now"
_ORDER = (*MAIN, *CALIBRATION, *MEASURE, *ADVANCED)


def _control(name: str) -> Any:
    """The component that fits a field: a choice, a range, or text."""
    field = FIELDS[name]
    meta, shown = field.metadata, {"label": field.metadata["label"], "info": field.metadata["help"]}
    if name == "model":
        return gr.Dropdown(model_choices(), value=field.default, allow_custom_value=True, filterable=True, **shown)
    if name == "text":
        return gr.Textbox(lines=4, max_lines=12, max_length=UPLOAD_BYTES, placeholder="Paste your text here.", **shown)
    if name == "eval_source":
        return gr.Dropdown([(v, k) for k, v in meta["choices"].items() if k != "own"], value=field.default, **shown)
    if "choices" in meta:
        choices = meta["choices"]
        pairs = [(v, k) for k, v in choices.items()] if isinstance(choices, dict) else list(choices)
        kind = gr.Radio if len(pairs) <= 3 else gr.Dropdown
        return kind(pairs, value=field.default, **shown)
    if name == "sparsity":
        return gr.Slider(meta["minimum"], meta["maximum"], value=field.default, step=0.01, **shown)
    if "minimum" in meta:
        shown["info"] += f" {meta['minimum']:,} to {meta['maximum']:,}."  # checked by RunSpec, whose sentence says more
        return gr.Number(value=field.default, step=1, **shown)
    return gr.Textbox(value="" if field.default is None else field.default, max_lines=1, **shown)


def _plain(name: str, value: Any) -> Any:
    """A control's value as the spec has it: empty text is "not given", whole numbers are ints."""
    field = FIELDS[name]
    if field.default is None and value in ("", None, 0):
        return None  # Gradio turns an empty number box that was visited into 0
    if value is None and isinstance(field.default, str):
        return ""  # a text box that was never shown
    if name == "lambdas":
        return _numbers(value)
    if "minimum" in field.metadata and not isinstance(field.default, float):
        if value is None:
            raise UserError(f"{field.metadata['label']} is empty; give a number.")
        return int(value) if float(value).is_integer() else value
    return value


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.replace(";", ",").split(",") if part.strip())
    except ValueError:
        raise UserError(f"Lambdas {text!r} are not numbers; write them like 0.02, 0.05, 0.1.") from None
