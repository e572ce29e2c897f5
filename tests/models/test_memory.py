"""Memory: the arithmetic by hand, and control groups from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroal.models import memory
from neuroal.models.memory import Memory, fits, gigabytes, machine_memory, needed_bytes

MB = 2**20


def test_dense_twin_and_activations_add_up() -> None:
    # 100 weights of 4 bytes, a twin that owns 80 of them, 7 bytes of work
    assert needed_bytes(100, 4, 0.8, activations=7) == 400 + 320 + 7
    assert needed_bytes(100, 2, activations=0) == 400
    assert needed_bytes(0, 4) == memory.ACTIVATIONS


def test_fits_free_or_whole() -> None:
    place = Memory("cpu", free=10, total=20)
    assert fits(10, place)
    assert not fits(11, place)
    assert fits(20, place, whole=True)
    assert not fits(21, place, whole=True)


def test_sizes_for_people() -> None:
    assert [gigabytes(n) for n in (5 * 10**8, 2_400_000_000, 14 * 10**9)] == ["500 MB", "2.4 GB", "14 GB"]


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree of control groups; this process is in /a/b."""
    own = tmp_path / "own"
    own.write_text("5:memory:/a/b\n0::/a/b\n")
    monkeypatch.setattr(memory, "CGROUP_ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "OWN_CGROUP", own)
    (tmp_path / "cgroup" / "a" / "b").mkdir(parents=True)
    return tmp_path / "cgroup"


def test_container_limit_of_version_2(groups: Path) -> None:
    group = groups / "a"
    (group / "memory.max").write_text(f"{300 * MB}\n")
    (group / "memory.current").write_text(f"{120 * MB}\n")
    (group / "memory.stat").write_text(f"anon 1\ninactive_file {20 * MB}\n")
    (group / "b" / "memory.max").write_text("max\n")
    assert machine_memory("cpu") == Memory("cpu", 200 * MB, 300 * MB)


def test_container_limit_of_version_1_at_the_mounted_root(groups: Path) -> None:
    group = groups / "memory"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(f"{256 * MB}")
    (group / "memory.usage_in_bytes").write_text(f"{300 * MB}")
    (group / "memory.stat").write_text("total_inactive_file 0\n")
    assert machine_memory("cpu") == Memory("cpu", 0, 256 * MB)


def test_without_limits_it_is_the_machine(groups: Path) -> None:
    import psutil

    assert machine_memory("cpu").total == psutil.virtual_memory().total


def test_unreadable_limits_are_no_limits(groups: Path) -> None:
    (groups / "a" / "memory.max").write_text("nonsense")
    (groups / "a" / "b" / "memory.max").write_text("1000")  # no memory.current beside it
    assert machine_memory("cpu").total > MB
