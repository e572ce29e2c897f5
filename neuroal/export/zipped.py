"""The checkpoint in one zip file, written and read again as a stream."""

from __future__ import annotations

import zipfile
from collections.abc import Generator
from pathlib import Path

from neuroal.errors import UserError
from neuroal.export.events import ExportStep
from neuroal.export.streams import READ, Hashed, pieces

# zeros are packed well by any level; this one is the fastest
LEVEL = 1

PACKING = "Packing the checkpoint into one file."


def iter_zip(folder: Path, target: Path) -> Generator[ExportStep, None, str]:
    """Writes the zip of a checkpoint's folder, inside it below the folder's name to be; returns its SHA-256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total, done = sum(path.stat().st_size for path in files), 0
    with target.open("wb") as out:
        hashed = Hashed(out)
        with zipfile.ZipFile(hashed, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as packed:
            for path in files:
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry._compresslevel = LEVEL
                entry.external_attr = 0o644 << 16
                with packed.open(entry, "w", force_zip64=True) as member:
                    for piece in pieces(path):
                        member.write(piece)
                        done += len(piece)
                        yield ExportStep("pack", PACKING, done, total)
    return hashed.sha256


def iter_check(path: Path, folder: Path) -> Generator[ExportStep, None, int]:
    """Reads the zip again and compares it with the folder that it was made of; returns the number of files.

    Raises:
        UserError: they differ.
    """
    with zipfile.ZipFile(path) as packed:
        entries = packed.infolist()
        total, done = sum(entry.file_size for entry in entries), 0
        for entry in entries:
            with packed.open(entry) as member, (folder / entry.filename).open("rb") as plain:
                while piece := member.read(READ):
                    if piece != plain.read(len(piece)):
                        raise UserError("The zip file could not be read back, so it is not offered; try again.")
                    done += len(piece)
                    yield ExportStep("check", "Reading the packed file again.", done, total)
                if plain.read(1):
                    raise UserError("The zip file could not be read back, so it is not offered; try again.")
    return len(entries)
