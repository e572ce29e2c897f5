"""What a host keeps: so many days and so many bytes; the oldest goes first, what can be had again before the rest."""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from sqlmodel import col, update

from neuroal.errors import UserError
from neuroal.export.shelf import MOST_BYTES
from neuroal.hosting.disk import Disk, size
from neuroal.hosting.profile import Profile
from neuroal.runs import housekeeping
from neuroal.runs.housekeeping import Housekeeping
from neuroal.runs.rows import RunRow, iso
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop
from tests.runs.helpers import Script, eventually, wait_for

KB = 1000


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


def add(store: Store, run_id: str, days: float, status: str = "finished", pinned: bool = False) -> None:
    """A run that was made so many days ago."""
    store.add_run(run_id, run_id, "{}", private=False)
    created = iso(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days))
    with store.engine.begin() as connection:
        values = {"created": created, "status": status, "pinned": pinned}
        connection.execute(update(RunRow).where(col(RunRow.id) == run_id).values(**values))


def write(path: Path, count: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * count)
    return path


def model(folder: Path, name: str, hours: float, count: int = 10 * KB) -> Path:
    """A model in the Hub's cache that was used so many hours ago."""
    repository = folder / f"models--them--{name}"
    blob = write(repository / "blobs" / "b", count)
    commit = hashlib.sha1(name.encode()).hexdigest()
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(blob)
    write(repository / "refs" / "main", 0).write_text(commit)
    os.utime(blob, (time.time() - 3600 * hours,) * 2)
    return repository


# --- days -------------------------------------------------------------------------------------------------------------


def test_runs_are_removed_after_so_many_days(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    add(store, "old", 31)
    add(store, "pinned", 31, pinned=True)
    add(store, "going", 31, status="running")
    add(store, "new", 29)
    forgotten: list[str] = []
    keeping = Housekeeping(store, forgotten.append, days=30)
    eventually(lambda: len(forgotten) == 2)
    keeping.stop()
    assert sorted(forgotten) == ["old", "pinned"] and store.run("old") is None and store.is_deleted("old")
    assert store.run("going") is not None and store.run("new") is not None
    assert "2 runs that were older than 30 days were removed" in caplog.text


def test_it_is_looked_after_again_and_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "EVERY", 0.01)
    forgotten: list[str] = []
    keeping = Housekeeping(store, forgotten.append, days=30)
    add(store, "later", 31)
    eventually(lambda: forgotten == ["later"])
    keeping.stop()


def test_without_a_word_nothing_is_ever_removed(store: Store) -> None:
    add(store, "old", 4000)
    forgotten: list[str] = []
    Housekeeping(store, forgotten.append).join()
    assert forgotten == [] and store.run("old") is not None


# --- bytes ------------------------------------------------------------------------------------------------------------


def limited(folder: Path, kilobytes: float) -> Disk:
    return Disk(Profile(where="this host", more="ask for more", disk_gb=kilobytes / 10**6), folder)


def test_the_data_and_the_cache_are_counted_and_links_are_not(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a" / "b", 3 * KB)
    model(tmp_path / "hub", "one", 0)
    assert size(tmp_path / "data") == 3 * KB and 10 * KB <= size(tmp_path / "hub") < 11 * KB
    assert size(tmp_path / "nothing") == 0
    assert limited(tmp_path / "data", 1)._used() == size(tmp_path / "data") + size(tmp_path / "hub")
    assert limited(tmp_path, 1)._used() == size(tmp_path), "a cache inside the data is counted once"


def test_unused_models_go_first_then_the_oldest_runs_until_there_is_room(tmp_path: Path) -> None:
    for name, hours in (("used", 0.5), ("older", 3), ("oldest", 9)):
        model(tmp_path / "hub", name, hours)
    runs = ["a", "b", "c"]
    files = {run: write(tmp_path / "data" / run, 10 * KB) for run in runs}
    disk = limited(tmp_path / "data", 65)  # there are 60 and a little: nothing to do
    assert list(disk.make_room(runs, lambda run: files[run].unlink())) == []
    assert len(list(limited(tmp_path / "data", 52).make_room(runs, lambda run: files[run].unlink()))) == 1
    assert sorted(path.name for path in (tmp_path / "hub").glob("models--*")) == [
        "models--them--older", "models--them--used"
    ]  # fmt: skip
    assert len(list(limited(tmp_path / "data", 32).make_room(runs, lambda run: files[run].unlink()))) == 2
    assert [run for run in runs if files[run].exists()] == ["b", "c"]
    assert [path.name for path in (tmp_path / "hub").glob("models--*")] == ["models--them--used"]


def test_a_full_disk_is_told_and_made_room_on(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a", 10 * KB)
    called: list[bool] = []
    disk = limited(tmp_path / "data", 5)
    with pytest.raises(
        UserError, match=r"^The 5e-06 GB of disk that this host allows are full, .*, or ask for more\.$"
    ):
        disk.refuse(lambda: called.append(True))
    assert called == [True]
    limited(tmp_path / "data", 50).refuse(lambda: called.append(False))
    Disk(Profile(), tmp_path / "data").refuse(lambda: called.append(False))
    assert called == [True]


def test_exports_take_a_third_at_most(tmp_path: Path) -> None:
    assert Disk(Profile(), tmp_path).for_exports == MOST_BYTES
    assert Disk(Profile(disk_gb=9), tmp_path).for_exports == 3 * 10**9
    assert Disk(Profile(disk_gb=300), tmp_path).for_exports == MOST_BYTES


def test_a_workshop_refuses_while_its_disk_is_full_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    workshop, script = Workshop(tmp_path / "data", profile=Profile(disk_gb=0.001)), Script()
    workshop.jobs.engine = script
    try:
        eventually(lambda: workshop.disk._at > float("-inf"))  # it has been looked after once, so not again by itself
        run = workshop.start(RunSpec(model="a"))
        assert wait_for(workshop.jobs, run) == "finished"
        masks = write(workshop._masks(run), 2 * KB * KB)
        workshop.disk._at = float("-inf")  # a minute has passed
        with pytest.raises(UserError, match="of disk that this host allows are full"):
            workshop.start(RunSpec(model="b"))
        eventually(lambda: not masks.exists())
        eventually(lambda: workshop.disk._measured < 10**6)
        assert wait_for(workshop.jobs, workshop.start(RunSpec(model="b"))) == "finished"
        assert workshop.jobs.status(run) == "finished", "its log is kept"
    finally:
        workshop.close()
