"""The sparse file, read as something that anybody may have made: see ``sparse.py`` for what it holds.

Nothing is believed before it is checked: names cannot leave the folder, what is claimed must fit the disk, no piece
takes more memory than a chunk, and a file whose SHA-256 is another one is not kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from neuroal.api import drain
from neuroal.errors import UserError
from neuroal.evaluation.encoding import Encoded, decoded, decompressed
from neuroal.export.events import ExportStep
from neuroal.export.sparse import (
    ABOUT,
    DATA,
    FORMAT,
    HEAD,
    MOST_HEADER,
    RAW,
    SPARSE,
    TYPES,
    ZSTD,
    Malformed,
    Segment,
    segments,
)  # fmt: skip
from neuroal.models.cache import require_space, written_aside

MOST_ABOUT, MOST_FILES, MOST_NAME = 10_000_000, 10_000, 200

# A name, or one folder and a name: letters, digits, and no point in front.
NAME = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*/)?[A-Za-z0-9_][A-Za-z0-9._-]*")

NOT_ONE = "This is not a sparse file of NeuroAL Explorer; choose one that was exported in the form 'sparse'."
DAMAGED = "The sparse file is damaged or cut off ({}); get it again, or export the model again."

UNPACKING = "Decoding, and comparing checksums."

Sink = Callable[[bytes], Any]

_BROKEN = (
    zipfile.BadZipFile,
    KeyError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    RecursionError,
)


@dataclass(frozen=True)
class Stored:
    """A file as it was: its name, bytes, SHA-256, and the bytes of its safetensors header, 0 where it has none."""

    name: str
    bytes: int
    sha256: str
    header: int


def decode(path: str | Path, folder: str | Path) -> Path:
    """:func:`iter_decode`, drained."""
    return drain(iter_decode(path, folder))


def iter_decode(path: str | Path, folder: str | Path) -> Generator[ExportStep, None, Path]:
    """Turns a sparse file back into its checkpoint, bit for bit.

    Args:
        folder: made; it must not exist yet, or be empty.

    Returns:
        the folder.

    Raises:
        UserError: not a sparse file, of a later version, damaged, too large for the disk, or the folder is not empty.
    """
    path, folder = Path(path), Path(folder).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"The folder {folder.name!r} is not empty; name a new one.")
    with opened(path) as packed:
        files = contents(packed)
        require_space(folder, sum(file.bytes for file in files), "Decoding this file")
        with written_aside(folder) as aside:

            def sink(file: Stored) -> IO[bytes]:
                target = aside / file.name
                target.parent.mkdir(exist_ok=True)
                return target.open("xb")

            yield from _read(packed, files, sink)
    return folder


def iter_check(path: Path) -> Generator[ExportStep, None, int]:
    """Decodes without writing anything; returns the number of files.

    Raises:
        UserError: as :func:`iter_decode`.
    """
    with opened(path) as packed:
        files = contents(packed)
        yield from _read(packed, files, lambda _: None)
        return len(files)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip file; whatever is found wrong with it inside the block becomes one sentence."""
    if not path.is_file():
        raise UserError(f"There is no file {path.name!r}; check the spelling.")
    try:
        packed = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise UserError(NOT_ONE) from error
    with packed:
        try:
            yield packed
        except UserError:
            raise
        except _BROKEN as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk, not the file
                raise
            raise UserError(DAMAGED.format("it cannot be read")) from error


def contents(packed: zipfile.ZipFile) -> list[Stored]:
    """What the file says it holds, once it is sure that this is allowed.

    Raises:
        UserError: it is not.
    """
    if ABOUT not in packed.namelist():
        raise UserError(NOT_ONE)
    with packed.open(ABOUT) as file:
        text = file.read(MOST_ABOUT + 1)
    about = json.loads(text) if len(text) <= MOST_ABOUT else None
    if not isinstance(about, dict) or not isinstance(about.get("files"), list):
        raise UserError(NOT_ONE)
    if about.get("format") != FORMAT:
        raise UserError("This sparse file is of another version of NeuroAL Explorer; update it, or export again.")
    files = [_stored(each) for each in about["files"][: MOST_FILES + 1]]
    names = {file.name.casefold() for file in files}
    folders = {file.name.casefold().partition("/")[0] for file in files if "/" in file.name}
    if len(files) > MOST_FILES or len(names) < len(files) or folders & names:
        raise UserError(DAMAGED.format("its list of files makes no sense"))
    return files


def _stored(given: Any) -> Stored:
    try:
        file = Stored(given["name"], given["bytes"], given["sha256"], given["header"])
        numbers = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (file.bytes, file.header))
        sound = numbers and file.header <= min(file.bytes, MOST_HEADER) and len(file.name) <= MOST_NAME
        sound = sound and re.fullmatch(r"[0-9a-f]{64}", file.sha256) is not None
    except (KeyError, TypeError) as error:
        raise UserError(DAMAGED.format("its list of files makes no sense")) from error
    if not sound:
        raise UserError(DAMAGED.format("its list of files makes no sense"))
    if not NAME.fullmatch(file.name):
        raise UserError("The sparse file names files outside its folder, which no export does; do not trust it.")
    return file


def _read(
    packed: zipfile.ZipFile, files: list[Stored], sink: Callable[[Stored], IO[bytes] | None]
) -> Generator[ExportStep, None, None]:
    """Decodes every file into what ``sink`` opens for it."""
    total, done = sum(file.bytes for file in files), 0
    for file in files:
        digest, out = hashlib.sha256(), sink(file)
        try:
            with packed.open(DATA + file.name) as member, closing(decoded_pieces(member, file)) as pieces:
                for piece in pieces:
                    digest.update(piece)
                    if out:
                        out.write(piece)
                    done += len(piece)
                    yield ExportStep("unpack", UNPACKING, done, total)
                if member.read(1):
                    raise UserError(DAMAGED.format(f"{file.name} is longer than it says"))
        finally:
            if out:
                out.close()
        if digest.hexdigest() != file.sha256:
            raise UserError(DAMAGED.format(f"{file.name} has another checksum"))


def decoded_pieces(member: IO[bytes], file: Stored) -> Generator[bytes, None, None]:
    """The content of one file, chunk by chunk.

    Raises:
        UserError: the chunks are not those of a file of this size.
    """
    header = b""
    for entries in Segment(file.header, 1).chunks():
        header += (piece := decode_chunk(member, entries, 1))
        yield piece
    parts = [Segment(file.bytes, 1)]
    if file.header:
        try:
            parts = segments(header, file.bytes)
        except Malformed as error:
            raise UserError(DAMAGED.format(f"the header of {file.name} does not describe it")) from error
    for part in parts:
        for entries in part.chunks():
            yield decode_chunk(member, entries, part.width)


def decode_chunk(member: IO[bytes], entries: int, width: int) -> bytes:
    """The bytes of a chunk of so many entries; never reads or makes more than such a chunk can need.

    Raises:
        UserError: it is not one.
    """
    form, a, b = HEAD.unpack(_exactly(member, HEAD.size))
    nbytes, dtype = entries * width, TYPES[width]
    masked = (entries + 7) // 8
    most = {RAW: (nbytes, 0), ZSTD: (_bound(nbytes), 0), SPARSE: (_bound(masked), _bound(nbytes))}.get(form)
    if most is None or a > most[0] or b > most[1] or (form == RAW and a != nbytes):
        raise UserError(DAMAGED.format("a chunk has lengths that cannot be"))
    first, second = _exactly(member, a), _exactly(member, b)
    if form == RAW:
        return first
    if form == ZSTD:
        return _bytes(decompressed(first, (entries,), dtype))
    mask = decompressed(first, (masked,), torch.uint8)
    kept = int(np.bitwise_count(mask.numpy()).sum())
    if kept > entries:
        raise UserError(DAMAGED.format("a mask is longer than its tensor"))
    return _bytes(decoded(Encoded((entries,), mask, decompressed(second, (kept,), dtype))))


def _bound(nbytes: int) -> int:
    """No zstd frame of so many bytes is longer."""
    return nbytes + nbytes // 128 + 1024


def _bytes(entries: Tensor) -> bytes:
    return entries.numpy().tobytes()


def _exactly(member: IO[bytes], size: int) -> bytes:
    found = member.read(size)
    if len(found) != size:
        raise UserError(DAMAGED.format("it ends too early"))
    return found
