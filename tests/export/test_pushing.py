"""Uploading: what arrives, in whose name, and how it ends when it fails. The Hub is a fake of the transport."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from neuroal.errors import UserError
from neuroal.export import Source, iter_push, of_model, push
from neuroal.export.events import PushFinished
from neuroal.models.cache import data_path
from neuroal.runs.spec import RunSpec
from tests.export.hub import FakeHub
from tests.runs.helpers import started

TOKEN = "hf_secret"
COMMIT = "POST /api/models/someone/a-name/commit/"


def test_a_checkpoint_arrives_private_and_whole(hub: FakeHub, source: Source) -> None:
    events = iter_push(source, "someone/a-name", token=TOKEN)
    told = []
    try:
        while True:
            told.append(next(events))
    except StopIteration as end:
        pushed = end.value
    known = hub.repositories["someone/a-name"]
    assert known["private"] is True and pushed.private is True
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json", "allocation.json"} <= set(known["files"])
    assert isinstance(told[-1], PushFinished) and told[-1].url.endswith("/someone/a-name")
    assert TOKEN not in json.dumps([event.to_dict() for event in told])
    assert list((data_path() / "exports").iterdir()) == []


def test_a_name_alone_is_an_own_repository_and_it_may_be_public(hub: FakeHub, source: Source) -> None:
    assert push(source, "a-name", token=TOKEN, private=False).repo_id == "someone/a-name"
    assert hub.repositories["someone/a-name"]["private"] is False


def test_one_that_is_there_is_written_to_and_stays_as_it_is(hub: FakeHub, source: Source) -> None:
    hub.repositories["someone/a-name"] = {"private": False, "files": {"notes.txt": b"mine"}}
    assert push(source, "someone/a-name", token=TOKEN).private is False
    assert "POST /api/repos/create" not in hub.asked
    assert hub.repositories["someone/a-name"]["files"]["notes.txt"] == b"mine"


def test_the_token_that_is_kept_here_is_used_where_none_is_given(
    hub: FakeHub, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="needs a Hugging Face token"):
        iter_push(source, "someone/a-name")
    Path(huggingface_hub.constants.HF_TOKEN_PATH).write_text(TOKEN)
    push(source, "someone/a-name")
    assert "someone/a-name" in hub.repositories


@pytest.mark.parametrize("name", ["", "a/b/c", "../up", "a name", "/a", "a/", "ä/b", "x" * 200])
def test_names_that_cannot_be(name: str, hub: FakeHub, source: Source) -> None:
    with pytest.raises(UserError, match="is not a name for a repository"):
        push(source, name, token=TOKEN)
    assert not hub.repositories


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "token was not accepted"),
        (403, "may not write to someone/a-name"),
        (404, "no owner for someone/a-name"),
        (409, "made or changed by someone else"),
        (413, "storage is full"),
        (429, "limits how often"),
        (500, r"problem of its own \(error 500\)"),
    ],
)
@pytest.mark.parametrize("at", ["POST /api/repos/create", COMMIT])
def test_every_refusal_is_a_sentence_and_nothing_is_left(
    at: str, status: int, sentence: str, hub: FakeHub, source: Source, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    hub.fail[at] = status
    with caplog.at_level(logging.DEBUG, logger="neuroal"), pytest.raises(UserError, match=sentence) as refused:
        push(source, "someone/a-name", token=TOKEN)
    assert "someone/a-name" not in hub.repositories
    assert TOKEN not in str(refused.value) + caplog.text
    assert list((data_path() / "exports").iterdir()) == []


def test_without_a_hub_nothing_is_made(hub: FakeHub, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="cannot be reached from here"):
        iter_push(source, "someone/a-name", token=TOKEN)
    assert hub.asked == []


def test_a_lost_connection_is_a_sentence(hub: FakeHub, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    hub.fail[COMMIT] = hub.http.ConnectError("no route to host")
    with pytest.raises(UserError, match="stopped answering while someone/a-name was uploaded"):
        push(source, "someone/a-name", token=TOKEN)
    assert "someone/a-name" not in hub.repositories


def test_one_that_was_there_is_not_removed_when_it_fails(hub: FakeHub, source: Source) -> None:
    hub.repositories["someone/a-name"] = {"private": True, "files": {}}
    hub.fail[COMMIT] = 403
    with pytest.raises(UserError, match="may not write"):
        push(source, "someone/a-name", token=TOKEN)
    assert "someone/a-name" in hub.repositories and not any("/api/repos/delete" in asked for asked in hub.asked)


def test_one_that_someone_else_makes_meanwhile_is_not_removed(hub: FakeHub, source: Source) -> None:
    hub.fail["POST /api/repos/create"] = 409
    with pytest.raises(UserError, match="made or changed by someone else"):
        push(source, "someone/a-name", token=TOKEN)
    assert not any("/api/repos/delete" in asked for asked in hub.asked)


def test_cancelling_removes_what_was_begun(hub: FakeHub, source: Source) -> None:
    generator = iter_push(source, "someone/a-name", token=TOKEN)
    for event in generator:
        if getattr(event, "stage", "") == "upload" and "someone/a-name" in hub.repositories:
            break
    generator.close()
    assert "someone/a-name" not in hub.repositories
    assert list((data_path() / "exports").iterdir()) == []


def test_a_run_on_own_text_is_never_public(hub: FakeHub, source: Source, pruned: Any) -> None:
    spec = RunSpec(model="tiny", source="own", text="My secret diary. " * 50)
    records = [{"n": 1, "t": 0.0, **started(spec).to_dict()}]
    own = of_model(pruned, source.tokenizer, name="tiny", records=records)
    with pytest.raises(UserError, match="only be uploaded to a private repository"):
        push(own, "someone/a-name", token=TOKEN, private=False)
    hub.repositories["someone/a-name"] = {"private": False, "files": {}}
    with pytest.raises(UserError, match="someone/a-name is public"):
        push(own, "someone/a-name", token=TOKEN)
    assert hub.repositories["someone/a-name"]["files"] == {}
    push(own, "someone/other", token=TOKEN)
    files = hub.repositories["someone/other"]["files"]
    assert not any(b"diary" in content for content in files.values())


def test_a_model_that_cannot_be_checked_is_not_uploaded(
    hub: FakeHub, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: Any) -> None:
        raise UserError("It differs.")

    monkeypatch.setattr("neuroal.export.verify.compared", differ)
    with pytest.raises(UserError, match="It differs"):
        push(source, "someone/a-name", token=TOKEN)
    assert not hub.repositories


@pytest.fixture(autouse=True)
def _own_hub(hub: FakeHub) -> Callable[..., Any]:
    """No test here may reach another one."""
    return hub.answer
