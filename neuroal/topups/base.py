"""What a top-up is: a way to spread a target sparsity over the blocks and rows of a model.

A new top-up is one file here with a registered class of one generator method. Files import torch for types only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar

from neuroal.registry import Registry

if TYPE_CHECKING:
    from neuroal.allocation import Allocation
    from neuroal.runs.events import Event
    from neuroal.search import Problem


class TopUp(ABC):
    """Base of all top-ups; stateless.

    Attributes:
        name, label: for settings and for people.
        needs_data: False when no activation is looked at, so that no block input has to be captured.
        steps: the steps it can be asked for; empty where the notion does not apply.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    needs_data: ClassVar[bool] = True
    steps: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def allocate(self, problem: Problem) -> Generator[Event, None, Allocation]:
        """Yields what happens and returns the allocation."""


TOP_UPS: Registry[type[TopUp]] = Registry("Top-up")
