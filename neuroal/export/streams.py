"""Files as streams: hashed while they are written, hashed or copied in pieces, never in memory as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# Bytes at once.
READ = 2**22


class Hashed:
    """A binary file for writing, from its beginning to its end, whose SHA-256 is known afterwards."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.bytes = file, 0
        self._digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        """As a file does."""
        self._digest.update(content)
        self.bytes += len(content)
        return self.file.write(content)

    def flush(self) -> None:
        """As a file does."""
        self.file.flush()

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._digest.hexdigest()


def pieces(path: Path) -> Iterator[bytes]:
    """The content of a file."""
    with path.open("rb") as file:
        while piece := file.read(READ):
            yield piece


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    digest = hashlib.sha256()
    for piece in pieces(path):
        digest.update(piece)
    return digest.hexdigest()
