"""Profiles are data: detected, named, or a file of one's own; what is set in the environment wins over them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.listing import whose_from_environment
from neuroal.errors import UserError
from neuroal.hosting import profile as hosting
from neuroal.hosting.profile import Profile, current, detected, places, setting, shipped, storage
from neuroal.models.cache import DEFAULT_FOLDER, data_path
from neuroal.models.locate import locate

SPACE = {"SPACE_ID": "someone/neuroal", "SYSTEM": "spaces"}


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "GPU_TRACES", ())


def test_five_profiles_are_shipped_and_all_of_them_are_sound() -> None:
    assert shipped() == ["classroom", "local", "space-cpu", "space-gpu", "zerogpu"]
    for name in shipped():
        assert current({"NEUROAL_PROFILE": name}).name == name


def test_without_a_word_nothing_is_limited() -> None:
    assert current({}) == Profile(where="this machine") and not current({}).limited


def test_a_space_is_known_by_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert detected({}) == "local"
    assert detected(SPACE) == "space-cpu"
    assert detected({**SPACE, "SPACES_ZERO_GPU": "true"}) == "zerogpu"
    assert detected({"SPACES_ZERO_GPU": "true"}) == "local"
    monkeypatch.setattr(hosting, "GPU_TRACES", (tmp_path,))
    assert detected(SPACE) == "space-gpu"
    assert detected({**SPACE, "SPACES_ZERO_GPU": "1"}) == "zerogpu"


def test_one_setting_overrides_what_is_detected(tmp_path: Path) -> None:
    assert current({**SPACE, "NEUROAL_PROFILE": "local"}).history == "all"
    own = tmp_path / "ours.json"
    own.write_text(json.dumps({"where": "our server", "models": ["tiny"], "minutes": 2.5}))
    found = current({**SPACE, "NEUROAL_PROFILE": str(own)})
    assert found == Profile(name="ours", where="our server", models=("tiny",), minutes=2.5)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ('{"sample": 3}', r"'sample' in the hosting profile '.*' is not known\. Did you mean 'samples'\?"),
        ('{"samples": 0}', r"^samples is 0 in .* 'ours'; it must be a whole number from 1, or null for no limit\.$"),
        ('{"samples": true}', "samples is True"),
        ('{"samples": "32"}', "samples is '32'"),
        ('{"waiting": null}', r"waiting is None .*; it must be a whole number from 1\.$"),
        ('{"minutes": -1}', "minutes is -1 .* a number above 0, or null for no limit"),
        ('{"minutes": Infinity}', "minutes is inf"),
        ('{"models": "tiny"}', "models is 'tiny' .* a list of texts"),
        ('{"models": [1]}', r"models is \(1,\)"),
        ('{"history": "some"}', "history is 'some' .* one of: all, own"),
        ('{"local_folders": 0}', "local_folders is 0 .* true or false"),
        ("[]", "no JSON object"),
        ("{", "is no JSON"),
    ],
)
def test_a_file_that_is_no_profile_is_told_in_a_sentence(tmp_path: Path, written: str, sentence: str) -> None:
    own = tmp_path / "ours.json"
    own.write_text(written)
    with pytest.raises(UserError, match=sentence):
        current({"NEUROAL_PROFILE": str(own)})


def test_an_unknown_name_is_told_with_the_near_miss() -> None:
    with pytest.raises(UserError, match=r"NEUROAL_PROFILE is 'space_cpu', .* Did you mean 'space-cpu'\?"):
        current({"NEUROAL_PROFILE": "space_cpu"})


def test_settings_come_from_the_profile_unless_the_environment_has_them() -> None:
    assert setting("NEUROAL_HISTORY", SPACE) == "own"
    assert setting("NEUROAL_HISTORY", {**SPACE, "NEUROAL_HISTORY": "all"}) == "all"
    assert setting("NEUROAL_ENGINE", {**SPACE, "SPACES_ZERO_GPU": "true"}) == "zerogpu"
    assert setting("NEUROAL_DEFAULT_MODEL", {"NEUROAL_PROFILE": "classroom"}) == "tiny"
    assert setting("NEUROAL_LOCAL_FOLDERS", {}) == "1"


def test_those_who_read_settings_follow_the_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NEUROAL_DATA")
    assert (whose_from_environment(), data_path()) == ("all", DEFAULT_FOLDER)
    own = tmp_path / "ours.json"
    own.write_text(json.dumps({"history": "own", "local_folders": False, "data": [str(tmp_path)]}))
    monkeypatch.setenv("NEUROAL_PROFILE", str(own))
    assert (whose_from_environment(), data_path()) == ("own", tmp_path / "neuroal")
    with pytest.raises(UserError, match="Local folders are switched off here"):
        locate("/etc")
    monkeypatch.setenv("NEUROAL_DATA", str(tmp_path / "elsewhere"))
    assert data_path() == tmp_path / "elsewhere"


def test_the_first_folder_that_can_be_written_is_taken(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "file").touch()
    folders = tuple(str(tmp_path / name) for name in ("a", "file", "b"))
    assert storage(Profile(data=folders)) == str(tmp_path / "b" / "neuroal")
    assert storage(Profile(data=folders[:2])) is None and storage(Profile(), {}) is None


def test_a_space_keeps_its_things_at_data_whatever_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    for named in ("local", "classroom", "space-gpu"):
        assert places(current({"NEUROAL_PROFILE": named}), SPACE) == ("/data",)
    assert places(current({}), {}) == ()
    monkeypatch.setattr(hosting.os.path, "isdir", lambda path: path == "/data")
    monkeypatch.setattr(hosting.os, "access", lambda path, mode: True)
    assert setting("NEUROAL_DATA", {**SPACE, "NEUROAL_PROFILE": "local"}) == "/data/neuroal"
    assert setting("NEUROAL_DATA", {**SPACE, "NEUROAL_DATA": "/elsewhere"}) == "/elsewhere"
    assert setting("NEUROAL_DATA", {}) == ""
