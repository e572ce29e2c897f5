"""The endpoints as tools over the Model Context Protocol (MCP), where Gradio's extra for it is installed.

Gradio makes a tool of each named endpoint (``components/endpoints.py``); here is when, and how their answers are told.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from components.stream import login
from neuroal.errors import UserError, did_you_mean

PATH = "/gradio_api/mcp"

CHOICES = ("auto", "on", "off")

INSTALL = 'pip install "gradio[mcp]"'
MISSING = f"MCP needs one more package, which is not installed here: {INSTALL}"
OFF = "MCP is switched off here by the setting NEUROAL_MCP."
FAILED = "MCP could not be started here; the server's log says why."


def wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the tools are offered: by the setting NEUROAL_MCP, else where the extra is installed.

    Raises:
        UserError: the setting is not known, or wants what is not installed.
    """
    choice = environ.get("NEUROAL_MCP", "").strip().lower() or "auto"
    if choice not in CHOICES:
        raise UserError(f"NEUROAL_MCP is {choice!r}.{did_you_mean(choice, CHOICES)}")
    trouble = missing()
    if choice == "on" and trouble:
        raise UserError(f'NEUROAL_MCP is "on", but {trouble}')
    return choice != "off" and not trouble


def missing() -> str:
    """Why there can be no tools, as a sentence; empty where there can."""
    try:
        found = importlib.metadata.version("mcp")
    except importlib.metadata.PackageNotFoundError:
        return MISSING
    if found.partition(".")[0] != "1":
        return f"MCP needs the package mcp in a version below 2, but {found} is installed here: {INSTALL}"
    return ""


def attach(app: FastAPI, server: Any | None, tools: bool) -> None:
    """What a server starts with, before its first request: tools that answer in JSON, or a sentence why there are none.

    Args:
        server: Gradio's own for MCP, where it has started one.
        tools: whether it was to.
    """
    if server is not None:
        answer_in_json(server)
        return
    said = missing() or (FAILED if tools else OFF)

    @app.api_route(PATH, methods=["GET", "POST"], include_in_schema=False, dependencies=login(app))
    @app.api_route(f"{PATH}/", methods=["GET", "POST"], include_in_schema=False, dependencies=login(app))
    async def refused() -> JSONResponse:
        return JSONResponse({"error": said}, status_code=404)


def answer_in_json(server: Any) -> None:
    """Gradio's MCP server tells an object as Python writes it; from now on it is JSON text."""
    tell = server.postprocess_output_data

    def as_text(data: list[Any], root_url: str) -> Any:
        return tell([each if isinstance(each, str) else as_json(each) for each in data], root_url)

    server.postprocess_output_data = as_text


def as_json(value: Any) -> str:
    """What a tool answers: one line of JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
