"""What a base pruner is: an importance metric, and what it must see of a linear's input to compute it.

A new pruner is one file here with a registered class of at most two methods: ``metric``, and ``prune`` where zeroing
the least important weights is not all there is to it. Pruner files import torch for types only, so that the page can
list them before torch is there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from neuroal.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from neuroal.statistics import InputNorm


class Pruner(ABC):
    """Base of all pruners; stateless.

    Attributes:
        name, label: for settings and for people.
        needs_data: False when the metric does not look at activations.
        statistics: the class that gathers what the metric needs; it offers ``norm`` in any case, for the search.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    needs_data: ClassVar[bool] = True

    @property
    def statistics(self) -> type[InputNorm]:
        """What is gathered from the input of each linear."""
        from neuroal.statistics import InputNorm

        return InputNorm

    @abstractmethod
    def metric(self, weight: Tensor, statistics: InputNorm | None) -> Tensor:
        """Importance of each weight, float32 [out, in]; the smallest are pruned.

        Args:
            weight: [out, in], any float dtype.
            statistics: of the linear's input; None only when ``needs_data`` is False.
        """

    def prune(self, weight: Tensor, statistics: InputNorm | None, sparsity: float | np.ndarray) -> Tensor:
        """The pruned weight, [out, in], as a new tensor.

        Args:
            sparsity: one ratio for all rows, or a float64 vector with one per row (masks.py says how each rounds).
        """
        from neuroal.masks import select

        return weight.masked_fill(select(self.metric(weight, statistics), sparsity), 0)


PRUNERS: Registry[type[Pruner]] = Registry("Pruner")
