"""The files of a checkpoint: which ones are its weights, and whether they are all there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from neuroal.errors import UserError
from neuroal.models.containment import is_plain, shards

# In transformers' order of preference, which must be ours: it decides by itself which of them it reads.
WEIGHTS = (("model.safetensors", ".safetensors"), ("pytorch_model.bin", ".bin"))
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
)


class Unreadable(UserError):
    """Files of a checkpoint are damaged or incomplete; another copy of them may be readable."""


def weight_files(names: Iterable[str], repo_id: str) -> list[str]:
    """The weight files to take: safetensors first, one file before shards.

    Raises:
        UserError: there is neither safetensors nor ``pytorch_model.bin``.
    """
    present = set(names)
    for single, suffix in WEIGHTS:
        if single in present:
            return [single]
        if f"{single}.index.json" in present:
            stem = single.removesuffix(suffix)
            return sorted(n for n in present if n.startswith(f"{stem}-") and n.endswith(suffix))
    raise UserError(
        f"{repo_id} holds no weights that can be read here (model.safetensors or pytorch_model.bin); "
        "choose a repository of the original model rather than a converted one."
    )


def is_complete(folder: Path) -> bool:
    """Whether a checkpoint's folder holds its configuration, a tokenizer and every weight file."""
    if not (folder / "config.json").is_file() or not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return False
    for single, _ in WEIGHTS:
        if (folder / single).is_file():
            return True
        if (folder / f"{single}.index.json").is_file():
            named = shards(folder / f"{single}.index.json")
            return bool(named) and all(is_plain(shard) and (folder / shard).is_file() for shard in named)
    return False
