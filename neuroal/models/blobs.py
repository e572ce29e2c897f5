"""What the Hub's cache holds, checked against its names: a file there is called by the hash of what it should be.

huggingface_hub compares sizes only. A file that was damaged on its way, or on the disk since, is found here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

PIECE = 2**20


def damaged(snapshot: Path) -> list[Path]:
    """The files of a snapshot whose content is not what the Hub has. Reads all of it: 2 s for each GB.

    Where the cache can have no links, and so no hashes for names, nothing can be told and nothing is.
    """
    return [file for file in sorted(snapshot.rglob("*")) if file.is_file() and not _is_sound(file)]


def discard_damaged(snapshot: Path) -> int:
    """Removes them, so that they are fetched again; returns how many they were that could be removed."""
    removed = 0
    for file in damaged(snapshot):
        logger.warning("%s in the Hub's cache is damaged and is removed", file.name)
        with suppress(OSError):
            file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)
            removed += 1
    return removed


def digests(folder: Path) -> dict[str, str]:
    """sha256 of each file in a folder, to be noted beside them."""
    return {file.name: sha256(file) for file in sorted(folder.iterdir())}


def is_intact(note: Path) -> bool:
    """Whether the files beside a note are what its ``files`` say; reads all of them.

    Args:
        note: a JSON file. One without ``files`` was written before they were noted.
    """
    try:
        noted = json.loads(note.read_text(encoding="utf-8")).get("files", {})
        return all(sha256(note.with_name(name)) == digest for name, digest in noted.items())
    except (OSError, ValueError, AttributeError):
        return False


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal digits."""
    return _hash(path, hashlib.sha256())


def _is_sound(file: Path) -> bool:
    """Whether a file has the content that its blob is named after: sha256 of large files, git's hash of small ones."""
    blob = file.resolve()
    if blob == file or not _is_hexadecimal(blob.name):
        return True
    try:
        if len(blob.name) == 64:
            return sha256(blob) == blob.name
        if len(blob.name) == 40:
            return _hash(blob, hashlib.sha1(f"blob {blob.stat().st_size}\0".encode())) == blob.name
    except OSError:
        return False
    return True


def _hash(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _is_hexadecimal(name: str) -> bool:
    return all(letter in "0123456789abcdef" for letter in name)
