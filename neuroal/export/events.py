"""The events of an export. None of them holds a path of the server's, a token, or anyone's own text."""

from __future__ import annotations

from dataclasses import dataclass

from neuroal.runs.events import Event


@dataclass(frozen=True)
class ExportStarted(Event):
    """``form``: what is made, see ``neuroal.export.forms``; ``name``: of the file or folder; ``needed``: bytes of disk
    that are needed for it, and were free."""

    form: str
    name: str
    needed: int


@dataclass(frozen=True)
class ExportStep(Event):
    """Progress. ``stage``: "write", "check", "pack", "convert", "unpack" or "upload"; ``message``: a sentence; ``done``
    of ``total`` bytes, 0 of 0 where they are not known."""

    stage: str
    message: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class ExportFinished(Event):
    """It is there and was checked.

    ``bytes``: of the file, or of all files of the folder; ``dense_bytes``: of the safetensors as they are, to compare
    with; ``sha256``: of the file, or of the folder's file SHA256SUMS; ``checked``: a sentence that says what was.
    """

    form: str
    name: str
    bytes: int
    dense_bytes: int
    sha256: str
    checked: str
    seconds: float


@dataclass(frozen=True)
class PushFinished(Event):
    """A repository of the Hub holds it. ``url``: of its page; ``private``: whether only its owner sees it."""

    repo_id: str
    url: str
    private: bool
    bytes: int
    seconds: float
