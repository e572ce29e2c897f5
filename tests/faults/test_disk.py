"""A disk that is really full, and one that is really read-only: a file system in memory, where one may be mounted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from neuroal.errors import UserError
from neuroal.inspection.record import Inspected
from neuroal.models.cache import data_folder, scratch, written_aside
from neuroal.runs.database import UNWRITABLE, event
from neuroal.runs.masks_file import save_masks
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from tests.faults.test_store import figures
from tests.runs.helpers import eventually, kinds, wait_for, weights_digest

MB = 10**6


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.name != "posix" or os.geteuid() != 0 or not mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)):
        pytest.skip("No file system can be mounted here.")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def on_disk(disk: Path, loads: list[str]) -> Iterator[Callable[[], Workshop]]:
    """Workshops whose data folder is the small disk."""
    opened: list[Workshop] = []

    def make() -> Workshop:
        opened.append(Workshop(disk, patience=0.0))
        return opened[-1]

    yield make
    for workshop in opened:
        workshop.close()


def fill(disk: Path) -> Path:
    """Writes until nothing fits."""
    file = disk / "somebody else's"
    with file.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            return file


def test_a_run_on_a_full_disk_and_then_on_one_with_room(
    on_disk: Callable[[], Workshop], disk: Path, small_spec: RunSpec
) -> None:
    workshop = on_disk()
    whole = workshop.jobs.start(small_spec)
    assert wait_for(workshop.jobs, whole) == "finished"
    filler = fill(disk)
    said = []
    for _ in range(3):  # what is left in the pages of the database may hold a few events more
        try:
            run_id = workshop.jobs.start(small_spec, again=True)
        except UserError as refusal:
            said.append(str(refusal))
            break
        wait_for(workshop.jobs, run_id)
        said.append(workshop.jobs.read(run_id)[0][-1].get("message", ""))
    assert any("disk of this machine is full" in s for s in said), said
    assert workshop.jobs.read(whole)[1] and workshop.pair(whole), "what was there can still be looked at"
    assert not list(disk.glob("pruned/.*")), "nothing half written is left"

    filler.unlink()
    again = workshop.jobs.start(small_spec, again=True)
    assert wait_for(workshop.jobs, again) == "finished"
    assert figures(workshop, again) == figures(workshop, whole)
    assert weights_digest(workshop.pair(again)[1]) == weights_digest(workshop.pair(whole)[1])
    workshop.close()
    reopened = on_disk()
    assert reopened.notices == () and reopened.jobs.status(again) == "finished"


def test_every_file_that_is_written_on_a_full_disk_is_a_sentence_and_leaves_nothing(disk: Path) -> None:
    """By what writes it: Python, and safetensors, whose errors are of its own kind."""
    dense, pruned = torch.nn.Linear(3000, 1000, bias=False), torch.nn.Linear(3000, 1000, bias=False)
    (disk / "there").mkdir()
    filler = fill(disk)
    writers: list[Callable[[], None]] = [
        lambda: save_masks(disk / "m.safetensors", torch.nn.Sequential(pruned), torch.nn.Sequential(dense), ["0"]),
        lambda: Inspected((), 1, 1).save(disk / "inspected"),
        lambda: _write(disk),
    ]
    for write in writers:
        with pytest.raises(UserError, match="disk of this machine is full"):
            write()
    assert sorted(path.name for path in disk.iterdir()) == sorted([filler.name, "there"])


def _write(disk: Path) -> None:
    with written_aside(disk / "model") as folder:
        (folder / "half").write_bytes(bytes(3 * MB))


def test_a_read_only_folder_is_refused_in_a_sentence(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROAL_DATA", str(disk))
    assert data_folder() == disk
    assert mount("-o", "remount,ro", str(disk))
    with pytest.raises(UserError, match="data folder cannot be written"):
        data_folder()
    with pytest.raises(UserError, match="its folder cannot be written to"):
        Workshop(disk, patience=0.0)
    with pytest.raises(UserError, match="data folder cannot be written"), scratch(disk):
        pass


def test_a_store_that_becomes_read_only_is_a_sentence_and_can_still_be_read(
    open_workshop: Callable[[], Workshop], small_spec: RunSpec
) -> None:
    """As the system makes a disk on which it has found errors."""
    workshop = open_workshop()
    whole = workshop.jobs.start(small_spec)
    assert wait_for(workshop.jobs, whole) == "finished"
    workshop.housekeeping.join()
    engine, protected = workshop.jobs.store.engine, ["ON"]
    event.listen(engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA query_only={protected[-1]}"))
    with pytest.raises(UserError) as refused:
        workshop.jobs.start(small_spec, again=True)
    assert str(refused.value) == UNWRITABLE
    with pytest.raises(UserError, match="cannot be written"):
        workshop.jobs.store.edit(whole, name="x")
    assert workshop.jobs.store.history()[1] == 1 and workshop.pair(whole)

    protected.append("OFF")
    again = workshop.jobs.start(small_spec, again=True)
    eventually(lambda: "BlockScored" in kinds(workshop.jobs, again))
    protected.append("ON")
    if wait_for(workshop.jobs, again) == "failed":  # else it was faster
        assert workshop.jobs.read(again)[0][-1]["message"] == UNWRITABLE
        protected.append("OFF")
        workshop.jobs.resume(again)
        assert wait_for(workshop.jobs, again) == "finished"
    protected.append("OFF")
