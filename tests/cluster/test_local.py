"""Ray without an address: a cluster of its own on this machine, which ends with the app."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.runs.helpers import SMALL

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own, because Ray reads the environment once.
PROGRAM = """
import json, sys, time
from pathlib import Path
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop

workshop = Workshop(Path(sys.argv[1]))
run_id = workshop.jobs.start(RunSpec(model=sys.argv[2], **json.loads(sys.argv[3])))
while workshop.jobs.status(run_id) in ("queued", "running"):
    time.sleep(0.05)
print(workshop.jobs.status(run_id), workshop._masks(run_id).exists(), flush=True)
workshop.close()
"""


def processes_of(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is optional and not installed here")
def test_a_cluster_of_ones_own_does_a_run_and_ends_with_the_process(model_folder: Path, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(model_folder), json.dumps(SMALL)],
        env={**clean, "NEUROAL_ENGINE": "ray"}, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = program.communicate(timeout=200)
        assert said.split() == ["finished", "True"] and program.returncode == 0
        assert psutil.wait_procs(processes_of(program.pid), timeout=30)[1] == []
    finally:
        for process in processes_of(program.pid):
            process.kill()
