"""A bundle: one zip file that holds a run, to be read by people, by programs, and by any instance of the app.

    run.json        format, spec and key      events.jsonl   the whole log, a record a line
    README.txt      what is in here
    figures.json    every figure with its config card        *.csv          the same as tables
    reproduce.py    asks the same question again             charts/*       every chart: .html without network, .png

Only run.json and events.jsonl are read again, with the care that ``archive.py`` takes, and no run that came in a bundle
is an answer to anyone else's question.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from neuroal.errors import UserError
from neuroal.runs.events import RunStarted
from neuroal.runs.log import ENDED, last_status
from neuroal.runs.spec import RunSpec
from neuroal.sharing.archive import FORMAT, OWN_TEXT, Record, as_lines, checked, opened, picture_note, write_archive
from neuroal.sharing.repeat import script
from neuroal.sharing.tables import config_cards, tables

# Bytes of a bundle as it comes.
MOST_PACKED = 20_000_000

_README = """A run of NeuroAL Explorer.

Open it in any instance of the app: Prune, "Open a bundle". charts/*.html show the charts without the app and without a
network; the .csv files have the figures; reproduce.py asks the question again.
"""


@dataclass(frozen=True)
class Bundle:
    """What is read from one: the question and the log."""

    spec: RunSpec
    records: list[Record]


def write_bundle(
    target: Path | IO[bytes], records: Iterable[Record], charts: Mapping[str, str | bytes] | None = None
) -> None:
    """Writes the bundle of a run.

    Args:
        target: path or binary file.
        records: its log.
        charts: files of the folder charts, by name.

    Raises:
        UserError: the run is not over, or it is about someone's own text, which stays with its owner.
    """
    records = list(records)
    started = started_with(records)
    if started is None or last_status(records) not in ENDED:
        raise UserError("This run is not over yet; a bundle can be made once it is.")
    if "own" in (started["spec"].get("source"), started["spec"].get("eval_source")):
        raise UserError(OWN_TEXT)
    about = {"format": FORMAT, "kind": "run", "spec": started["spec"], "key": started["key"]}
    files: dict[str, str | bytes] = {
        "README.txt": _README + picture_note(charts or {}),
        "run.json": json.dumps(about, indent=1),
        "events.jsonl": as_lines(records),
        "figures.json": config_cards(records),
        "reproduce.py": script(started["spec"]),
        **tables(records),
        **{f"charts/{name}": text for name, text in (charts or {}).items()},
    }
    write_archive(target, files)


def read_bundle(source: Path | IO[bytes]) -> Bundle:
    """The inverse, of what anybody may have made.

    Raises:
        UserError: not a bundle, of a later version, too large, or a log that makes no sense.
    """
    with opened(source, "run", MOST_PACKED) as archive:
        archive.about()
        return checked_run(archive.text("events.jsonl"))


def checked_run(text: str, where: str = "the log") -> Bundle:
    """The question and the log of a run, from the text of the log.

    Raises:
        UserError: it makes no sense, or the run is about someone's own text; ``where`` says in which log.
    """
    records = checked(text, where)
    started = started_with(records)
    if started is None or last_status(records) not in ENDED:
        raise UserError(f"{where[0].upper()}{where[1:]} in this bundle is not that of a run that is over.")
    spec = RunSpec.from_dict(started["spec"])
    if spec.private:
        raise UserError(OWN_TEXT)
    return Bundle(spec, records)


def started_with(records: list[Record]) -> Record | None:
    """The record of the run's start."""
    return next((r for r in records if r["kind"] == RunStarted.__name__), None)
