"""The real app in a process of its own, as a person would start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """``python app.py`` on a free port of loopback, with its own data folder.

    Args:
        data: the data folder; a second server on it sees the runs of the first.
        log: where its output goes.
        program: what is started, from the root.
    """

    # One app after the other has the same address, for a browser keeps what it has compiled of a script by its address;
    # two at a time never, also where the first has not begun to listen: Gradio would silently take the next port.
    _first, _given, _giving = 0, set(), threading.Lock()

    def __init__(self, data: Path, log: Path, program: str = "app.py", **environment: str) -> None:
        self.data, self.log, self.program, self.environment = data, log, program, environment
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, seconds: float = 60.0) -> None:
        """Starts, and waits until the page answers."""
        with Server._giving:
            Server._given.discard(self.port)
            self.port = _free_port(0 if self.port or Server._first in Server._given else Server._first)
            Server._first = Server._first or self.port
            Server._given.add(self.port)
        environment = {
            **os.environ,
            "NEUROAL_DATA": str(self.data),
            "GRADIO_SERVER_PORT": str(self.port),
            "OMP_NUM_THREADS": "1",
            **self.environment,
        }
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, self.program], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                httpx.get(self.url, timeout=5).raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError(f"The app did not start:\n{self.log.read_text()}")

    def kill(self) -> None:
        """kill -9: no clean-up of any kind."""
        self.process.kill()
        self.process.wait()
        Server._given.discard(self.port)

    def terminate(self) -> int:
        """SIGTERM, as a supervisor sends it; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(20)
            Server._given.discard(self.port)
            return code
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def stop(self) -> None:
        """The end of a test, whatever became of the process."""
        if self.process.poll() is None:
            self.kill()


def _free_port(wanted: int) -> int:
    """That one, if nobody listens there, else any; also one that a process has just left."""
    for port in (wanted, 0):
        with socket.socket() as free, suppress(OSError):
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))
            return free.getsockname()[1]
    raise AssertionError("This machine has no free port.")
