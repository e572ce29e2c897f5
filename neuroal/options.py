"""Options of the public face: keyword arguments with the reference's defaults, checked by name and by range."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from neuroal.runs.spec import RunSpec


class OptionValues(TypedDict, total=False):
    """What :class:`Options` may be made from, for editors and type checkers."""

    lambdas: Sequence[float] | None
    gqa: str
    pattern: str | None
    exclude: Sequence[str]
    block_sparsity: Sequence[float] | None
    owl_m: float
    owl_lambda: float
    alpha_epsilon: float
    dsnot_cycles: int
    dsnot_threshold: float
    renormalise: bool
    exact_budget: bool
    exact_statistics: bool
    reconstruct: bool
    continuations: int


@dataclass(frozen=True)
class Options:
    """What an allocation can be told beside pruner, top-up, step and sparsity.

    Attributes:
        lambdas: own grid for the search; None for the reference's.
        gqa: "fold" (k and v rows take the mean over their query heads) or "base" (q, k, v of a grouped-query model are
            never varied by row: the reference's rule for Mistral).
        pattern: "N:M", keeping N of every M weights; it decides the sparsity. None for unstructured.
        exclude: globs of linears or blocks that stay dense.
        block_sparsity: for the top-up "custom", one ratio per block.
        owl_m, owl_lambda: OWL's outlier factor and the half-width of its range.
        alpha_epsilon: AlphaPruning's range, 1 - epsilon to 1 + epsilon before it is scaled to the target.
        dsnot_cycles, dsnot_threshold: DSnoT's most swaps a row, and the error below which a row is left alone.
        renormalise: restore the mean where ratios were clipped (the reference leaves it).
        exact_budget: make the counts add up to the target, to the weight (the reference truncates each).
        exact_statistics: for SparseGPT plain means in its norms and a factor in float64; for DSnoT the variance over
            all tokens (the reference lets early sequences dominate, has float32, and leaves what differs between
            sequences out).
        reconstruct: after masking, kept weights are refitted to the outputs on the calibration inputs.
        continuations: for the refit, sequences that the dense model writes on from each calibration sequence.
    """

    lambdas: tuple[float, ...] | None = None
    gqa: str = "fold"
    pattern: str | None = None
    exclude: tuple[str, ...] = ()
    block_sparsity: tuple[float, ...] | None = None
    owl_m: float = 5.0
    owl_lambda: float = 0.08
    alpha_epsilon: float = 0.3
    dsnot_cycles: int = 50
    dsnot_threshold: float = 0.1
    renormalise: bool = False
    exact_budget: bool = False
    exact_statistics: bool = False
    reconstruct: bool = False
    continuations: int = 3

    @classmethod
    def of(cls, spec: RunSpec) -> Options:
        """Those of a spec."""
        return cls(**{name: getattr(spec, name) for name in cls.names()})

    @classmethod
    def names(cls) -> list[str]:
        """Every option's name."""
        return [f.name for f in dataclasses.fields(cls)]

    @classmethod
    def parse(cls, given: dict[str, Any], top_up: str = "neuroal") -> Options:
        """Options from keyword arguments; those that only another top-up looks at keep their defaults.

        Raises:
            TypeError: an option is unknown; the near miss is named.
            ValueError: a value is out of range; the range is named.
        """
        from neuroal.runs.spec import RunSpec  # one place knows the ranges

        names = cls.names()
        for name in given:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}."
                raise TypeError(f"Option {name!r} is not known: {hint}")
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        return cls.of(RunSpec(**values, top_up=top_up))
