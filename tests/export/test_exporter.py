"""What a server exports: one thing at a time for each run, kept within bounds, cancelled and forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.export import decode, exporter
from neuroal.export.events import ExportFinished
from neuroal.export.exporter import Exporter
from neuroal.export.shelf import Shelf
from neuroal.runs.workshop import Workshop
from tests.runs.conftest import (  # noqa: F401  (fixtures)
    language_model,
    loads,
    model_folder,
    open_workshop,
    small_spec,
)
from tests.runs.helpers import eventually, wait_for


def told(form: str, name: str, nbytes: int) -> ExportFinished:
    return ExportFinished(form, name, nbytes, nbytes, "ab" * 32, "Checked.", 0.1)


# --- the shelf --------------------------------------------------------------------------------------------------------


def put(shelf: Shelf, run: str, form: str, nbytes: int, at: int) -> Path:
    path = shelf.place(run, f"model.{form}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(nbytes))
    shelf.put(run, told(form, path.name, nbytes))
    import os

    if (path.parent / f"{form}.json").exists():
        os.utime(path.parent / f"{form}.json", (at, at))
    return path


def test_the_oldest_make_room(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, most=100)
    first, second = put(shelf, "a", "zip", 40, 1), put(shelf, "b", "zip", 40, 2)
    assert first.exists() and second.exists()
    third = put(shelf, "a", "sparse", 30, 3)
    assert not first.exists() and second.exists() and third.exists()
    assert set(shelf.kept("a")) == {"sparse"} and set(shelf.kept("b")) == {"zip"}
    huge = put(shelf, "c", "gguf", 500, 4)
    assert huge.exists() and not second.exists() and not third.exists()
    with pytest.raises(UserError, match="removed to make room"):
        shelf.file("a", "sparse")


def test_a_file_that_is_gone_is_not_offered(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    put(shelf, "a", "zip", 4, 1).unlink()
    assert shelf.kept("a") == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "RunFinished", "seconds": 1, "peak_memory": 1}'])
def test_what_is_told_may_be_damaged(text: str, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    put(shelf, "a", "zip", 4, 1)
    (tmp_path / "a" / "zip.json").write_text(text)
    assert shelf.kept("a") == {}


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "exports")
    put(shelf, "a", "zip", 4, 1)
    (tmp_path / "secret").write_text("secret")
    shelf.put("a", told("sparse", "../../secret", 6))
    assert set(shelf.kept("a")) == {"zip"}


@pytest.mark.parametrize("run", ["..", "a/b", "", ".", "a\0", "x" * 65, "/etc"])
def test_an_id_cannot_lead_out_of_the_folder(run: str, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "exports")
    for ask in (shelf.kept, lambda r: shelf.file(r, "zip"), lambda r: shelf.place(r, "x")):
        with pytest.raises(KeyError):
            ask(run)
    shelf.forget(run)


# --- the exporter -----------------------------------------------------------------------------------------------------


@pytest.fixture
def workshop(open_workshop: Callable[..., Workshop], small_spec: Any) -> Iterator[Workshop]:  # noqa: F811
    yield open_workshop()


@pytest.fixture
def finished(workshop: Workshop, small_spec: Any) -> str:  # noqa: F811
    run = workshop.start(small_spec)
    assert wait_for(workshop.jobs, run) == "finished"
    return run


def idle(made: Exporter, run: str) -> None:
    eventually(lambda: made.look(run).going is None)


def test_a_file_is_made_kept_and_the_same_as_the_run(workshop: Workshop, finished: str, tmp_path: Path) -> None:
    made = workshop.exporter
    assert made.look(finished).kept == {}
    made.start(finished, "sparse")
    assert made.look(finished).going["form"] == "sparse"
    idle(made, finished)
    state = made.look(finished)
    assert state.failed == "" and set(state.kept) == {"sparse"}
    path, facts = made.shelf.file(finished, "sparse")
    assert path.stat().st_size == facts.bytes and facts.name == "random-llama-wanda-neuroal-60.sparse.zip"
    folder = decode(path, tmp_path / "back")
    assert "python -m neuroal prune spec.json" in (folder / "README.md").read_text()
    before = path.stat().st_mtime_ns
    made.start(finished, "sparse")
    assert made.look(finished).going is None and path.stat().st_mtime_ns == before
    workshop._forget(finished)
    assert not path.exists()


class Held:
    """Stands in for ``iter_export``: waits until it is let go, or closed."""

    def __init__(self) -> None:
        self.inside, self.go, self.closed = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, *_: Any) -> Iterator[Any]:
        from neuroal.export.events import ExportStep

        try:
            self.inside.set()
            while not self.go.wait(0.01):
                yield ExportStep("write", "Writing.", 1, 2)
            raise UserError("It could not be made.")
        finally:
            self.closed.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    stand_in = Held()
    monkeypatch.setattr("neuroal.export.make.iter_export", stand_in)
    yield stand_in
    stand_in.go.set()


def test_one_at_a_time_progress_and_failure(workshop: Workshop, finished: str, held: Held) -> None:
    made = workshop.exporter
    made.start(finished, "zip")
    eventually(lambda: made.look(finished).going["total"] == 2)
    assert made.look(finished).going == {"form": "zip", "message": "Writing.", "done": 1, "total": 2}
    with pytest.raises(UserError, match="being made already"):
        made.start(finished, "gguf")
    held.go.set()
    idle(made, finished)
    assert made.look(finished).failed == "It could not be made."


def test_cancelling_closes_what_is_made(workshop: Workshop, finished: str, held: Held) -> None:
    made = workshop.exporter
    assert made.cancel(finished) is False
    made.start(finished, "zip")
    assert held.inside.wait(20) and made.cancel(finished) is True
    assert held.closed.wait(20)
    idle(made, finished)
    assert made.look(finished).failed == "" and made.look(finished).kept == {}


def test_closing_the_server_ends_it(workshop: Workshop, finished: str, held: Held) -> None:
    workshop.exporter.start(finished, "zip")
    assert held.inside.wait(20)
    workshop.exporter.close()
    assert held.closed.wait(20)
    with pytest.raises(UserError, match="server is stopping"):
        workshop.exporter.start(finished, "zip")


def test_a_fault_is_a_sentence(workshop: Workshop, finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("neuroal.export.make.iter_export", break_down)
    workshop.exporter.start(finished, "zip")
    idle(workshop.exporter, finished)
    assert workshop.exporter.look(finished).failed == exporter.FAULT


def test_what_has_nothing_to_take_away_says_so(workshop: Workshop, finished: str) -> None:
    made = workshop.exporter
    with pytest.raises(UserError, match="recorded run"):
        made.look("example-anything")
    with pytest.raises(KeyError):
        made.look("nowhere")
    with pytest.raises(UserError, match="choose the .zip"):
        made.start(finished, "folder")
    with pytest.raises(UserError, match="is not known"):
        made.start(finished, "tarball")
    with pytest.raises(UserError, match="needs a Hugging Face token"):
        made.push(finished, "a/b", None)
    workshop._masks(finished).unlink()
    with pytest.raises(UserError, match="Only the log of this run is here"):
        made.start(finished, "zip")
