"""The zip file of a bundle, written, and read as something that anybody may have made.

What is read is limited in size whatever its headers say, and checked record by record; nothing of it is ever written to
disk under a name of its own.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from neuroal.errors import UserError
from neuroal.runs.events import Event
from neuroal.sharing.shapes import fits, well_formed

Record = dict[str, Any]

FORMAT = 1

# Bytes of one file of a bundle, at most; a log of SmolLM2 has about 300,000.
MOST_READ = 60_000_000

# Letters of a record, a line of a log, and records of one; the longest of ours has 8,000, and the most are of an exact
# search on a hundred blocks, 6,000. In memory they take ten times as much.
MOST_LETTERS, MOST_RECORDS = 4_000_000, 200_000

# Files of a bundle, each an entry of a directory that is read before anything can be said; a sweep has 500 and a few.
MOST_FILES, ENTRY = 5_000, b"PK\x01\x02"

# Other ways to pack can be unpacked only as a whole: a megabyte of them may be a terabyte.
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# What a bundle can hold, and where it is opened.
KINDS = {"run": "under Prune", "sweep": "under Trade-offs"}

NOT_ONE = "This file is not a bundle of a {kind}; choose a .zip that this app has made."
OWN_TEXT = "A run on someone's own text stays with its owner; ask the question with another text to share it."

_BROKEN = (
    zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, RuntimeError, EOFError, RecursionError,
    zlib.error,
)  # fmt: skip


def write_archive(target: Path | IO[bytes], files: Mapping[str, str | bytes]) -> None:
    """A zip of these files, in this order; the same ones give the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


def as_lines(records: list[Record]) -> str:
    """A log as text, a record a line."""
    return "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)


def picture_note(charts: Mapping[str, str | bytes]) -> str:
    """What the README of a bundle says where charts are not there as pictures."""
    if any(name.endswith(".png") for name in charts) or not charts:
        return ""
    return (
        "\nThere are no PNGs of the charts in here, because no browser was there to draw them: download the bundle on"
        "\nthe app's page, or open a chart and use its camera.\n"
    )


class Archive:
    """A bundle that is being read.

    Args:
        kind: of what is wanted in it, one of KINDS.
        most: bytes that are read of it in all.
    """

    def __init__(self, packed: zipfile.ZipFile, kind: str, most: int) -> None:
        self.packed, self.kind, self.left = packed, kind, most

    def about(self) -> dict[str, Any]:
        """What the bundle says of itself.

        Raises:
            UserError: it is of something else, or of another version.
        """
        for other in KINDS.keys() - {self.kind}:
            if f"{other}.json" in self.names() and f"{self.kind}.json" not in self.names():
                raise UserError(f"This is the bundle of a {other}; open it {KINDS[other]}.")
        about = json.loads(self.text(f"{self.kind}.json"))
        if not isinstance(about, dict) or about.get("kind") != self.kind:
            raise UserError(NOT_ONE.format(kind=self.kind))
        if about.get("format") != FORMAT:
            raise UserError("This bundle is of another version of the app; update this one, or make the bundle again.")
        return about

    def names(self) -> set[str]:
        """Of its files."""
        return set(self.packed.namelist())

    def text(self, name: str) -> str:
        """A file of the archive, never more of it than is allowed."""
        most = min(MOST_READ, self.left)
        if self.packed.getinfo(name).compress_type not in PACKINGS:
            raise UserError(NOT_ONE.format(kind=self.kind))
        with self.packed.open(name) as file:
            text = file.read(most + 1)
        if len(text) > most:
            size = f"{MOST_READ // 1_000_000} MB" if most == MOST_READ else "what is allowed in all"
            raise UserError(f"{name} in this bundle is larger than {size}; what this app has made is not.")
        self.left -= len(text)
        return text.decode("utf-8")


@contextmanager
def opened(source: Path | IO[bytes], kind: str, most_packed: int, most: int = MOST_READ) -> Iterator[Archive]:
    """A bundle to be read.

    Args:
        most_packed: bytes of the file, where it is one; ``most``: of what is read of it.

    Raises:
        UserError: not a bundle, or too large; also for whatever goes wrong while it is read.
    """
    try:
        if isinstance(source, Path) and source.stat().st_size > most_packed:
            raise UserError(f"This bundle is larger than {most_packed // 1_000_000} MB; a bundle of one {kind} is not.")
        if _entries(source) > MOST_FILES:
            raise UserError(NOT_ONE.format(kind=kind))
        with zipfile.ZipFile(source) as packed:
            yield Archive(packed, kind, most)
    except UserError:
        raise
    except _BROKEN as error:
        raise UserError(NOT_ONE.format(kind=kind)) from error


def _entries(source: Path | IO[bytes]) -> int:
    """At least the entries of the archive's directory, counted without reading it: each begins with the same bytes."""
    with open(source, "rb") if isinstance(source, Path) else nullcontext(source) as file:
        file.seek(0)
        found, tail = 0, b""
        while part := file.read(2**20):
            found += (tail + part).count(ENTRY)
            tail = part[1 - len(ENTRY) :]
        file.seek(0)
    return found


def checked(text: str, where: str = "the log") -> list[Record]:
    """The records of a log, each of them an event that this version knows, numbered upwards.

    Raises:
        UserError: one is not; ``where`` says in which log.
    """
    records: list[Record] = []
    for number, line in enumerate(text.splitlines(), 1):
        place = f"Line {number} of {where} in this bundle"
        if len(line) > MOST_LETTERS or number > MOST_RECORDS:
            raise UserError(f"{place} is more than any run has to say; make the bundle again.")
        try:
            record = json.loads(line)
            event = Event.from_dict(record)
            n, t = record["n"], record["t"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{place} is no event; make the bundle again.") from error
        if not (fits(n, int) and fits(t, float) and well_formed(event)):
            raise UserError(f"{place} is no event; make the bundle again.")
        if n <= (records[-1]["n"] if records else 0):
            raise UserError(f"{place} is out of order; make the bundle again.")
        records.append({"n": n, "t": t, **json.loads(json.dumps(event.to_dict()))})
    return records
