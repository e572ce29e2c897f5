"""The engine of a ZeroGPU Space: a run in parts, each a call to a process to which a GPU is lent for a minute or so.

What a part has finished, the next one knows, as the next start of an interrupted run does. The thread of the run drains
the calls in the context in which a visitor asked, so that the GPU's time is taken from that visitor's quota.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from neuroal.background import in_background, mapped
from neuroal.cluster.choice import chosen
from neuroal.errors import UserError
from neuroal.hosting import gpu
from neuroal.hosting.lent import Broken, Lend, OutOfTime, Part, part
from neuroal.importing import import_engine
from neuroal.runs.events import Event, Notice, RunFinished, RunResumed, StageStarted
from neuroal.runs.spec import RunSpec

logger = logging.getLogger(__name__)

# A call in which not one candidate was finished is made again with twice the time, up to so many times the first.
MOST_TIMES = 4

IN_PARTS = (
    "The GPU is lent for {} s at a time, so this run is done in parts; each goes on from what the last one had "
    "finished."
)
TOO_LONG = (
    "One step of this run takes longer than the {} s for which the GPU is lent; choose fewer or shorter samples, or a "
    "smaller model."
)
REFUSED = "The GPU could not be had: {} What was finished is kept; resume the run later."


def engine(masks: Callable[[str], Path], seconds: int) -> ZeroEngine | None:
    """The engine, where calls to a GPU can be made: in the app on a ZeroGPU Space. The command line has none there."""
    if chosen().engine != "zerogpu" or not gpu.is_prepared():
        return None
    import spaces

    _fork_safely()
    return ZeroEngine(masks, seconds, spaces.GPU(duration=lambda asked: asked.seconds))


class ZeroEngine:
    """Makes the generators of runs, for ``Jobs``.

    Args:
        masks: where the masks of a run's pruned model are kept.
        seconds: of GPU that one call asks for.
        lend: the decorator of ``spaces``: makes a call run in a process with a GPU.

    Attributes:
        slots: runs at the same time: while one waits for a GPU, another one may have got its.
    """

    slots = 2

    def __init__(self, masks: Callable[[str], Path], seconds: int, lend: Lend) -> None:
        self._masks, self.seconds, self._on_gpu = masks, seconds, lend(part)

    def __call__(
        self, run_id: str, spec: RunSpec, records: list[dict[str, Any]]
    ) -> Generator[Event | None, None, None]:
        """The events of a run.

        Raises:
            UserError: what the run itself refuses, or the GPU could not be had.
        """
        import_engine()
        yield from _fetched(spec)
        records, began, seconds = list(records), time.monotonic(), self.seconds
        while True:
            asked, before = self._part(run_id, spec, records, seconds), time.monotonic()
            finished = yield from self._call(asked, records)
            if finished is not None:
                yield dataclasses.replace(finished, seconds=finished.seconds + before - began)
                return
            if _finished_in(records) == _finished_in_known(asked):
                seconds *= 2
                if seconds > MOST_TIMES * self.seconds:
                    raise UserError(TOO_LONG.format(seconds // 2))
            if not any(r["kind"] == "Notice" and r["message"] == IN_PARTS.format(self.seconds) for r in records):
                yield _noted(records, Notice(IN_PARTS.format(self.seconds)))
            yield _noted(records, RunResumed())

    def _call(self, asked: Part, records: list[dict[str, Any]]) -> Generator[Event, None, RunFinished | None]:
        """One part; its events are added to the records. Its end, or None where its time was over before."""
        finished = None
        try:
            with closing(self._on_gpu(asked)) as told:
                for each in told:
                    if isinstance(each, Broken):
                        raise UserError(each.sentence)
                    if isinstance(each, RunFinished):
                        finished = each
                    elif not isinstance(each, OutOfTime):
                        yield _noted(records, each)
        except UserError:
            raise
        except Exception as error:  # of ``spaces``: the quota, the queue, a process that was killed
            logger.warning("A part of a run was refused or ended", exc_info=error)
            raise UserError(REFUSED.format(_said(error))) from error
        return finished

    def _part(self, run_id: str, spec: RunSpec, records: list[dict[str, Any]], seconds: int) -> Part:
        from neuroal.runs.workshop import known

        spent, path = [r["seconds"] for r in records if r["kind"] == "RunFinished"], self._masks(run_id)
        return Part(spec, known(records), str(path), spent[-1] if spent else None, seconds)


def _fetched(spec: RunSpec) -> Generator[Event | None, None, None]:
    """The checkpoint is on this machine before time on a GPU is asked for."""
    from neuroal.models.locate import locate

    yield StageStarted("model", f"Looking for {spec.model}.")
    fetching = in_background("model", lambda say, _: locate(spec.model, spec.revision, say=say))
    yield from mapped(fetching, lambda news: None if news is None else StageStarted("model", news))


def _noted(records: list[dict[str, Any]], event: Event) -> Event:
    records.append(event.to_dict())
    return event


def _finished_in(records: list[dict[str, Any]]) -> int:
    """Candidates and figures that need not be found again."""
    from neuroal.runs.workshop import known

    found = known(records)
    return len(found.scores) + len(found.measured)


def _finished_in_known(asked: Part) -> int:
    return len(asked.known.scores) + len(asked.known.measured)


def _said(error: Exception) -> str:
    """The sentence of an error that ``spaces`` has for a person; of another one its class."""
    told = " ".join(str(getattr(error, "message", "") or type(error).__name__).split())
    return told if told.endswith((".", "!", "?")) else f"{told}."


def _fork_safely() -> None:
    """No other thread holds one of these locks while the app is forked: in the new process nobody would release it."""
    from neuroal.importing import _LOCK
    from neuroal.models.building import BUILDING
    from neuroal.models.hub import _probe_lock

    for lock in (_LOCK, BUILDING.lock, _probe_lock):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
