"""A bundle: one zip file that holds a run, to be read by people, by programs, and by any instance of the app.

    run.json        format, spec and key      events.jsonl   the whole log, a record a line
    figures.json    every figure with its config card        *.csv          the same as tables
    reproduce.py    asks the same question again             charts/*.html  every chart, interactive, without network

Only the first two are read again. What is read was made by somebody: it is limited in size and checked record by
record, no file of it is ever written to disk, and no run that came in a bundle is an answer to anyone else's question.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from neuroal.errors import UserError
from neuroal.runs.events import Event, RunStarted
from neuroal.runs.log import ENDED, last_status
from neuroal.runs.spec import RunSpec
from neuroal.sharing.shapes import fits, well_formed
from neuroal.sharing.tables import config_cards, tables

Record = dict[str, Any]

FORMAT = 1

# Bytes of a bundle as it comes, and of what is read from it; a log of SmolLM2 has about 300,000.
MOST_PACKED, MOST_READ = 20_000_000, 60_000_000

OWN_TEXT = "A run on someone's own text stays with its owner; ask the question with another text to share it."
NOT_ONE = "This file is not a bundle of a run; choose a .zip that this app has made."

_SCRIPT = '''"""Asks the question of this bundle again: run it in the folder of NeuroAL Explorer's repository."""

import json

import neuroal

SPEC = json.loads(r"""{spec}""")

for event in neuroal.run(neuroal.RunSpec.from_dict(SPEC)):
    print(event)
'''


@dataclass(frozen=True)
class Bundle:
    """What is read from one: the question and the log."""

    spec: RunSpec
    records: list[Record]


def write_bundle(target: Path | IO[bytes], records: Iterable[Record], charts: Mapping[str, str] | None = None) -> None:
    """Writes the bundle of a run.

    Args:
        target: path or binary file.
        records: its log.
        charts: files of the folder charts, by name.

    Raises:
        UserError: the run is not over, or it is about someone's own text, which stays with its owner.
    """
    records = list(records)
    started = _started(records)
    if started is None or last_status(records) not in ENDED:
        raise UserError("This run is not over yet; a bundle can be made once it is.")
    if "own" in (started["spec"].get("source"), started["spec"].get("eval_source")):
        raise UserError(OWN_TEXT)
    about = {"format": FORMAT, "kind": "run", "spec": started["spec"], "key": started["key"]}
    files = {
        "run.json": json.dumps(about, indent=1),
        "events.jsonl": "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records),
        "figures.json": config_cards(records),
        "reproduce.py": _SCRIPT.format(spec=json.dumps(started["spec"], indent=1)),
        **tables(records),
        **{f"charts/{name}": text for name, text in (charts or {}).items()},
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)


def read_bundle(source: Path | IO[bytes]) -> Bundle:
    """The inverse, of what anybody may have made.

    Raises:
        UserError: not a bundle, of a later version, too large, or a log that makes no sense.
    """
    try:
        if isinstance(source, Path) and source.stat().st_size > MOST_PACKED:
            raise UserError(f"This bundle is larger than {MOST_PACKED // 1_000_000} MB; a bundle of one run is not.")
        with zipfile.ZipFile(source) as packed:
            about = json.loads(_read(packed, "run.json"))
            lines = _read(packed, "events.jsonl").splitlines()
    except UserError:
        raise
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(NOT_ONE) from error
    if not isinstance(about, dict) or about.get("kind") != "run":
        raise UserError(NOT_ONE)
    if about.get("format") != FORMAT:
        raise UserError("This bundle is of another version of the app; update this one, or make the bundle again.")
    return Bundle(*_checked(lines))


def _read(packed: zipfile.ZipFile, name: str) -> str:
    """A file of the archive, never more of it than is allowed, whatever its header says."""
    with packed.open(name) as file:
        text = file.read(MOST_READ + 1)
    if len(text) > MOST_READ:
        raise UserError(f"{name} in this bundle is larger than {MOST_READ // 1_000_000} MB; a log of one run is not.")
    return text.decode("utf-8")


def _checked(lines: list[str]) -> tuple[RunSpec, list[Record]]:
    """The question and the records, each of them an event that this version knows, numbered upwards."""
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            event = Event.from_dict(record)
            n, t = record["n"], record["t"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"Line {number} of the log in this bundle is no event; make the bundle again.") from error
        if not (fits(n, int) and fits(t, float) and well_formed(event)):
            raise UserError(f"Line {number} of the log in this bundle is no event; make the bundle again.")
        if n <= (records[-1]["n"] if records else 0):
            raise UserError(f"Line {number} of the log in this bundle is out of order; make the bundle again.")
        records.append({"n": n, "t": t, **json.loads(json.dumps(event.to_dict()))})
    started = _started(records)
    if started is None or last_status(records) not in ENDED:
        raise UserError("The log in this bundle is not that of a run that is over.")
    spec = RunSpec.from_dict(started["spec"])
    if spec.private:
        raise UserError(OWN_TEXT)
    return spec, records


def _started(records: list[Record]) -> Record | None:
    return next((r for r in records if r["kind"] == RunStarted.__name__), None)
