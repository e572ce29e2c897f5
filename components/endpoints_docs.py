"""Docstrings as Gradio reads them: the description of an argument, or of what is returned, ends with its line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from gradio.blocks import BlockFunction
from gradio.utils import get_function_description, get_function_params

Function = TypeVar("Function", bound=Callable[..., Any])

SECTIONS = ("Args:", "Returns:")


def shown(function: Function) -> Function:
    """A decorator: the page "Use via API" and MCP show the whole docstring."""
    function.__doc__ = unfolded(inspect.getdoc(function) or "")
    return function


def describe(endpoint: BlockFunction) -> None:
    """Calls each argument by its name, and tells of each and of the answer; Gradio itself does so over MCP only."""
    about, told, returned = get_function_description(endpoint.fn)
    endpoint.api_description = f"{about} Returns: {' '.join(returned)}"
    names = [name for name, *_ in get_function_params(endpoint.fn)]
    for component, name in zip(endpoint.inputs, names, strict=True):
        component.label = name
        component._api_info["additional_description"] = told[name]
    (answer,) = endpoint.outputs
    answer.label = "answer"
    answer._api_info = {"type": "object", "additionalProperties": {}}  # also of a generator, for each of its answers


def unfolded(text: str) -> str:
    """A docstring with each argument, and all that is returned, on one line.

    Args:
        text: without the indentation of its function; what continues an argument is indented further than that.
    """
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        if line in SECTIONS:
            section = line
        elif section and lines[-1] != section and (section == "Returns:" or line.startswith(" " * 8)):
            lines[-1] += f" {line.strip()}"
            continue
        lines.append(line)
    return "\n".join(lines)
