"""Programs to be killed by test_kill.py, each told what to do on its command line.

doomed.py append FOLDER          appends events to one run as fast as it can, printing each number once it is saved
doomed.py run FOLDER MODEL KIND NTH SPEC   does a run, and stands still after the n-th event of a kind, printing the
                                          run's id; SPEC: its settings as JSON
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from pathlib import Path
from typing import Any

from neuroal.runs.events import Notice
from neuroal.runs.log import RunLog
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from tests.runs.helpers import started


def append(folder: Path) -> None:
    store, spec = Store(folder), RunSpec(model="doomed")
    store.add_run("doomed", spec.key(), spec.to_json(), private=False)
    log = RunLog("doomed", store)
    log.append(started(spec))
    for i in itertools.count(2):
        print(log.append(Notice(str(i)))["n"], flush=True)


def run(folder: Path, model: str, kind: str, nth: int, settings: dict[str, Any]) -> None:
    import torch

    from neuroal.runs.workshop import Workshop

    torch.set_num_threads(1)
    workshop = Workshop(folder)
    save, seen = workshop.jobs.store.append, itertools.count(1)

    def append_or_stand_still(run_id: str, n: int, t: float, payload: dict[str, Any], *more: Any) -> None:
        save(run_id, n, t, payload, *more)
        if payload["kind"] == kind and next(seen) == nth:
            print(run_id, flush=True)
            threading.Event().wait()

    workshop.jobs.store.append = append_or_stand_still  # type: ignore[method-assign]
    workshop.jobs.start(RunSpec(model=model, **settings))
    workshop.jobs.start(RunSpec(model=model, **settings, sparsity=0.5))
    threading.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "append":
        append(Path(sys.argv[2]))
    else:
        run(Path(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5]), json.loads(sys.argv[6]))
