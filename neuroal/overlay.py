"""Pruned weights on disk, laid over the weights that accelerate keeps elsewhere."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from neuroal.errors import UserError
from neuroal.models.cache import data_folder, scratch


class Overlay(Mapping):
    """Weights by name: those put here, from files of its own; all others from ``base``, which is never written to.

    The files are in the data folder, and are removed when the last model that uses this object is gone.
    """

    def __init__(self, base: Mapping[str, Tensor]) -> None:
        self.base = base
        self._own: dict[str, Path] = {}
        self._folder: Path | None = None

    def put(self, name: str, weight: Tensor) -> None:
        """Keeps ``weight`` under ``name``; whoever reads it meanwhile has the old one or the new one, whole.

        Raises:
            UserError: it cannot be written.
        """
        file = self._own_folder() / f"{name}.safetensors"
        try:
            save_file({"weight": weight.detach().cpu().contiguous()}, f"{file}.new")
            os.replace(f"{file}.new", file)
        except (OSError, SafetensorError) as error:
            raise UserError(
                "The pruned weights cannot be written; make room in the data folder, or set NEUROAL_DATA to one that "
                "has more."
            ) from error
        self._own[name] = file

    def _own_folder(self) -> Path:
        """Made when it is first needed; gone with this object, or with the process."""
        if self._folder is None:
            aside = ExitStack()
            self._folder = aside.enter_context(scratch(data_folder() / "offload"))
            weakref.finalize(self, aside.close)
        return self._folder

    def __getitem__(self, name: str) -> Tensor:
        file = self._own.get(name)
        if file is None:
            return self.base[name]
        try:
            return load_file(file)["weight"]
        except (OSError, SafetensorError) as error:
            raise UserError("The pruned weights of this model are gone from the data folder; prune again.") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.base)

    def __len__(self) -> int:
        return len(self.base)

    def __deepcopy__(self, _: dict[int, Any]) -> Overlay:
        """What is put into a copy stays with the copy."""
        return Overlay(self)
