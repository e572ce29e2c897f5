"""The form: one control per setting of RunSpec, laid out; which of them are seen follows from the chosen method."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from components.controls import FIELDS, OWN_TEXTS, TEXT_BYTES, UNLIMITED, as_setting, as_shown, control
from components.ratio_editor import RatioEditor
from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.hosting.limits import Limits
from neuroal.runs.spec import PRESETS, RunSpec
from neuroal.topups import TOP_UPS

# Settings that a person sees first; the others wait in folds.
MAIN = ("model", "pruner", "top_up", "step", "block_sparsity", "sparsity", "reconstruct")
CALIBRATION = ("source", "text", "samples", "length", "prune_samples", "seed")
MEASURE = (
    "evaluations", "eval_source", "eval_text", "eval_windows", "eval_length", "tasks", "task_limit",
    "sensitivity_seeds",
)  # fmt: skip

# Settings of one top-up or another: seen only when it is chosen; and those of evaluations.
CLAIMED = frozenset(name for top_up in TOP_UPS.entries for name in top_up.settings)
MEASURED = frozenset(name for evaluation in EVALUATIONS.entries for name in evaluation.settings)

CUSTOM = "Custom"
DEFAULT_PRESET = "Balanced"

# The budgets in a few words each.
PRESETS_TOLD = {
    "Quick": "Quick 8x64 tokens",
    "Balanced": "Balanced 8x256",
    "Paper": "Paper 8x2048 to search and 128x2048 to prune",
}


def _advanced() -> tuple[str, ...]:
    """All settings that are left, so that a new one needs no line here: a method's own first, the model's last."""
    rest = [name for name in FIELDS if name not in {*MAIN, *CALIBRATION, *MEASURE}]
    return tuple(sorted(rest, key=lambda name: (name not in CLAIMED, name in ("revision", "dtype"))))


ADVANCED = _advanced()
_ORDER = (*MAIN, *CALIBRATION, *MEASURE, *ADVANCED)
_DEPENDENT = tuple(name for name in _ORDER if name == "step" or name in CLAIMED)


@dataclass(frozen=True)
class Form:
    """The controls by the name of their setting, in one fixed order, and what surrounds them."""

    controls: dict[str, Any]
    preset: gr.Radio
    upload: gr.UploadButton
    own: gr.Column
    editor: RatioEditor

    @property
    def inputs(self) -> list[Any]:
        """Inputs of a handler that calls :func:`spec_from` with their values."""
        return list(self.controls.values())


def build_form(actions: Callable[[], Any], limits: Limits = UNLIMITED) -> tuple[Form, Any]:
    """The controls, laid out for a narrow column; call inside ``with gr.Blocks()``.

    Args:
        actions: builds the buttons, between what everyone sets and what waits in folds.
        limits: of the host.

    Returns:
        the form, and what ``actions`` returned.
    """
    at = MAIN.index("block_sparsity")
    controls: dict[str, Any] = _controls(MAIN[:at], limits)
    editor = RatioEditor()  # above the text box, which grows with what is written in it
    controls |= _controls(MAIN[at:], limits)
    presets = [name for name in PRESETS if _is_allowed(name, limits)]
    preset = gr.Radio(
        [*presets, CUSTOM],
        value=DEFAULT_PRESET if DEFAULT_PRESET in presets else CUSTOM,
        label="Budget",
        info=f"{', '.join(PRESETS_TOLD[name] for name in presets)}." if presets else None,
    )
    built = actions()
    with gr.Accordion("Calibration text and size", open=False):
        controls["source"] = control("source", limits=limits)
        with gr.Column(visible=False) as own:
            controls["text"] = control("text", limits=limits)
            upload = gr.UploadButton("Upload a .txt file", file_types=[".txt", ".md"], size="sm")
        controls |= _controls((name for name in CALIBRATION if name not in controls), limits)
    with gr.Accordion("Measuring", open=False):
        controls |= _controls(MEASURE, limits)
    with gr.Accordion("Advanced", open=False):
        controls |= _controls(ADVANCED, limits)
    return Form(controls, preset, upload, own, editor), built


def wire_form(form: Form) -> None:
    """What the controls do to each other; nothing here computes."""
    controls = form.controls
    sized = [controls[name] for name in PRESETS[DEFAULT_PRESET]]
    # In the browser: an answer from the server could overwrite what a person types meanwhile.
    form.preset.input(None, [form.preset, *sized], sized, js=_APPLY_PRESET, **_QUIET)
    for sizing in sized:
        sizing.input(None, None, form.preset, js=f"() => {json.dumps(CUSTOM)}", **_QUIET)
    dependent = [controls[name] for name in _DEPENDENT]
    controls["top_up"].change(own_settings, controls["top_up"], dependent, **_QUIET)
    measured = [controls[name] for name in sorted(MEASURED)]
    controls["evaluations"].change(measured_settings, controls["evaluations"], measured, **_QUIET)
    deciding = [controls["top_up"], controls["pattern"]]
    gr.on([c.change for c in deciding], sparsity_use, deciding, controls["sparsity"], **_QUIET)
    for source, shown in (("source", form.own), ("eval_source", controls["eval_text"])):
        controls[source].change(lambda chosen: gr.update(visible=chosen == "own"), controls[source], shown, **_QUIET)
    form.upload.upload(read_upload, form.upload, controls["text"], **_QUIET)


def spec_from(*values: Any) -> RunSpec:
    """The question that the controls ask, from their values in the order of :attr:`Form.inputs`.

    What only another top-up looks at is not seen, so it is not read either: it may hold anything.

    Raises:
        UserError: a value is missing or not allowed.
    """
    given = dict(zip(_ORDER, values, strict=True))
    unseen = CLAIMED - set(TOP_UPS.get(given["top_up"]).settings)
    unseen |= MEASURED - _looked_at(given["evaluations"] or ())
    return RunSpec.from_dict({name: as_setting(name, value) for name, value in given.items() if name not in unseen})


def values_of(spec: RunSpec) -> list[Any]:
    """The inverse of :func:`spec_from`: what the controls show for a spec. Own text is its owner's and is left out."""
    shown = {**{name: getattr(spec, name) for name in FIELDS}, **dict.fromkeys(OWN_TEXTS, "")}
    return [as_shown(name, shown[name]) for name in _ORDER]


def preset_of(spec: RunSpec) -> str:
    """The budget whose sizes a spec has."""
    fitting = (name for name, sizes in PRESETS.items() if all(getattr(spec, k) == v for k, v in sizes.items()))
    return next(fitting, CUSTOM)


def own_settings(top_up: str) -> list[dict[str, Any]]:
    """Shows the settings of this top-up and hides those of the others."""
    return [gr.update(visible=_is_seen(name, top_up)) for name in _DEPENDENT]


def measured_settings(evaluations: list[str]) -> list[dict[str, Any]]:
    """Shows the settings of the chosen evaluations."""
    seen = _looked_at(evaluations)
    return [gr.update(visible=name in seen) for name in sorted(MEASURED)]


def sparsity_use(top_up: str, pattern: str | None) -> dict[str, Any]:
    """Greys the ratio out, and says why, where something else decides it."""
    if "block_sparsity" in TOP_UPS.get(top_up).settings:
        return gr.update(interactive=False, info="Not used: your ratios decide it.")
    if (pattern or "").strip():
        return gr.update(interactive=False, info="Not used: the N:M pattern decides it.")
    return gr.update(interactive=True, info=FIELDS["sparsity"].metadata["help"])


def read_upload(path: str) -> str:
    """The text of an uploaded file.

    Raises:
        gr.Error: it is too large or not UTF-8 text.
    """
    file = Path(path)
    if file.stat().st_size > TEXT_BYTES:
        limit = f"{TEXT_BYTES // 10**6} MB"
        raise gr.Error(f"The file is larger than {limit}; upload a shorter text.", print_exception=False)
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise gr.Error("The file is not UTF-8 text; save it as a plain .txt file.", print_exception=False) from None


_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
_SIZES = json.dumps({name: list(values.values()) for name, values in PRESETS.items()})
_APPLY_PRESET = f"(preset, ...now) => ({_SIZES})[preset] ?? now"


def _controls(names: Iterable[str], limits: Limits) -> dict[str, Any]:
    """Controls by name, as they are seen with the default top-up."""
    return {name: control(name, _is_seen(name, FIELDS["top_up"].default), limits) for name in names}


def _is_allowed(preset: str, limits: Limits) -> bool:
    """Whether a budget is within the limits of the host."""
    bounds = {name: limits.maximum(name) for name in PRESETS[preset]}
    return all(most is None or (PRESETS[preset][name] or 0) <= most for name, most in bounds.items())


def _is_seen(name: str, top_up: str) -> bool:
    """Whether a setting means anything to a top-up: its own ones do, and those that belong to none."""
    chosen = TOP_UPS.get(top_up)
    if name == "eval_text":
        return False  # the default is not one's own text
    if name in MEASURED:
        return name in _looked_at(FIELDS["evaluations"].default)
    return bool(chosen.steps) if name == "step" else name not in CLAIMED or name in chosen.settings


def _looked_at(evaluations: Iterable[str]) -> set[str]:
    """Settings that one of these evaluations looks at."""
    return {name for chosen in evaluations for name in EVALUATIONS.get(chosen).settings}
