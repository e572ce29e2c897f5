"""Downloads and caches: broken off, slow, damaged on the way or on the disk since, in the middle of a repository.

The network is a fake, and so is what is sent over it; everything else is the app's and huggingface_hub's own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as http
import pytest
from huggingface_hub import constants, file_download

from neuroal.errors import UserError
from neuroal.models import hub, loading, package
from neuroal.models.checkpoint import Unreadable
from neuroal.models.facts import inspect
from neuroal.models.loading import load
from tests.models.conftest import (  # noqa: F401  (fixtures)
    _isolated,
    fake_hub,
    gpt2_folder,
    llama_folder,
    no_hub,
    said,
    use_transport,
)

WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)


@pytest.fixture
def hub_with_model(fake_hub: Any, llama_folder: Path) -> Any:  # noqa: F811
    fake_hub.add("o/m", llama_folder)
    return fake_hub


def breaking_off(content: bytes) -> Iterator[bytes]:
    """Half of it, then the connection is gone."""
    yield content[: len(content) // 2]
    raise http.RemoteProtocolError("peer closed connection without sending complete message body")


def stalling(content: bytes) -> Iterator[bytes]:
    yield content[: len(content) // 2]
    raise http.ReadTimeout("The read operation timed out")


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("fault", [breaking_off, stalling])
def test_a_download_that_breaks_off_or_stalls_goes_on_where_it_was(
    hub_with_model: Any,
    llama_folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[bytes], Any],
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub_with_model.faults[WEIGHTS] = [fault, fault]
    folder = hub.download("o/m")
    whole = (llama_folder / WEIGHTS).read_bytes()
    assert (folder / WEIGHTS).read_bytes() == whole
    begun = [first for name, first in hub_with_model.ranges if name == WEIGHTS]
    assert len(begun) == 3 and begun[0] == 0 < begun[1] < begun[2], "what had arrived is not asked for again"


def test_one_that_never_goes_on_is_a_sentence_and_is_no_model(hub_with_model: Any) -> None:
    def silent(_: bytes) -> Iterator[bytes]:
        raise http.ReadTimeout("The read operation timed out")
        yield b""

    hub_with_model.faults[WEIGHTS] = [silent] * 20
    with pytest.raises(UserError, match="stopped answering while fetching o/m; check the connection and try again"):
        hub.download("o/m")
    assert hub.cached("o/m") is None
    complete = {path.name for path in Path(constants.HF_HUB_CACHE).glob("models--o--m/snapshots/*/*")}
    assert WEIGHTS not in complete, "small files are fetched beside the weights, so some of them are there"
    hub_with_model.faults.clear()
    hub_with_model.ranges.clear()
    assert hub.cached("o/m") is None and hub.download("o/m")
    fetched = {name for name, _ in hub_with_model.ranges}
    assert WEIGHTS in fetched and not fetched & complete, "what was complete is not fetched again"


def test_what_is_damaged_on_its_way_is_fetched_again(
    hub_with_model: Any,
    llama_folder: Path,  # noqa: F811
    said: list[str],  # noqa: F811
) -> None:
    """Of the right size, so that only the hash tells."""
    hub_with_model.faults[WEIGHTS] = [flipped]
    folder = hub.download("o/m", say=said.append)
    assert (folder / WEIGHTS).read_bytes() == (llama_folder / WEIGHTS).read_bytes()
    assert any("damaged on its way" in sentence for sentence in said)
    assert len(hub_with_model.ranges) == 1 + len(list(llama_folder.iterdir())), "nothing else is"


def test_what_a_killed_download_left_is_removed_a_day_later(hub_with_model: Any) -> None:
    blobs = hub.download("o/m").parents[1] / "blobs"
    old, new = blobs / "a.1.incomplete", blobs / "b.2.incomplete"
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    hub.download("o/m")
    assert not old.exists() and new.exists(), "the new one may be another process's"


def test_damaged_twice_is_a_sentence_and_is_no_model(hub_with_model: Any) -> None:
    hub_with_model.faults[WEIGHTS] = [flipped, flipped]
    with pytest.raises(UserError, match="its checksum differs"):
        hub.download("o/m")
    assert hub.cached("o/m") is None


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, "no model 'o/m'"), (403, "gated"), (404, "no model 'o/m'"), (429, "try again in"), (500, "error 500")],
)
def test_an_answer_in_the_middle_of_a_download_is_its_own_sentence(
    hub_with_model: Any, status: int, sentence: str
) -> None:
    hub_with_model.fail[f"/o/m/resolve/{'0123456789abcdef' * 2}01234567/{WEIGHTS}"] = (status, {})
    with pytest.raises(UserError, match=sentence):
        hub.download("o/m")
    assert hub.cached("o/m") is None


# --- the cache on this machine --------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    spoil(path, lambda content: content[: len(content) // 2])


def empty(path: Path) -> None:
    """What a power loss leaves of a file that was not on the disk yet."""
    spoil(path, lambda _: b"")


def bit(path: Path) -> None:
    spoil(path, flipped)


def spoil(path: Path, change: Callable[[bytes], bytes]) -> None:
    """In a file of its own: loaded models still look at the old one."""
    aside = path.with_name("aside")
    aside.write_bytes(change(path.read_bytes()))
    os.replace(aside, path)


@pytest.mark.parametrize("damage", [cut, empty])
@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.json"])
def test_a_damaged_file_in_the_hubs_cache_is_fetched_again(
    hub_with_model: Any,
    name: str,
    damage: Callable[[Path], None],
    said: list[str],  # noqa: F811
) -> None:
    folder = hub.download("o/m")
    first = load("o/m")
    damage((folder / name).resolve())
    hub_with_model.ranges.clear()
    lm = load("o/m", say=said.append)
    assert [asked for asked, _ in hub_with_model.ranges] == [name]
    for key, tensor in first.model.state_dict().items():
        assert lm.model.state_dict()[key].equal(tensor)
    if name != "config.json":  # which is looked at before the rest, and mended there
        assert "The copy of o/m on this machine was damaged, so it was fetched again." in lm.info.notices
    assert not [n for n in load("o/m").info.notices if "damaged" in n]


def test_a_damaged_cache_without_a_network_is_a_sentence(
    hub_with_model: Any,
    use_transport: Callable[..., Any],  # noqa: F811
) -> None:
    folder = hub.download("o/m")
    cut((folder / WEIGHTS).resolve())

    def refuse(_: Any) -> Any:
        raise http.ConnectError("no route to host")

    use_transport(refuse)
    with pytest.raises(UserError, match="is not on this machine and the Hugging Face Hub cannot be reached"):
        load("o/m")


def test_a_sound_copy_that_cannot_be_read_is_not_fetched_again(
    hub_with_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every start would fetch it."""
    hub.download("o/m")
    hub_with_model.asked.clear()

    def refuse(*_: Any, **__: Any) -> Any:
        raise ValueError("unknown layer")

    monkeypatch.setattr(loading.AutoModelForCausalLM, "from_pretrained", refuse)
    with pytest.raises(UserError, match="damaged or incomplete"):
        load("o/m")
    assert not hub_with_model.asked


def test_facts_are_read_from_a_mended_configuration(hub_with_model: Any) -> None:
    folder = hub.download("o/m")
    (folder / "config.json").resolve().write_text("{")
    assert inspect("o/m").blocks == 2
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 2


def test_a_damaged_local_folder_is_never_touched(tmp_path: Path, llama_folder: Path) -> None:  # noqa: F811
    import shutil

    folder = tmp_path / "mine"
    shutil.copytree(llama_folder, folder)
    cut(folder / WEIGHTS)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(Unreadable, match="damaged or incomplete"):
        load(str(folder))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


# --- the converted copy of the default model ------------------------------------------------------------------------


@pytest.fixture
def packaged(llama_folder: Path, no_hub: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:  # noqa: F811
    """The package of SmolLM2 with a tiny model in its place; holds each time that it was converted."""
    import shutil

    made: list[str] = []

    def obtain(*_: Any, **__: Any) -> dict[str, Path]:
        return {"x": llama_folder}

    def convert(_: Any, source: Path, folder: Path) -> None:
        made.append("converted")
        shutil.copytree(source, folder, dirs_exist_ok=True)

    monkeypatch.setattr(package, "obtain", obtain)
    monkeypatch.setattr(package, "_convert", convert)
    monkeypatch.setattr(package, "DISK_NEEDED", 10)
    return made


@pytest.mark.parametrize("damage", [cut, empty, bit])
@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.json", "origin.json"])
def test_a_damaged_conversion_is_made_again(packaged: list[str], name: str, damage: Callable[[Path], None]) -> None:
    first = load("SmolLM2-135M-Instruct")
    folder = Path(first.info.folder)
    assert load("SmolLM2-135M-Instruct") and packaged == ["converted"], "once"
    damage(folder / name)
    lm = load("SmolLM2-135M-Instruct")
    assert packaged == ["converted"] * 2
    if name != "config.json":  # which is looked at before the rest, and mended there
        assert [notice for notice in lm.info.notices if "was damaged" in notice]
    for key, tensor in first.model.state_dict().items():
        assert lm.model.state_dict()[key].equal(tensor)
    assert [p.name for p in folder.parent.iterdir() if p.name.endswith(".partial")] == []
