"""SIGTERM: the real app, with a run that goes on and viewers of whom one never reads, ends within five seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from neuroal.runs.store import Store
from tests.e2e.server import ROOT, Server
from tests.faults.viewers import never_reading

# A search of a minute, in blocks of a second.
LONG = {"model": "tiny", "step": "both", "mode": "exact", "samples": 128, "length": 512}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "data", tmp_path / "log", NEUROAL_DEFAULT_MODEL="tiny")
    yield started
    started.stop()


def start_run(url: str) -> str:
    asked = httpx.post(f"{url}/gradio_api/call/v2/start_run", json={"spec": LONG}, timeout=60)
    event = asked.raise_for_status().json()["event_id"]
    answer = httpx.get(f"{url}/gradio_api/call/v2/start_run/{event}", timeout=60).text
    data = next(line for line in answer.splitlines() if line.startswith("data:"))
    return json.loads(data.removeprefix("data:"))[0]["run"]


@pytest.fixture
def second(server: Server) -> Iterator[subprocess.Popen[str]]:
    """The app once more, on the same data folder."""
    environment = {**os.environ, **server.environment, "NEUROAL_DATA": str(server.data), "GRADIO_SERVER_PORT": "0"}
    started = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    yield started
    started.kill()
    started.communicate()


def test_a_second_app_is_refused_and_sigterm_in_the_middle_of_everything(
    server: Server, second: subprocess.Popen[str]
) -> None:
    run = start_run(server.url)
    _, said = second.communicate(timeout=100)
    assert second.returncode == 1
    assert said.strip().splitlines()[-1].startswith("Another process of this app uses this store. Stop it, give")
    assert "Traceback" not in said
    with (
        never_reading(server.url, run),
        never_reading(server.url, "example-smollm2-wanda-neuroal"),
        httpx.stream("GET", f"{server.url}/gradio_api/runs/{run}/events", timeout=60) as stream,
    ):
        lines = stream.iter_lines()
        assert any("CandidateStarted" in line for line in lines), "it searches"
        begun = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - begun < 5
        rest = list(lines)
    assert '"kind":"RunInterrupted"' in "".join(rest) and "event: end" in rest, "who watches is told"
    store = Store(server.data)
    row, log = store.run(run), store.events(run)
    store.close()
    assert row is not None and row.status == "interrupted"
    assert [r["kind"] for r in log][-1] == "RunInterrupted"
    assert [r["n"] for r in log] == list(range(1, len(log) + 1))
