"""The registry: a new method is a new file, and an unknown one is told apart from its near miss."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from neuroal.errors import UserError
from neuroal.pruners import PRUNERS, Pruner
from neuroal.registry import Registry, import_all
from neuroal.topups import TOP_UPS

NEW = '''
from neuroal.pruners.base import PRUNERS, Pruner

@PRUNERS.register
class Newest(Pruner):
    """The largest go."""

    name, label, summary, needs_data, rank = "newest", "Newest", "the largest weights", False, 5

    def metric(self, weight, statistics):
        return -weight.abs()
'''


def test_a_new_file_is_a_new_pruner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "added_pruners"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "newest.py").write_text(NEW)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(PRUNERS, "_entries", dict(PRUNERS._entries))
    import_all("added_pruners", [str(folder)])
    assert list(PRUNERS.labels)[0] == "newest", "listed by its rank"
    assert issubclass(PRUNERS.get("newest"), Pruner)
    for name in ("added_pruners", "added_pruners.newest"):
        monkeypatch.delitem(sys.modules, name)


def test_every_file_of_the_two_folders_holds_a_method() -> None:
    for registry in (PRUNERS, TOP_UPS):
        homes = {entry.__module__ for entry in registry.entries}
        package = registry.entries[0].__module__.rpartition(".")[0]
        files = Path(sys.modules[package].__file__).parent.glob("*.py")
        assert {f"{package}.{file.stem}" for file in files} - {f"{package}.__init__", f"{package}.base"} == homes


def test_entries_are_listed_by_rank_then_by_name() -> None:
    registry: Registry[type] = Registry("Colour")
    for name, rank in (("red", 2), ("green", 1), ("blue", 2)):
        registry.register(type(name, (), {"name": name, "label": name.title(), "rank": rank}))
    assert registry.labels == {"green": "Green", "blue": "Blue", "red": "Red"}
    with pytest.raises(
        UserError, match="Colour 'gren' is not known. Did you mean 'green'[?] Known: green, blue, red[.]"
    ):
        registry.get("gren")


@pytest.mark.parametrize("name", [None, 5, ["wanda"], {}])
def test_what_is_no_name_is_unknown(name: object) -> None:
    with pytest.raises(UserError, match="Known: wanda, magnitude"):
        PRUNERS.get(name)
