"""The data folder: where it is, and that nothing half-written is ever in use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neuroal.errors import UserError
from neuroal.models import cache
from neuroal.models.cache import data_folder, locked, require_space, scratch, sweep, written_aside

ROOT = Path(__file__).resolve().parents[2]


def test_data_folder_is_created_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROAL_DATA", str(tmp_path / "new" / "data"))
    assert data_folder() == tmp_path / "new" / "data"
    assert data_folder().is_dir()


def test_default_is_beside_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEUROAL_DATA")
    assert cache.DEFAULT_FOLDER == ROOT / "data"


def test_impossible_folder_is_a_sentence_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEUROAL_DATA", str(tmp_path / "file" / "data"))
    with pytest.raises(UserError, match="set NEUROAL_DATA") as caught:
        data_folder()
    assert str(tmp_path) not in str(caught.value)


def test_read_only_folder_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.os, "access", lambda *_: False)  # root may write anywhere, so permissions show nothing
    with pytest.raises(UserError, match="cannot be written"):
        data_folder()


def test_reading_asks_for_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROAL_DATA", str(tmp_path / "not" / "there"))
    assert cache.data_path() == tmp_path / "not" / "there"
    assert not cache.data_path().exists()


def test_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    with written_aside(tmp_path / "model") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "model").exists()
    assert (tmp_path / "model" / "a").read_text() == "1"
    with pytest.raises(RuntimeError), written_aside(tmp_path / "other") as folder:
        (folder / "a").write_text("1")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir() if p.name != "data"] == ["model"]


def test_an_older_folder_is_replaced(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with written_aside(tmp_path / "model") as folder:
            (folder / text).write_text(text)
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["new"]


def test_full_disk_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="disk of this machine is full"), written_aside(tmp_path / "model"):
        raise OSError(28, "No space left on device")


def test_killed_writer_leaves_nothing_in_use(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from neuroal.models.cache import written_aside\n"
        "with written_aside(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').write_text('x'); print('writing', flush=True); time.sleep(60)\n"
    )
    target = tmp_path / "models" / "m"
    writer = subprocess.Popen([sys.executable, "-c", code, str(target)], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"writing\n"
    sweep(target.parent)
    assert len(list(target.parent.iterdir())) == 1, "a living writer's folder is left alone"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert not target.exists()
    sweep(target.parent)
    assert not list(target.parent.iterdir())


def test_sweep_removes_old_folders_of_other_machines_only_when_stale(tmp_path: Path) -> None:
    other = tmp_path / ".m.elsewhere.1.abcd.partial"
    other.mkdir()
    sweep(tmp_path)
    assert other.exists()
    day_ago = time.time() - cache.STALE_SECONDS - 1
    os.utime(other, (day_ago, day_ago))
    sweep(tmp_path)
    assert not other.exists()


def test_sweep_spares_an_old_folder_of_a_living_process_only(tmp_path: Path) -> None:
    """A pruned model may lie on disk for days; but an id that was given again is another process."""
    parent = os.getppid()
    mine, before = (tmp_path / f".{name}.{cache.HOST}.{parent}.abcd.partial" for name in ("m", "n"))
    for folder, age in ((mine, 0), (before, 400 * 24 * 3600)):
        folder.mkdir()
        then = time.time() - age
        os.utime(folder, (then, then))
    sweep(tmp_path)
    assert mine.exists()
    assert not before.exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Only Linux tells when a process began.")
def test_a_clock_that_jumps_does_not_make_a_writer_look_dead(tmp_path: Path) -> None:
    """Its folder seems to be from long before it, or from the future."""
    parent = os.getppid()
    began = cache._began(parent)
    ages = (400 * 24 * 3600, -400 * 24 * 3600)
    living = [tmp_path / f".m.{cache.HOST}.{parent}.{began}-{n}.partial" for n in range(2)]
    gone = [tmp_path / f".m.{cache.HOST}.{parent}.{int(began) + 1}-{n}.partial" for n in range(2)]
    for folder, age in zip((*living, *gone), ages * 2, strict=True):
        folder.mkdir()
        os.utime(folder, (time.time() - age,) * 2)
    sweep(tmp_path)
    assert all(folder.exists() for folder in living)
    assert not any(folder.exists() for folder in gone), "an id that was given again is another process"


def test_sweep_spares_its_own_and_removes_a_predecessor_with_the_same_id(tmp_path: Path) -> None:
    before = tmp_path / f".m.{cache.HOST}.{os.getpid()}.abcd.partial"
    before.mkdir()
    with scratch(tmp_path) as folder:
        sweep(tmp_path)
        assert folder.exists()
        assert not before.exists()
    assert not folder.exists()


def test_space_is_checked_before_the_work(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "yet", 1, "It")
    with pytest.raises(UserError, match="It needs about 1000000000.0 GB of disk"):
        require_space(tmp_path, 10**18, "It")


def test_lock_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "m"):
            pass
