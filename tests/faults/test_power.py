"""The power fails: a name may be on the disk before the content is, and then it is an empty file.

The disk here is of that kind: what is renamed without having been synchronised is lost.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from neuroal.export.events import ExportFinished
from neuroal.export.shelf import Shelf
from neuroal.inspection.record import Inspected
from neuroal.models import package
from neuroal.models.cache import written_aside
from neuroal.runs.masks_file import apply_masks, save_masks
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop
from neuroal.twin import sparse_twin


class Disk:
    """Loses the content of what is renamed too early. Names are kept, in the order they were given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.safe: set[int] = set()
        self.renamed: list[Path] = []
        self.lost: list[Path] = []
        self._fsync, self._replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "replace", self.replace)

    def fsync(self, file: int) -> None:
        self._fsync(file)
        self.safe.add(os.fstat(file).st_ino)

    def replace(self, source: Any, target: Any) -> None:
        for path in (Path(source), *Path(source).rglob("*")):
            if path.is_file() and path.stat().st_ino not in self.safe:
                os.truncate(path, 0)
                self.lost.append(path)
        self._replace(source, target)
        self.renamed.append(Path(target))

    def after_the_power_loss(self) -> None:
        """Of the last name it must be known that it is on the disk as well."""
        assert self.renamed and not self.lost
        assert self.renamed[-1].parent.stat().st_ino in self.safe


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_the_disk_of_these_tests_loses_what_was_not_synchronised(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("content")
    os.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == ""
    with pytest.raises(AssertionError):
        disk.after_the_power_loss()


def test_a_folder(disk: Disk, tmp_path: Path) -> None:
    with written_aside(tmp_path / "model") as folder:
        (folder / "below").mkdir()
        for name in ("a", "below/b"):
            (folder / name).write_text(name)
    assert [(tmp_path / "model" / name).read_text() for name in ("a", "below/b")] == ["a", "below/b"]
    disk.after_the_power_loss()


def test_a_converted_model(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(_: Any, source: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(package, "_convert", convert)
    monkeypatch.setattr(package, "obtain", lambda *_, **__: {"x": Path("x")})
    monkeypatch.setattr(package, "DISK_NEEDED", 1)
    folder = package.prepare(package.SMOLLM2, lambda _: None)
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    package.check(package.SMOLLM2)
    disk.after_the_power_loss()


def test_masks(disk: Disk, tmp_path: Path) -> None:
    dense = nn.Sequential(nn.Linear(8, 8, bias=False))
    twin = sparse_twin(dense, ["0"])
    with torch.no_grad():
        twin[0].weight[:4] = 0
    save_masks(tmp_path / "m.safetensors", twin, dense, ["0"])
    again = sparse_twin(dense, ["0"])
    apply_masks(tmp_path / "m.safetensors", again, ["0"])
    assert torch.equal(again[0].weight, twin[0].weight)
    disk.after_the_power_loss()


def test_what_was_seen_in_the_matrices(disk: Disk, tmp_path: Path) -> None:
    Inspected((), 1, 1).save(tmp_path / "inspected" / "a")
    found = Inspected.load(tmp_path / "inspected" / "a")
    assert found is not None and found.samples == 1
    disk.after_the_power_loss()


def test_an_export(disk: Disk, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    place = shelf.place("abc", "x.zip")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"zip")
    told = ExportFinished("zip", "x.zip", 3, 10, "0" * 64, "", 0.1)
    shelf.put("abc", told)
    assert shelf.kept("abc") == {"zip": told}
    disk.after_the_power_loss()
    os.truncate(place, 0)  # a file that others have damaged is not offered either
    assert shelf.kept("abc") == {}


@pytest.mark.parametrize("arrived", [0.0, 0.31, 0.5, 0.77, 1.0])
def test_of_a_log_only_the_end_is_missing(tmp_path: Path, arrived: float) -> None:
    """What SQLite had written, but not synchronised, may be there in part: ``arrived`` is the share of it."""
    there, here = tmp_path / "there", tmp_path / "here"
    store = Store(there)
    store.add_run("a", "key", RunSpec(model="a").to_json(), private=False)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    for n in range(1, 101):
        store.append("a", n, 0.1 * n, {"kind": "Notice", "message": "x" * 300}, "running")
    shutil.copytree(there, here)
    wal = here / "runs.sqlite-wal"
    os.truncate(wal, int(wal.stat().st_size * arrived))
    (here / "runs.sqlite-shm").unlink()  # shared memory, of which nothing is left
    store.close()

    workshop = Workshop(here, patience=0.0)
    try:
        assert workshop.notices == (), "this is no damage"
        log = workshop.jobs.read("a")[0]
        assert log[-1]["kind"] == "RunInterrupted"
        assert [r["n"] for r in log] == list(range(1, len(log) + 1))
        assert abs(len(log) - 1 - 100 * arrived) < 20 and (arrived < 1 or len(log) == 101)
    finally:
        workshop.close()
