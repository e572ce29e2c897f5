"""What a base pruner is: an importance metric, and what it must see of a linear's input to compute it.

A new pruner is one file here with a registered class of at most two methods: ``metric``, and ``prune`` where zeroing
the least important weights is not all there is to it. Pruner files import torch for types only, so that the page can
list them before torch is there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from neuroal.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from neuroal.masks import Asked
    from neuroal.options import Options


class Pruner(ABC):
    """Base of all pruners. One object serves one allocation or one pruning.

    Attributes:
        name, label: for settings and for people.
        summary: what it prunes first, for the table of methods; with its paper.
        needs_data: False when the metric does not look at activations.
        needs_gram: True when it needs all products of two inputs, not their norms alone.
        row_by_row: True when the metric of a row depends on no other row of the weight. Threads then ask for some rows
            each, so it must start no threads of its own: sums, products and such of torch do not, roots of MKL do.
        moves_weights: True when kept weights are changed too, so that no metric alone ranks them.
        gathering, selecting: what it costs, for the estimate: passes through a block that gathering its statistics
            amounts to, and tokens in such a pass that pruning one block amounts to (measured on SmolLM2).
        refits: True when it solves for the kept weights itself; refitting then only goes group by group, on more text.
        options: of the allocation.
        notices: what went less well than asked, one sentence each; read and emptied by whoever prunes.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str]
    needs_data: ClassVar[bool] = True
    needs_gram: ClassVar[bool] = False
    row_by_row: ClassVar[bool] = False
    moves_weights: ClassVar[bool] = False
    refits: ClassVar[bool] = False
    gathering: ClassVar[float] = 0.0
    selecting: ClassVar[int] = 50
    rank: ClassVar[int] = 100

    def __init__(self, options: Options | None = None) -> None:
        from neuroal.options import Options

        self.options = options or Options()
        self.notices: list[str] = []

    def statistics(self) -> Any:
        """A new object that gathers the input of a linear before it is pruned; it offers ``norm``, and ``gram``."""
        from neuroal.statistics import Gathered, Gram

        return Gathered(Gram(), self.norms()) if self.needs_gram else self.norms()

    def norms(self) -> Any:
        """A new object that gathers the norms alone, which the alignment score compares."""
        from neuroal.statistics import InputNorm

        return InputNorm()

    @abstractmethod
    def metric(self, weight: Tensor, statistics: Any) -> Tensor:
        """Importance of each weight, float32 [out, in]; the smallest are pruned.

        Args:
            weight: [out, in], any float dtype.
            statistics: of the linear's input; None only when ``needs_data`` is False.
        """

    def prune(self, weight: Tensor, statistics: Any, sparsity: float | np.ndarray, of: int | None = None) -> Tensor:
        """The pruned weight, [out, in], as a new tensor.

        Args:
            sparsity: one ratio for all rows, or a float64 vector with one per row (masks.py says how each rounds).
            of: M of an N:M pattern, or None.
        """
        from neuroal.masks import pruned

        return pruned([self.asked(weight, statistics, sparsity)], of)[0]

    def asked(self, weight: Tensor, statistics: Any, sparsity: float | np.ndarray) -> Asked:
        """What :func:`neuroal.masks.pruned` takes to prune this weight by the metric."""
        if self.row_by_row:
            return weight, lambda rows: self.metric(weight[rows], statistics), sparsity
        return weight, self.metric(weight, statistics).__getitem__, sparsity

    def prune_together(
        self,
        weights: Sequence[Tensor],
        statistics: Any,
        sparsities: Sequence[float | np.ndarray],
        of: int | None = None,
    ) -> list[Tensor]:
        """:meth:`prune` for linears that share their input; at once where a pruner gains from that."""
        pairs = zip(weights, sparsities, strict=True)
        return [self.prune(weight, statistics, sparsity, of) for weight, sparsity in pairs]


PRUNERS: Registry[type[Pruner]] = Registry("Pruner")
