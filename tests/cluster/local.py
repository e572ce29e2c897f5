"""A Ray cluster on this machine, with a token: each node is a process of `ray start`; it ends without a trace."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# Seconds in which a node starts or ends, also where other tests have the processors.
PATIENCE = 90.0

# A node that is lost is noticed within seconds; Ray's own settings make it a quarter of a minute.
QUICK_TO_NOTICE = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}

# One for the process, for Ray reads it once.
TOKEN = secrets.token_hex(32)


class LocalCluster:
    """Nodes of one processor each.

    Attributes:
        address: for RAY_ADDRESS.
        nodes: the processes of `ray start`, in order.
        environment: what a process needs to connect, and what the nodes were started with.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a short path: sockets are in it
        self.address = f"127.0.0.1:{_free_port()}"
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
        self.nodes: list[psutil.Process] = []

    def add_nodes(self, count: int = 1) -> None:
        """The head first, or where all are gone, then workers; returns once they are part of the cluster."""
        self._await(self._start_node())
        for node in [self._start_node() for _ in range(count - 1)]:
            self._await(node)

    def _start_node(self) -> psutil.Popen:
        port = self.address.rpartition(":")[2]
        alive = any(self._is_ours(node, "") for node in self.nodes)
        role = ["--address", self.address] if alive else ["--head", "--port", port, "--include-dashboard=false"]
        role += [] if alive else ["--temp-dir", str(self.folder / "r")]
        command = [str(Path(sys.executable).with_name("ray")), "start", *role, "--block"]
        command += ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--object-store-memory=100000000"]
        command += ["--include-log-monitor=false", *([] if alive else ["--no-monitor"])]
        environment = {**os.environ, **self.environment, **QUICK_TO_NOTICE, "RAY_USAGE_STATS_ENABLED": "0"}
        environment |= {"NEUROAL_DATA": str(self.folder / "data")}
        with (self.folder / f"node{len(self.nodes)}.log").open("wb") as out:
            streams = {"stdout": out, "stderr": out}
            node = psutil.Popen(command, env=environment, cwd=self.folder, start_new_session=True, **streams)
        self.nodes.append(node)
        return node

    def _await(self, node: psutil.Popen) -> None:
        until, log = time.monotonic() + PATIENCE, self.folder / f"node{self.nodes.index(node)}.log"
        while b"Ray runtime started" not in log.read_bytes():
            assert node.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.05)

    def processes(self, title: str = "") -> list[psutil.Process]:
        """What runs on behalf of the cluster; with a title, such as "ray::work", what calls itself so."""
        return [process for process in psutil.process_iter() if self._is_ours(process, title)]

    def _is_ours(self, process: psutil.Process, title: str) -> bool:
        """By its session: parents may end before their children, and Ray overwrites names."""
        with suppress(psutil.Error, ProcessLookupError):
            ours = os.getsid(process.pid) in {node.pid for node in self.nodes}
            return ours and process.status() != psutil.STATUS_ZOMBIE and title in " ".join(process.cmdline())
        return False

    def kill(self, node: psutil.Popen | None = None) -> None:
        """Ends every process of it, or of one node, as when machines lose their power; returns when they are gone."""
        until = time.monotonic() + PATIENCE
        while left := [p for p in self.processes() if node is None or os.getsid(p.pid) == node.pid]:
            assert time.monotonic() < until, f"{left[0]} does not end"
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            time.sleep(0.1)

    def close(self) -> None:
        """Ends every process of it and removes its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def local_cluster(nodes: int) -> Iterator[LocalCluster]:
    """A cluster for the length of a ``with``."""
    cluster = LocalCluster()
    try:
        cluster.add_nodes(nodes)
        yield cluster
    finally:
        cluster.close()


def _free_port() -> int:
    """Above the ports that Ray gives to its workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
