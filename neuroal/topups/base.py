"""What a top-up is: a way to spread a target sparsity over the blocks and rows of a model.

A new top-up is one file here with a registered class of one generator method. Files import torch for types only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, ClassVar

from neuroal.errors import UserError
from neuroal.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from neuroal.allocation import Allocation
    from neuroal.blocks import DecoderStack, Linear
    from neuroal.options import Options
    from neuroal.pruners import Pruner
    from neuroal.runs.events import Event
    from neuroal.scoring import Problem


class TopUp(ABC):
    """Base of all top-ups. One object serves one allocation or one pruning.

    Attributes:
        name, label: for settings and for people.
        summary: how it spreads the sparsity, for the table of methods; with its paper.
        needs_data: False when no activation is looked at, so that no block input has to be captured.
        steps: the steps it can be asked for; empty where the notion does not apply.
        varies: True when blocks get different ratios; an N:M pattern then becomes a mixed one.
        refines: True when it also changes which weights are chosen, at pruning; see :meth:`refine`.
        rates: True when it yields a figure for each block (event BlockRated) before it decides.
        settings: the names of the options that only it looks at.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str]
    needs_data: ClassVar[bool] = True
    steps: ClassVar[tuple[str, ...]] = ()
    varies: ClassVar[bool] = True
    refines: ClassVar[bool] = False
    rates: ClassVar[bool] = False
    settings: ClassVar[tuple[str, ...]] = ()
    rank: ClassVar[int] = 100

    def __init__(self, options: Options | None = None) -> None:
        from neuroal.options import Options

        self.options = options or Options()

    def refuse(self, pruner: Pruner, of: int | None, step: str) -> None:
        """Raises UserError where it cannot go with that pruner, N:M pattern (its M) or step; called before any work."""
        if of is not None and self.steps and step != "block":
            raise UserError(
                f"An N:M pattern has one N per block, so the rows of step {step!r} cannot vary within it; "
                "choose the step 'block', or no pattern."
            )

    @abstractmethod
    def allocate(self, problem: Problem) -> Generator[Event, None, Allocation]:
        """Yields what happens and returns the allocation."""

    def refining_statistics(self) -> tuple[Any, ...]:
        """New objects that gather what ``refine`` needs of a linear's input, beside the pruner's."""
        return ()

    def reaches(self, stack: DecoderStack, b: int, linear: Linear) -> bool:
        """Whether ``refine`` is for this linear."""
        return False

    def refine(self, weight: Tensor, mask: Tensor, statistics: Any) -> tuple[Tensor, str]:
        """Another mask of the same counts, and what went less well than asked, or "".

        Args:
            weight: [out, in]. mask: bool [out, in], True = pruned. statistics: of the linear's input.
        """
        return mask, ""


TOP_UPS: Registry[type[TopUp]] = Registry("Top-up")
