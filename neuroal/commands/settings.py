"""The settings of a run as options: generated from RunSpec, as the page's form is.

Everything follows from the field: its default, its limits or choices, its label and help.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, Any

import typer

from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.models.menu import MENU
from neuroal.runs.spec import OWN_TEXTS, PRESETS, RunSpec
from neuroal.sharing.repeat import NONE, option_of
from neuroal.topups import TOP_UPS

FIELDS = {f.name: f for f in dataclasses.fields(RunSpec)}

EVERYTHING = tuple(FIELDS)

# What evaluations look at.
MEASURING = (
    "evaluations", "eval_source", "eval_text", "eval_windows", "eval_length",
    *dict.fromkeys(name for evaluation in EVALUATIONS.entries for name in evaluation.settings),
)  # fmt: skip

CALIBRATION = ("source", "text", "samples", "length", "prune_samples", "seed")

BUDGETS = {name.lower(): sizes for name, sizes in PRESETS.items()}

Settings = dict[str, Any]


def parameters(names: Collection[str]) -> list[inspect.Parameter]:
    """Options for these settings, as typer reads them from a signature; none of them is required."""
    ordered = sorted((name for name in FIELDS if name in names), key=_place)
    found = [_parameter(name, *_option(name)) for name in ordered]
    if "samples" in names:
        told = "; ".join(f"{name}: {_sizes(sizes)}" for name, sizes in BUDGETS.items())
        shown: Settings = {"help": f"Sizes in one word ({told}).", "rich_help_panel": "Method"}
        option = typer.Option("--budget", metavar="NAME", autocompletion=completing(BUDGETS), **shown)
        found.insert(0, _parameter("budget", str, option))
    return found


def _parameter(name: str, kind: Any, option: Any) -> inspect.Parameter:
    annotation = Annotated[kind | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _option(name: str) -> tuple[Any, Any]:
    """The type of an option's value, and the option."""
    field = FIELDS[name]
    meta, label = field.metadata, option_of(name)
    told: Settings = {"help": _help(name), "rich_help_panel": _panel(name), "show_default": False}
    if isinstance(field.default, bool):
        return bool, typer.Option(f"{label}/--no-{label[2:]}", **told)
    if "minimum" in meta:
        kind = float if isinstance(field.default, float) else int
        return kind, typer.Option(label, metavar="NUMBER", **told)
    if name in OWN_TEXTS:
        return str, typer.Option(label, metavar="FILE", **told)
    choices = meta.get("choices") or meta.get("options")
    if name == "model":
        choices = [entry.name for entry in MENU]
    if choices is not None:
        several = "options" in meta
        complete = _of_several(choices) if several else completing(choices)
        metavar = "NAMES" if several else "NAME"
        return str, typer.Option(label, metavar=metavar, autocompletion=complete, **told)
    return str, typer.Option(label, metavar="LIST" if "tuple" in str(field.type) else "TEXT", **told)


def _help(name: str) -> str:
    """Label and help of the field, with what is allowed. Brackets would be markup."""
    meta = FIELDS[name].metadata
    parts = [f"{meta['label']}. {meta['help']}"]
    if name in OWN_TEXTS:
        parts = [f"{meta['label']}: a UTF-8 file, or - for stdin. It is the source unless another one is given."]
    elif name == "model":
        pass
    elif choices := meta.get("choices"):
        parts.append(f"One of: {', '.join(choices)}.")
    elif choices := meta.get("options"):
        parts.append(f"Apart by commas, or {NONE}: {', '.join(choices)}.")
    elif "minimum" in meta:
        parts.append(f"{meta['minimum']:,.10g} to {meta['maximum']:,.10g}.")
    elif "tuple" in str(FIELDS[name].type):
        parts.append("Apart by commas.")
    if default := _default(name):
        parts.append(f"Default: {default}.")
    return " ".join(parts).replace("[", r"\[")


def _default(name: str) -> str:
    default = FIELDS[name].default
    if default in (None, "", ()) or isinstance(default, bool):
        return ""
    return ", ".join(default) if isinstance(default, tuple) else str(default)


def _panel(name: str) -> str:
    if name in MEASURING:
        return "Measuring"
    if name in CALIBRATION:
        return "Calibration"
    top_up = next((each for each in TOP_UPS.entries if name in each.settings), None)
    if name in ("model", "pruner", "top_up", "step", "mode", "sparsity", "pattern"):
        return "Method"
    return f"Only with --top-up {top_up.name}" if top_up and name != "block_sparsity" and top_up.steps == () else "More"


def _place(name: str) -> tuple[bool, bool]:
    """In the order of the fields, but a method's own settings come last, and before them what few people change."""
    panel = _panel(name)
    return panel not in ("Method", "Calibration", "Measuring"), panel != "More"


def _sizes(sizes: Mapping[str, Any]) -> str:
    searched = f"{sizes['samples']}x{sizes['length']}"
    return searched + (f", {sizes['prune_samples']} to prune" if sizes["prune_samples"] else "")


def completing(choices: Iterable[str]) -> Callable[[str], list[str]]:
    """For an option: what a shell may complete."""
    names = list(choices)
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def _of_several(choices: Iterable[str]) -> Callable[[str], list[str]]:
    """Completes the last of names apart by commas."""
    names = list(choices)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names if name.startswith(last) and name not in before.split(",")]

    return complete
