"""What the page asks of Gradio beside its components."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from components.page import PROGRESS_SECONDS, QUEUE_SECONDS, Records, build_page
from components.warmup import Warmup
from neuroal.runs.workshop import Workshop


@pytest.fixture
def page(tmp_path: Path) -> gr.Blocks:
    workshop = Workshop(tmp_path)
    built = build_page(workshop, Records(workshop), Warmup(workshop))
    workshop.close()
    return built


def test_the_queue_looks_for_work_as_often_as_the_page_says(page: gr.Blocks) -> None:
    """They are Gradio's own attributes: under other names the queue would go back to a thousand times a second."""
    with gr.Blocks() as plain:
        pass
    assert hasattr(plain._queue, "sleep_when_free")
    assert hasattr(plain._queue, "progress_update_sleep_when_free")
    assert page._queue.sleep_when_free == QUEUE_SECONDS
    assert page._queue.progress_update_sleep_when_free == PROGRESS_SECONDS


def test_its_configuration_is_plain(page: gr.Blocks) -> None:
    """It is copied for everyone who opens the page, and an object in it with all that it knows: 54 ms each time."""
    assert list(_objects(page.get_config_file())) == []


def _objects(value: object, *path: object) -> Iterator[tuple[object, ...]]:
    """Where something is neither a number nor text, nor made of these."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _objects(part, *path, name)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from _objects(part, *path, i)
    elif value is not None and not isinstance(value, (str, int, float)):
        yield (*path, value)


def test_other_programs_find_the_named_endpoints_and_nothing_else(page: gr.Blocks) -> None:
    """What the page's own parts ask is theirs: a visitor of "Use via API", a client and MCP see none of it."""
    told = page.get_api_info(all_endpoints=True)
    names = ["cancel_run", "compare", "generate", "list_runs", "run_result", "run_status", "start_run"]
    assert sorted(told["named_endpoints"]) == [f"/{name}" for name in names]
    assert told["unnamed_endpoints"] == {}
    assert {fn.api_name for fn in page.fns.values() if fn.api_visibility != "private"} == set(names)


def test_their_types_are_told(page: gr.Blocks) -> None:
    told = page.get_api_info()["named_endpoints"]
    asked = {p["parameter_name"]: p for p in told["/run_status"]["parameters"]}
    assert {name: p["type"].get("type") for name, p in asked.items()} == {
        "run": "string", "after": "integer", "events": "boolean", "state": "boolean"
    }  # fmt: skip
    assert (asked["run"]["parameter_has_default"], asked["after"]["parameter_default"]) == (False, 0)
    assert [p["parameter_name"] for p in told["/start_run"]["parameters"]] == ["spec"]
    assert {kind["type"] for kind in told["/start_run"]["parameters"][0]["type"]["anyOf"]} == {"object", "string"}
    assert all(endpoint["returns"][0]["type"]["type"] == "object" for endpoint in told.values())


def test_what_they_take_and_give_is_told(page: gr.Blocks) -> None:
    for name, endpoint in page.get_api_info()["named_endpoints"].items():
        for argument in endpoint["parameters"]:
            assert argument["label"] == argument["parameter_name"], name
            assert argument["python_type"]["description"].endswith("."), argument
        assert " Returns: An object: " in endpoint["description"], name
