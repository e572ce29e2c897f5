"""What is done in processes that test_kill.py kills. They are forked off one that has imported everything already."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from neuroal.runs.events import Notice
from neuroal.runs.log import RunLog
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.sweeps.spec import SweepSpec
from tests.runs.helpers import started, wait_for

# Not an event: half of the masks are written, aside.
HALF_OF_THE_MASKS = "half of the masks"

# Imported once, so that a process to be killed is there in no time.
PRELOADED = ["tests.runs.doomed", "neuroal.runs.run", "neuroal.runs.masks_file", "transformers.models.llama"]


def doomed(work: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """A process that does ``work(connection, *arguments)``, and the other end of the connection."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    return process, here


def append(connection: Connection, folder: Path) -> None:
    """Appends events to one run as fast as it can, telling each number once it is saved."""
    store, spec = Store(folder), RunSpec(model="doomed")
    store.add_run("doomed", spec.key(), spec.to_json(), private=False)
    log = RunLog("doomed", store)
    log.append(started(spec))
    for i in itertools.count(2):
        connection.send(log.append(Notice(str(i)))["n"])


def run(connection: Connection, folder: Path, model: str, kind: str, nth: int, settings: dict[str, Any]) -> None:
    """Does a run while another one waits, and stands still after the n-th event of a kind, telling the run's id."""
    import torch

    from neuroal.runs import masks_file
    from neuroal.runs.workshop import Workshop

    torch.set_num_threads(1)
    workshop = Workshop(folder)
    save, seen = workshop.jobs.store.append, itertools.count(1)
    ids: list[str] = []
    other_waits = threading.Event()

    def stand_still(run_id: str) -> None:
        if kind != "Queued":  # then the other one is never asked
            other_waits.wait()
        connection.send(run_id)
        threading.Event().wait()

    def append_or_stand_still(run_id: str, n: int, t: float, payload: dict[str, Any], *more: Any) -> None:
        save(run_id, n, t, payload, *more)
        if payload["kind"] == kind and next(seen) == nth:
            stand_still(run_id)

    def append_places_or_stand_still(events: Any, *more: Any) -> None:
        save_places(events, *more)
        for run_id, *_, payload in events:
            if payload["kind"] == kind and next(seen) == nth:
                stand_still(run_id)

    def half(tensors: dict[str, torch.Tensor], path: str) -> None:
        write(tensors, path)
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: len(content) // 2])
        stand_still(ids[0])

    save_places = workshop.jobs.store.append_together
    workshop.jobs.store.append = append_or_stand_still  # type: ignore[method-assign]
    workshop.jobs.store.append_together = append_places_or_stand_still  # type: ignore[method-assign]
    if kind == HALF_OF_THE_MASKS:
        write, masks_file.save_file = masks_file.save_file, half
    ids.append(workshop.jobs.start(RunSpec(model=model, **settings)))
    workshop.jobs.start(RunSpec(model=model, **settings, sparsity=0.5))
    other_waits.set()
    threading.Event().wait()


def measure(connection: Connection, folder: Path, model: str, settings: dict[str, Any], more: dict[str, Any]) -> None:
    """Does a run to its end, then measures ``more``, and stands still in the middle of that, telling the run's id."""
    import torch

    from neuroal.runs.workshop import Workshop

    torch.set_num_threads(1)
    workshop = Workshop(folder)
    spec = RunSpec(model=model, **settings)
    run_id = workshop.jobs.start(spec)
    wait_for(workshop.jobs, run_id, "finished")
    save = workshop.jobs.store.append

    def append(run_id: str, n: int, t: float, payload: dict[str, Any], *rest: Any) -> None:
        save(run_id, n, t, payload, *rest)
        if payload["kind"] == "Evaluated":
            connection.send(run_id)
            threading.Event().wait()

    workshop.jobs.store.append = append  # type: ignore[method-assign]
    workshop.measure(run_id, dataclasses.replace(spec, **more))
    threading.Event().wait()


def sweep(connection: Connection, folder: Path, model: str, settings: dict[str, Any]) -> None:
    """Asks three questions as one, and stands still while the second one prunes, telling the sweep's id."""
    import torch

    from neuroal.runs.workshop import Workshop

    torch.set_num_threads(1)
    workshop = Workshop(folder)
    save, begun, ended = workshop.jobs.store.append, itertools.count(1), itertools.count(1)
    second_begun = threading.Event()

    def append(run_id: str, n: int, t: float, payload: dict[str, Any], *rest: Any) -> None:
        save(run_id, n, t, payload, *rest)
        if payload["kind"] == "MemberStarted" and next(begun) == 2:  # so the first one is over
            second_begun.set()
        if payload["kind"] == "PruningFinished" and next(ended) == 2:
            second_begun.wait()
            connection.send(sweep_id)
            threading.Event().wait()

    workshop.jobs.store.append = append  # type: ignore[method-assign]
    sweep_id = workshop.sweeps.start(three(model, settings))
    threading.Event().wait()


def three(model: str, settings: dict[str, Any]) -> SweepSpec:
    """Questions that differ in their sparsity; each prunes once, for it is its own control."""
    base = {k: v for k, v in settings.items() if k != "lambdas"} | {"pruner": "magnitude", "top_up": "uniform"}
    return SweepSpec({**base, "model": model}, ([{"sparsity": sparsity} for sparsity in (0.4, 0.5, 0.6)],))
