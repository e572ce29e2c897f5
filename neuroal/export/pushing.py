"""A checkpoint onto the Hugging Face Hub, in the name of the person whose token is given.

The token is held as long as the upload lasts: it is in no event, no log and no file. A repository that this has made is
removed again where the upload fails or is cancelled; one that was there before is left as it was.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroal.api import drain
from neuroal.background import in_background, mapped
from neuroal.errors import UserError
from neuroal.export.events import ExportStep, PushFinished
from neuroal.export.make import iter_export
from neuroal.export.source import Source
from neuroal.models.cache import data_folder, scratch
from neuroal.models.hub import reachable
from neuroal.models.hub_errors import uploading
from neuroal.runs.events import Event

log = logging.getLogger(__name__)

UPLOADING = "Uploading to the Hugging Face Hub."

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

SIGN_IN = "Uploading needs a Hugging Face token that may write: sign in, paste one, or run: hf auth login"


@dataclass(frozen=True)
class Pushed:
    """Where it is on the Hub."""

    repo_id: str
    url: str
    private: bool


def push(source: Source, repo_id: str, *, token: str | None = None, private: bool = True) -> Pushed:
    """:func:`iter_push`, drained."""
    return drain(iter_push(source, repo_id, token=token, private=private))


def iter_push(
    source: Source, repo_id: str, *, token: str | None = None, private: bool = True
) -> Generator[Event, None, Pushed]:
    """Makes a checkpoint, checks it, and uploads it as one commit.

    Args:
        repo_id: "owner/name", or a name alone for an own repository.
        token: of the person; None for HF_TOKEN or the login of huggingface_hub.
        private: whether only its owner sees a repository that is made for it; one that is there stays as it is.

    Yields:
        the events of the export, ExportStep, and PushFinished as the last one.

    Raises:
        UserError: no token, a name that cannot be, no right to write there, a model on own text that would become
            public, or what went wrong on the way.
    """
    from huggingface_hub import get_token

    repo_id, token = repo_id.strip(), token or get_token()
    if not token:
        raise UserError(SIGN_IN)
    if not NAME.fullmatch(repo_id if "/" in repo_id else f"owner/{repo_id}"):
        raise UserError(f"{repo_id!r} is not a name for a repository; it looks like owner/name.")
    if source.private and not private:
        raise UserError("This run is about someone's own text, so it can only be uploaded to a private repository.")
    if not reachable():
        raise UserError("The Hugging Face Hub cannot be reached from here; check the connection, then try again.")
    return _push(source, repo_id, token, private)


def _push(source: Source, repo_id: str, token: str, private: bool) -> Generator[Event, None, Pushed]:
    from huggingface_hub import HfApi

    started, api = time.perf_counter(), HfApi(token=token)
    with uploading(repo_id):
        owner = api.whoami()["name"]
    repo_id = repo_id if "/" in repo_id else f"{owner}/{repo_id}"
    with scratch(data_folder() / "exports") as aside:
        exported = yield from iter_export(source, "folder", aside / source.title)
        with uploading(repo_id):
            repository = yield from _uploaded(api, repo_id, exported.path, private, source.private)
    yield PushFinished(repo_id, repository.url, repository.private, exported.told.bytes, time.perf_counter() - started)
    return repository


def _uploaded(api: Any, repo_id: str, folder: Path, private: bool, secret: bool) -> Generator[Event, None, Pushed]:
    """Creates the repository where there is none, and uploads; removes again what it has created where that fails."""
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    yield ExportStep("upload", UPLOADING, 0, total)
    begun, exists = False, api.repo_exists(repo_id)  # begun: a repository of ours that holds nothing yet
    if exists:
        private = bool(api.model_info(repo_id).private)
    if secret and not private:
        raise UserError(f"{repo_id} is public, and this run is about someone's own text; name a private repository.")
    try:
        if not exists:
            api.create_repo(repo_id, private=private)
            begun = True
            yield ExportStep("upload", "The repository is made.", 0, total)
        send = in_background("push", lambda *_: api.upload_folder(repo_id=repo_id, folder_path=folder), join=False)
        yield from mapped(send, lambda _: ExportStep("upload", UPLOADING, 0, total))
        begun = False
    finally:
        if begun:
            _removed(api, repo_id)
    return Pushed(repo_id, f"{api.endpoint}/{repo_id}", private)


def _removed(api: Any, repo_id: str) -> None:
    try:
        api.delete_repo(repo_id, missing_ok=True)
    except Exception:  # what went wrong first is what is told
        log.warning("A repository that was begun could not be removed again: %s", repo_id)
