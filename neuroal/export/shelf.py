"""Exports that a server has made, kept in the data folder until they are fetched: a file and what is told of it.

    exports/RUN/FORM.json    an ExportFinished event as JSON      exports/RUN/NAME    the file

Together they take a bounded number of bytes: the oldest go first.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from neuroal.errors import UserError
from neuroal.export.events import ExportFinished
from neuroal.export.forms import FORMS
from neuroal.models.cache import put, sweep
from neuroal.runs.events import Event

# Bytes of all exports that are kept, but for the newest one, which may be larger.
MOST_BYTES = 10 * 10**9

# Ids of runs, as the store makes them.
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

GONE = "This file was removed to make room for newer ones; make it again."


class Shelf:
    """The exports of all runs in one folder. Several processes may share it: files come and go whole."""

    def __init__(self, folder: Path, most: int = MOST_BYTES) -> None:
        self.folder, self.most = folder, most

    def place(self, run_id: str, name: str) -> Path:
        """Where the file called ``name`` belongs.

        Raises:
            KeyError: no run can have this id.
        """
        return self._of(run_id) / name

    def kept(self, run_id: str) -> dict[str, ExportFinished]:
        """What there is of a run, by form."""
        found = {}
        for form in FORMS:
            told = self._told(self._of(run_id) / f"{form}.json")
            if told is not None and _is_whole(self._of(run_id) / told.name, told.bytes):
                found[form] = told
        return found

    def file(self, run_id: str, form: str) -> tuple[Path, ExportFinished]:
        """A file to be fetched, and what is told of it.

        Raises:
            KeyError: no run can have this id. UserError: it is not there.
        """
        told = self.kept(run_id).get(form)
        if told is None:
            raise UserError(GONE)
        return self._of(run_id) / told.name, told

    def put(self, run_id: str, told: ExportFinished) -> None:
        """Keeps what was made in its place, and makes room."""
        aside = self._of(run_id) / f".{told.form}.json.new"
        aside.write_text(json.dumps(told.to_dict()), encoding="utf-8")
        put(aside, self._of(run_id) / f"{told.form}.json")
        self._make_room((run_id, told.form))

    def remove(self, run_id: str, form: str) -> None:
        """Takes one away, if it is there."""
        path = self._of(run_id) / f"{form}.json"
        told = self._told(path)
        path.unlink(missing_ok=True)
        if told is not None:
            (self._of(run_id) / told.name).unlink(missing_ok=True)

    def forget(self, run_id: str) -> None:
        """Takes away all of a run."""
        if ID.fullmatch(run_id):
            shutil.rmtree(self._of(run_id), ignore_errors=True)

    def _of(self, run_id: str) -> Path:
        if not ID.fullmatch(run_id):
            raise KeyError(run_id)
        return self.folder / run_id

    def _told(self, path: Path) -> ExportFinished | None:
        """None where there is nothing, or nothing that this version can read."""
        try:
            found = Event.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError):  # no file, no JSON, no object
            return None
        sound = isinstance(found, ExportFinished) and Path(found.name).name == found.name
        return found if sound else None

    def _make_room(self, newest: tuple[str, str]) -> None:
        found = []
        for folder in self.folder.iterdir():
            sweep(folder)
        for path in self.folder.glob("*/*.json"):
            told = self._told(path)
            if told is not None and path.stem in FORMS:
                found.append((path.stat().st_mtime, told.bytes, (path.parent.name, path.stem)))
        left = self.most
        for _, nbytes, key in sorted(found, key=lambda each: (each[2] != newest, -each[0])):
            left -= nbytes
            if left < 0 and key != newest:
                self.remove(*key)


def _is_whole(file: Path, nbytes: int) -> bool:
    return file.is_file() and file.stat().st_size == nbytes
