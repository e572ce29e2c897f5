"""How many sequences go through a model at once, and what is done when the memory does not hold them.

A batch is only a matter of speed: what is gathered is added up sequence by sequence, so its size changes no figure but
in the last bits of a matrix product.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from contextvars import ContextVar, copy_context
from typing import TypeVar

from neuroal.errors import UserError, is_out_of_memory

Heard = TypeVar("Heard")
Result = TypeVar("Result")

# Of the usual tokens in a batch.
_share: ContextVar[float] = ContextVar("share of the usual batch", default=1.0)

HALVED = (
    "The machine ran out of memory, so this goes on from what was finished, with half as many sequences at once; "
    "it takes longer."
)
TOO_LARGE = (
    "The machine ran out of memory, also with half as many sequences at once; choose fewer or shorter samples, "
    "a smaller model, or half precision (float16 or bfloat16)."
)


def at_once(usual: int, each: int = 1) -> int:
    """Sequences of one batch: one at least.

    Args:
        usual: how much a batch usually holds, in tokens, bytes or sequences.
        each: how much of that one sequence is.
    """
    return max(1, int(usual * _share.get()) // each)


def sparing(
    attempt: Callable[[], Generator[Heard, None, Result]], notice: Callable[[str], Heard]
) -> Generator[Heard, None, Result]:
    """What ``attempt()`` yields; where the machine runs out of memory, then another attempt with half the batch.

    Args:
        attempt: goes on from what an earlier one had finished.
        notice: makes an event of a sentence.

    Raises:
        UserError: it ran out of memory a second time.
    """
    try:
        return (yield from attempt())
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    _release()  # out here, because as long as the error was there, so was all that its frames held
    yield notice(HALVED)
    try:
        return (yield from _halved(attempt()))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    raise UserError(TOO_LARGE)


def _halved(events: Generator[Heard, None, Result]) -> Generator[Heard, None, Result]:
    """The same generator in a context of its own: whoever drains it, or another one beside it, keeps whole batches."""
    context = copy_context()
    context.run(_share.set, _share.get() / 2)
    with closing(events):
        while True:
            try:
                event = context.run(next, events)
            except StopIteration as end:
                return end.value
            yield event


def _release() -> None:
    """Gives back what only waits to be collected, or to be used again."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
