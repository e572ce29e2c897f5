"""What a checkpoint may not ask for: code of another repository, and files outside of its own folder.

Code beside the weights is never run: ``trust_remote_code`` is off everywhere. But libraries follow other pointers in
files that anybody may have written, and not all of them ask first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neuroal.errors import UserError

# Names under which transformers looks for how attention and experts are to be computed: "owner/name" is then a
# repository of compiled code, which the package kernels would fetch and load.
IMPLEMENTATION = "implementation"

ADAPTER = "adapter_config.json"
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def refuse_foreign_code(config: Mapping[str, Any], name: str) -> None:
    """
    Raises:
        UserError: a configuration names compiled code of a repository.
    """
    for setting, value in _settings(config):
        if IMPLEMENTATION in setting and "/" in json.dumps(value):
            raise UserError(
                f"The config.json of {name} wants compiled code of another repository ({setting}), which is never run "
                "here; remove the setting, or choose another model."
            )


def refuse_what_leads_out(folder: Path, name: str) -> None:
    """
    Raises:
        UserError: weights are to come from outside of the folder, or from another model.
    """
    if (folder / ADAPTER).exists():
        raise UserError(
            f"{name} carries an adapter ({ADAPTER}), which names another model to be loaded; merge it into the "
            "weights first, or choose a model without one."
        )
    for index in INDEXES:
        for shard in shards(folder / index):
            if not is_plain(shard):
                raise UserError(
                    f"The weights of {name} are said to be outside of its folder, where they are not looked for; "
                    "download or save the model again."
                )


@contextmanager
def tokenizing() -> Iterator[None]:
    """For a tokenizer at work on somebody's text. Its author chose its patterns, and one that searches without end is
    given up by a panic of Rust: no Exception, so nobody further up expects it.

    Raises:
        UserError: the tokenizer failed.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        raise UserError("The model's tokenizer fails on this text; try another text, or another model.") from error


def shards(index: Path) -> set[str]:
    """The files that an index of weights names; none where there is none, or it makes no sense."""
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return {str(shard) for shard in named}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def is_plain(name: str) -> bool:
    """Whether a name is that of a file in the folder itself, on any system."""
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\:\0")


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Every setting at any depth. Not recursive: what is read may be as deep as it likes."""
    waiting = [config]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Mapping):
            for name, value in found.items():
                yield str(name), value
                waiting.append(value)
        elif isinstance(found, (list, tuple)):
            waiting.extend(found)
