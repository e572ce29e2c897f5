"""MCP without its extra: when the tools are offered, what a missing extra is told as, and that they answer in JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from components import mcp_tools
from components.mcp_tools import FAILED, MISSING, OFF, PATH, attach, wanted
from neuroal.errors import UserError


class GradioServer:
    """Tells an object as Gradio's does."""

    def postprocess_output_data(self, data: list[Any], root_url: str) -> list[str]:
        assert root_url == "http://here"
        return [str(each) for each in data]


def installed(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    def find(name: str) -> str:
        assert name == "mcp"
        if version is None:
            raise mcp_tools.importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(mcp_tools.importlib.metadata, "version", find)


@pytest.mark.parametrize(
    ("setting", "version", "offered"),
    [
        ("", "1.28.0", True),
        ("", None, False),
        ("auto", "2.3.0", False),
        ("off", "1.28.0", False),
        ("ON ", "1.21", True),
    ],
)
def test_the_tools_are_offered_where_they_can_be(
    monkeypatch: pytest.MonkeyPatch, setting: str, version: str | None, offered: bool
) -> None:
    installed(monkeypatch, version)
    assert wanted({"NEUROAL_MCP": setting}) is offered
    assert wanted({}) is (version is not None and version[0] == "1")


@pytest.mark.parametrize(
    ("setting", "version", "sentence"),
    [
        ("on", None, f'NEUROAL_MCP is "on", but {MISSING}'),
        ("on", "2.3.0", 'NEUROAL_MCP is "on", but MCP needs the package mcp in a version below 2, but 2.3.0 is'),
        ("offf", None, "NEUROAL_MCP is 'offf'. Did you mean 'off'? Known: auto, on, off."),
    ],
)
def test_what_cannot_be_had_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, setting: str, version: str | None, sentence: str
) -> None:
    installed(monkeypatch, version)
    with pytest.raises(UserError) as refusal:
        wanted({"NEUROAL_MCP": setting})
    assert str(refusal.value).startswith(sentence)
    assert 'pip install "gradio[mcp]"' in str(refusal.value) or setting == "offf"


@pytest.mark.parametrize(
    ("version", "tools", "said"), [(None, False, MISSING), ("1.28", False, OFF), ("1.28", True, FAILED)]
)
def test_who_asks_for_tools_that_are_not_there_is_told_why(
    monkeypatch: pytest.MonkeyPatch, version: str | None, tools: bool, said: str
) -> None:
    installed(monkeypatch, version)
    app = FastAPI()
    attach(app, None, tools)
    client = TestClient(app)
    for answer in (client.get(PATH), client.post(f"{PATH}/", json={})):
        assert (answer.status_code, answer.json()) == (404, {"error": said})


def test_tools_answer_in_json() -> None:
    server = GradioServer()
    attach(FastAPI(), server, True)
    answer = {"run": "a", "done": True, "left": None, "text": "naïve 'quoted'"}
    (told,) = server.postprocess_output_data([answer], "http://here")
    assert json.loads(told) == answer and "ï" in told and "\n" not in told
    assert server.postprocess_output_data(["a text"], "http://here") == ["a text"]
    with pytest.raises(ValueError):
        server.postprocess_output_data([float("inf")], "http://here")
