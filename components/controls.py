"""One control: the component that fits a setting of RunSpec, and the way between its value and the setting's.

Everything follows from the field: its default, its limits or choices, its label and help. A setting needs a line here
only where its field cannot say how it is best asked for.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import gradio as gr

from neuroal.errors import UserError
from neuroal.hosting.limits import Limits
from neuroal.hosting.profile import Profile
from neuroal.models import MENU, describe, machine_memory
from neuroal.models.menu import find_entry
from neuroal.runs.checks import TEXT_BYTES
from neuroal.runs.spec import OWN_TEXTS, RunSpec

# On a machine of one's own.
UNLIMITED = Limits(Profile())

FIELDS = {f.name: f for f in dataclasses.fields(RunSpec)}

# Settings that are tuples of numbers: typed as text, with what to write instead where that fails.
NUMBERS = {"lambdas": "0.02, 0.05, 0.1", "block_sparsity": "0.5, 0.55, 0.6"}

# What a text box shows while it is empty.
PLACEHOLDERS = {"pattern": "2:4", "exclude": "*.down_proj, 0", "revision": "main", **NUMBERS}


class UnjudgedSlider(gr.Slider):
    """A slider whose number, which can be typed beside it, RunSpec judges and not Gradio.

    Gradio's own refusal goes to a corner of the page for a while, does not say what to do, and leaves the word "Error"
    where the answer would have been.
    """

    def preprocess(self, payload: float) -> float:
        """The number as it was typed, of whatever size."""
        return payload

    def get_block_name(self) -> str:
        """The component of the browser that draws this one."""
        return "slider"


def control(name: str, visible: bool = True, limits: Limits = UNLIMITED) -> Any:
    """The component that asks for a setting: a choice, a range, a switch, or text.

    Args:
        limits: of the host, which the choices and ranges keep to.
    """
    field = FIELDS[name]
    meta = field.metadata
    shown: dict[str, Any] = {"label": meta["label"], "info": meta["help"], "visible": visible}
    if name == "model":
        shown["info"] = _models_told(limits) or shown["info"]
        offered = model_choices(limits)
        return gr.Dropdown(offered, value=field.default, allow_custom_value=True, filterable=True, **shown)
    if name in OWN_TEXTS:
        return gr.Textbox(lines=4, max_lines=12, max_length=TEXT_BYTES, placeholder="Paste your text here.", **shown)
    if "choices" in meta:
        return _choice(name, shown)
    if "options" in meta:
        pairs = [(label, key) for key, label in meta["options"].items()]
        return gr.CheckboxGroup(pairs, value=list(field.default), **shown)
    if name == "sparsity":
        return UnjudgedSlider(meta["minimum"], meta["maximum"], value=field.default, step=0.01, **shown)
    if "minimum" in meta:
        most = min(meta["maximum"], limits.maximum(name) or meta["maximum"])
        shown["info"] += f" {_number(meta['minimum'])} to {_number(most)}."  # RunSpec and the host check, and say more
        value = None if field.default is None else min(field.default, most)
        return gr.Number(value=value, step=0.01 if _is_decimal(name) else 1, **shown)
    if isinstance(field.default, bool):
        return gr.Checkbox(value=field.default, **shown)
    lines = 1 if str(field.type).startswith("str") else 6  # a list may need more than one
    return gr.Textbox(value=as_shown(name, field.default), max_lines=lines, placeholder=PLACEHOLDERS.get(name), **shown)


def as_shown(name: str, value: Any) -> Any:
    """What a control shows for the value of its setting; the inverse of :func:`as_setting`."""
    if "options" in FIELDS[name].metadata:
        return list(value)
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    if name == "sparsity":  # an N:M pattern may stand for more or less than the slider reaches
        limits = FIELDS[name].metadata
        return min(max(value, limits["minimum"]), limits["maximum"])
    return "" if value is None and "minimum" not in FIELDS[name].metadata else value


def as_setting(name: str, value: Any) -> Any:
    """A control's value as the spec has it: empty text is "not given", whole numbers are ints.

    Raises:
        UserError: a number is missing, or text that should hold numbers does not.
    """
    field = FIELDS[name]
    if field.default is None and value in ("", None, 0):
        return None  # Gradio turns an empty number box that was visited into 0
    if isinstance(field.default, bool):
        return bool(value)
    if "options" in field.metadata:
        return tuple(value or ())
    if value is None and isinstance(field.default, (str, tuple)):
        value = ""  # a text box that was never shown
    if name in NUMBERS:
        return _numbers(field.metadata["label"], NUMBERS[name], value)
    if isinstance(field.default, tuple):
        return tuple(part.strip() for part in re.split(r"[,\n]", value) if part.strip())
    if "minimum" not in field.metadata:
        return value
    if value is None:
        raise UserError(f"{field.metadata['label']} is empty; give a number.")
    if _is_decimal(name):
        return float(value)  # 5 and 5.0 ask the same question
    return as_whole(value)


def as_whole(number: float) -> float:
    """As a person means it: 3.0 is 3; what is no whole number stays what it is."""
    return int(number) if float(number).is_integer() else number


def model_choices(limits: Limits = UNLIMITED) -> list[tuple[str, str]]:
    """(label, name) of every model of the menu that the host allows, with what it needs and whether it fits this
    machine; then those that only the host's own list names."""
    memory = machine_memory("cpu")  # asking a GPU would load torch before the page is up
    most = limits.profile.parameters
    on_menu = [e for e in MENU if limits.allows_model(e.name) and (most is None or e.parameters <= most)]
    others = [name for name in limits.profile.models if find_entry(name) is None]
    return [*((describe(entry, memory), entry.name) for entry in on_menu), *((name, name) for name in others)]


def _models_told(limits: Limits) -> str:
    """What may be given as a model, where that is less than everything."""
    if limits.profile.models:
        return "The models of this host."
    return "" if limits.profile.local_folders else "A name from the menu, or a Hugging Face Hub id."


def _choice(name: str, shown: dict[str, Any]) -> Any:
    """A few choices lie open, more of them fold away."""
    field = FIELDS[name]
    choices = field.metadata["choices"]
    pairs = [(label, key) for key, label in choices.items()] if isinstance(choices, dict) else [(c, c) for c in choices]
    kind = gr.Radio if len(pairs) <= 3 else gr.Dropdown
    return kind(pairs, value=field.default, **shown)


def _is_decimal(name: str) -> bool:
    return isinstance(FIELDS[name].default, float)


def _number(value: float) -> str:
    """As people write it: 10,000 and 0.5, not 10000.0."""
    return f"{value:,.10g}"


def _numbers(label: str, example: str, text: str) -> tuple[float, ...]:
    """Numbers apart from each other by commas, semicolons, blanks or line ends."""
    try:
        return tuple(float(part) for part in re.split(r"[,;\s]+", text) if part)
    except ValueError:
        raise UserError(f"{label} {_shortened(text)!r} are not numbers; write them like {example}.") from None


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
