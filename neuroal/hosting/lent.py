"""What a process does to which a GPU was lent: a part of a run, until the time of one call is nearly over.

It is forked from the app's, so nothing that it changes in memory is seen there: events go through a pipe, the masks of
the pruned model into the data folder. What is asked and told is pickled.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroal.hosting import gpu
from neuroal.importing import import_engine
from neuroal.runs.events import CandidateFinished, Event, Measured
from neuroal.runs.job import sentence
from neuroal.runs.spec import RunSpec

if TYPE_CHECKING:
    from neuroal.runs.pool import ModelPool
    from neuroal.runs.run import Known

logger = logging.getLogger(__name__)

# Of the time of a call; the rest is for its start, and for what a block takes after the last look at the clock.
SHARE = 0.85


@dataclass(frozen=True)
class Part:
    """What is asked of one call.

    Attributes:
        known: what earlier parts, or an interrupted run, had finished.
        masks: the file of the pruned model, to be written; of a run that had finished, to be read.
        spent: seconds that such a run had taken; None for one that has not finished.
        seconds: of GPU that the call may take.
    """

    spec: RunSpec
    known: Known
    masks: str
    spent: float | None
    seconds: int


@dataclass(frozen=True)
class OutOfTime:
    """The time of this call is over; another one goes on from what was finished."""


@dataclass(frozen=True)
class Broken:
    """What went wrong, for a person: of an exception the app would learn the name of its class only."""

    sentence: str


Told = Event | OutOfTime | Broken


def part(asked: Part) -> Generator[Told, None, None]:
    """Events of a run until it has finished, went wrong, or is out of time; one at each block at least.

    Between two candidates, or two figures, it also stops when another one that takes as long as the longest so far
    would not fit.
    """
    until, longest, since = time.monotonic() + SHARE * asked.seconds, 0.0, time.monotonic()
    try:
        gpu.take()
        _alone()
        with closing(_events(asked, _pool())) as events:
            for event in events:
                yield event
                now = time.monotonic()
                if isinstance(event, (CandidateFinished, Measured)):
                    longest, since = max(longest, now - since), now
                    now += longest
                if now > until:
                    yield OutOfTime()
                    return
    except Exception as error:
        logger.exception("A part of a run failed")
        yield Broken(sentence(error))


def _alone() -> None:
    """One thread of the processor: those of the app's OpenMP and pools were not forked, and waiting for them hangs."""
    import_engine()
    import torch

    torch.set_num_threads(1)


@functools.cache
def _pool() -> ModelPool:
    """Of this process, which may be given several parts one after another."""
    from neuroal.runs.pool import ModelPool

    return ModelPool()


def _events(asked: Part, pool: ModelPool) -> Generator[Event, None, Any]:
    from neuroal.runs.masks_file import keep_twin, rebuilt_twin
    from neuroal.runs.run import measure, run

    spec, masks = asked.spec, Path(asked.masks)
    if asked.spent is not None and masks.exists():
        twin = rebuilt_twin(masks, pool.get(spec.model, revision=spec.revision, dtype=spec.dtype))
        return measure(spec, twin, pool=pool, known=asked.known, spent=asked.spent)

    return run(spec, pool=pool, known=asked.known, keep=functools.partial(keep_twin, masks))


Lend = Callable[[Callable[[Part], Generator[Told, None, None]]], Callable[[Part], Generator[Told, None, None]]]
