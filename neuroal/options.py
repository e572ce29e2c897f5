"""Options of the public face: keyword arguments with the reference's defaults, checked by name and by range."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import Any

from neuroal.runs.spec import RunSpec


@dataclass(frozen=True)
class Options:
    """Options of the top-ups.

    Attributes:
        lambdas: own grid for the search; None for the reference's.
        gqa: "fold" (k and v rows take the mean over their query heads) or "base" (q, k, v of a grouped-query model are
            never varied by row: the reference's rule for Mistral).
    """

    lambdas: tuple[float, ...] | None = None
    gqa: str = "fold"

    @classmethod
    def parse(cls, given: dict[str, Any]) -> Options:
        """Options from keyword arguments.

        Raises:
            TypeError: an option is unknown; the near miss is named.
            ValueError: a value is out of range; the range is named.
        """
        names = [f.name for f in dataclasses.fields(cls)]
        for name in given:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}."
                raise TypeError(f"Option {name!r} is not known: {hint}")
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        checked = RunSpec(**values)  # one place knows the ranges
        return cls(**{name: getattr(checked, name) for name in names})
