"""What one walk over a dense and a pruned model tells of every linear, in memory and on disk."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from neuroal.errors import UserError
from neuroal.models.cache import put, scratch

# Of the file; another one is walked again.
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Seen:
    """One linear of a run, its inputs, and what its rows are driven by.

    Attributes:
        block, name, path: where it is; the name is that within the block.
        rows, columns: of its weight as [out, in].
        transposed: its module has the weight as [in, out].
        group: its consumer group in the block; the linears of one share their input. None where no pass called it.
        term: of the alignment score; None where no pass called it.
        reader: path of the linear that its rows feed; "" for none.
        dense, pruned: float32 [columns], activation norms of its input; None where no pass called it.
        driver: float64 [rows], for each row what its reader lost; None where that cannot be told by row.
    """

    block: int
    name: str
    path: str
    rows: int
    columns: int
    transposed: bool
    group: int | None = None
    term: float | None = None
    reader: str = ""
    dense: np.ndarray | None = field(default=None, repr=False)
    pruned: np.ndarray | None = field(default=None, repr=False)
    driver: np.ndarray | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """What a link calls it, such as "3.mlp.down_proj"."""
        return f"{self.block}.{self.name}"


_ARRAYS = ("dense", "pruned", "driver")


@dataclass(frozen=True, eq=False)
class Inspected:
    """Every linear of a run, in block then registration order.

    Attributes:
        samples, length: of the calibration sequences that were walked on.
    """

    linears: tuple[Seen, ...]
    samples: int
    length: int

    def at(self, place: str) -> Seen:
        """The linear at a place.

        Raises:
            UserError: there is none.
        """
        for seen in self.linears:
            if seen.place == place:
                return seen
        blocks, first = self.linears[-1].block, self.linears[0].place
        raise UserError(
            f"This model has no linear at {place[:80]!r}; its blocks are 0 to {blocks}, and {first!r} is one."
        )

    def save(self, path: Path) -> None:
        """Writes it aside first, then renames.

        Raises:
            UserError: the data folder cannot be written.
        """
        tensors: dict[str, np.ndarray] = {}
        heads = []
        for seen in self.linears:
            heads.append({f.name: getattr(seen, f.name) for f in dataclasses.fields(Seen) if f.name not in _ARRAYS})
            for name in _ARRAYS:
                if getattr(seen, name) is not None:
                    tensors[_key(seen, name)] = getattr(seen, name)
        about = {"format": FORMAT, "samples": self.samples, "length": self.length, "linears": heads}
        with scratch(path.parent) as aside:
            save_file(tensors, str(aside / path.name), metadata={"about": json.dumps(about)})
            put(aside / path.name, path)

    @classmethod
    def load(cls, path: Path) -> Inspected | None:
        """The inverse; None where there is nothing that can be read."""
        try:
            with safe_open(str(path), "np") as stored:
                about = json.loads(stored.metadata()["about"])
                if about["format"] != FORMAT:
                    return None
                names = set(stored.keys())
                tensors = {name: stored.get_tensor(name) for name in names}
                return cls(tuple(_read(h, tensors) for h in about["linears"]), about["samples"], about["length"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            return None


def _read(head: dict[str, object], tensors: dict[str, np.ndarray]) -> Seen:
    bare = Seen(**head)
    return dataclasses.replace(bare, **{name: tensors.get(_key(bare, name)) for name in _ARRAYS})


def _key(seen: Seen, name: str) -> str:
    """Where an array is in the file: norms once for all linears of a group."""
    return f"{seen.path}.{name}" if name == "driver" else f"{seen.block}.{seen.group}.{name}"
