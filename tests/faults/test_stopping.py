"""SIGTERM: the real app, with a run that goes on and viewers of whom one never reads, ends within five seconds."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from neuroal.runs.store import Store
from tests.e2e.server import Server

# A search of a minute, in blocks of a second.
LONG = {"model": "tiny", "step": "both", "mode": "exact", "samples": 128, "length": 512, "evaluations": []}


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


def never_reading(port: int, run: str) -> socket.socket:
    """A viewer that asks for the stream and takes nothing of it: with a window this small the server cannot go on."""
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.connect(("127.0.0.1", port))
    viewer.sendall(f"GET /gradio_api/runs/{run}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return viewer


def test_sigterm_in_the_middle_of_everything(server: Server) -> None:
    run = start_run(server.url)
    with (
        never_reading(server.port, run),
        never_reading(server.port, "example-smollm2-wanda-neuroal"),
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
