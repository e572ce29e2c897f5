"""The sparse file: a checkpoint with its zeros as one bit each. Written here, read by ``decoding.py``.

It is a zip file whose members are stored as they are:

    README.txt      what this is and how to decode it
    data/NAME       one member for each file of the checkpoint, in the encoding below
    sparse.json     {"format": 1, "files": [{"name", "bytes", "sha256", "header"}, ...]}, of the files as they were

A file is cut into segments, a segment into chunks of 2^22 entries (the last one shorter), and the chunks follow each
other. A safetensors file has one segment for its header ("header" bytes: the 8 of its length, and its JSON), with
entries of 1 byte, then one for each tensor in the order of its data, with entries of 8, 4, 2 or 1 bytes: the largest of
these that the tensor's bytes by its entries allow. Any other file ("header": 0) is one segment with entries of 1 byte.

A chunk is a byte for its form and two lengths (little-endian uint32), then as many bytes:

    form 0   a: the entries as they are                                          b: nothing
    form 1   a: a zstd frame of the entries                                      b: nothing
    form 2   a: a zstd frame of the mask, one bit per entry, the first highest   b: one of the entries that are not zero

Mask and values are those of ``neuroal/evaluation/encoding.py``: an entry counts as zero where all its bits are. Every
frame tells the size of its content, and the smallest form is taken. The decoded files are the same to the bit, and
their SHA-256 is compared.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from neuroal.evaluation.encoding import LEVEL, compressed, encoded
from neuroal.export.events import ExportStep
from neuroal.export.streams import Hashed

FORMAT = 1
ABOUT, DATA, README = "sparse.json", "data/", "README.txt"
WEIGHTS = ".safetensors"

CHUNK = 2**22
HEAD = struct.Struct("<BII")
RAW, ZSTD, SPARSE = 0, 1, 2

# Up to this share of entries that are not zero, a mask is worth its bits whatever the values are.
FEW = 0.9

# By bytes of an entry.
TYPES = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

MOST_HEADER = 100_000_000

PACKING = "Encoding zeros as single bits, and compressing."

_README = """A pruned language model of NeuroAL Explorer, sparse-encoded: one bit for each weight, then the values that
are not zero, compressed with zstd. To get the checkpoint back, bit for bit, in the folder of NeuroAL Explorer's
repository:

    python -m neuroal decode THIS_FILE --out A_NEW_FOLDER

The encoding is described in neuroal/export/sparse.py.
"""


class Malformed(ValueError):
    """A safetensors header that does not describe its file."""


@dataclass(frozen=True)
class Segment:
    """Entries of one size that follow each other: their number, and the bytes of each."""

    entries: int
    width: int

    def chunks(self) -> Iterator[int]:
        """The number of entries of each chunk."""
        for start in range(0, self.entries, CHUNK):
            yield min(CHUNK, self.entries - start)


def segments(header: bytes, nbytes: int) -> list[Segment]:
    """The segments of a safetensors file after that of its header.

    Args:
        header: with the 8 bytes of its length; ``nbytes``: of the whole file.

    Raises:
        Malformed: it does not describe exactly the rest of the file.
    """
    try:
        described = json.loads(header[8:])
        tensors = [each for name, each in described.items() if name != "__metadata__"]
        found, at = [], 0
        for each in sorted(tensors, key=lambda t: tuple(t["data_offsets"])):
            begin, end = each["data_offsets"]
            if not (isinstance(end, int) and begin == at and end >= begin):
                raise Malformed
            found.append(_segment(each["shape"], end - begin))
            at = end
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed from error
    if len(header) + at != nbytes:
        raise Malformed
    return [each for each in found if each.entries]


def _segment(shape: list[int], nbytes: int) -> Segment:
    entries = 1
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise Malformed
        entries *= size
    width = next((w for w in (8, 4, 2) if entries and nbytes == entries * w), 1)
    return Segment(nbytes // width, width)


def iter_encode(folder: Path, target: Path) -> Generator[ExportStep, None, str]:
    """Writes the sparse file of a checkpoint's folder; returns its SHA-256.

    Args:
        folder: only files directly in it are taken, and those of its folders.
        target: written as it goes, so it is the caller's to rename.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total, done, about = sum(path.stat().st_size for path in files), 0, []
    with target.open("wb") as out:
        hashed = Hashed(out)
        with zipfile.ZipFile(hashed, "w", zipfile.ZIP_STORED, allowZip64=True) as packed:
            packed.writestr(zipfile.ZipInfo(README, (1980, 1, 1, 0, 0, 0)), _README)
            for path in files:
                name = path.relative_to(folder).as_posix()
                entry = zipfile.ZipInfo(DATA + name, (1980, 1, 1, 0, 0, 0))
                with path.open("rb") as plain, packed.open(entry, "w", force_zip64=True) as member:
                    file = _Plain(plain, path.stat().st_size)
                    for nbytes in file.encode(member, path.suffix == WEIGHTS):
                        done += nbytes
                        yield ExportStep("pack", PACKING, done, total)
                about.append(file.about(name))
            listed = json.dumps({"format": FORMAT, "files": about}, indent=1)
            packed.writestr(zipfile.ZipInfo(ABOUT, (1980, 1, 1, 0, 0, 0)), listed)
    return hashed.sha256


class _Plain:
    """A file that is being encoded, read once."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size, self.header = file, size, 0
        self._digest = hashlib.sha256()

    def about(self, name: str) -> dict[str, Any]:
        """What sparse.json says of it."""
        return {"name": name, "bytes": self.size, "sha256": self._digest.hexdigest(), "header": self.header}

    def encode(self, member: IO[bytes], weights: bool) -> Iterator[int]:
        """Writes its chunks; yields the bytes that each stands for."""
        parts = [Segment(self.size, 1)]
        if weights and (header := self._read_header()):
            self.header = len(header)
            for start in range(0, len(header), CHUNK):
                yield self._put(member, header[start : start + CHUNK], 1)
            parts = segments(header, self.size)
        for part in parts:
            for entries in part.chunks():
                content = self.file.read(entries * part.width)
                yield self._put(member, content, part.width)

    def _read_header(self) -> bytes:
        """Empty, with the file at its beginning, where it is not what it should be."""
        length = self.file.read(8)
        size = int.from_bytes(length, "little")
        header = length + self.file.read(size) if len(length) == 8 and size <= min(MOST_HEADER, self.size) else b""
        try:
            segments(header, self.size)
            return header
        except Malformed:
            pass
        self.file.seek(0)
        return b""

    def _put(self, member: IO[bytes], content: bytes, width: int) -> int:
        self._digest.update(content)
        form, a, b = encode_chunk(content, width)
        member.write(HEAD.pack(form, len(a), len(b)))
        member.write(a)
        member.write(b)
        return len(content)


def encode_chunk(content: bytes, width: int, level: int = LEVEL) -> tuple[int, bytes, bytes]:
    """(form, a, b) of the smallest form of some entries of ``width`` bytes."""
    if not content:
        return RAW, b"", b""
    entries = torch.frombuffer(bytearray(content), dtype=TYPES[width])
    forms, code = [(RAW, content, b"")], encoded(entries)
    if len(code.values) < len(entries):
        forms.append((SPARSE, compressed(code.mask, level), compressed(code.values, level)))
    if len(code.values) > FEW * len(entries):
        forms.append((ZSTD, compressed(entries, level), b""))
    return min(forms, key=lambda form: len(form[1]) + len(form[2]))
