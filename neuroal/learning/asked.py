"""What a learner's controls say, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuroal.errors import UserError, did_you_mean
from neuroal.pruners import PRUNERS

# Pruners that take milliseconds on the teaching model.
PRUNER_NAMES = ("wanda", "magnitude", "multiflow", "random")

RANGES = {"sparsity": (0.05, 0.95), "lam": (0.0, 0.25), "row_lam": (0.0, 0.25)}


@dataclass(frozen=True)
class Asked:
    """The settings of all controls; a scene looks at those that it needs.

    Attributes:
        pruner: one of PRUNER_NAMES.
        sparsity: fraction of zeros, 0.05 to 0.95.
        lam, row_lam: slopes over the blocks and over the rows, 0 to 0.25.
        block: decoder block, from 0.
        linear: name of a linear within the block.
        row: a row of it.
        ratios: one sparsity ratio per block, for an allocation made by hand; empty to use ``lam``.

    Raises:
        UserError: a value that is not allowed; the sentence says what is.
    """

    pruner: str = "wanda"
    sparsity: float = 0.6
    lam: float = 0.0
    row_lam: float = 0.0
    block: int = 3
    linear: str = ""
    row: int = 0
    ratios: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.pruner not in PRUNER_NAMES:
            labels = {name: PRUNERS.get(name).label for name in PRUNER_NAMES}
            raise UserError(f"Pruner {self.pruner!r} is not in these lessons.{did_you_mean(str(self.pruner), labels)}")
        for name, (low, high) in RANGES.items():
            _check_number(name, getattr(self, name), low, high)
        for name in ("block", "row"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise UserError(f"{name.capitalize()} is {value!r}; it must be a whole number from 0 on.")
        if not isinstance(self.linear, str):
            raise UserError("The linear must be named by a text, such as 'self_attn.o_proj'.")
        for ratio in self.ratios:
            _check_number("A block's sparsity", ratio, 0.0, 0.99)

    @staticmethod
    def parse(given: Mapping[str, Any]) -> Asked:
        """From JSON; what is left out has its default.

        Raises:
            UserError: an unknown setting, or as the class.
        """
        known = [field.name for field in dataclasses.fields(Asked)]
        for name in given:
            if name not in known:
                raise UserError(f"Setting {name!r} is not known.{did_you_mean(str(name), known)}")
        values = dict(given)
        if "ratios" in values:
            if not isinstance(values["ratios"], (list, tuple)):
                raise UserError("The blocks' sparsities must be a list of numbers.")
            values["ratios"] = tuple(values["ratios"])
        return Asked(**values)


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise UserError(f"{name[:1].upper()}{name[1:]} is {value!r}; it must be a number from {low:g} to {high:g}.")
