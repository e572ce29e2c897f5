"""The connection to a Ray cluster: made, counted, given up when the cluster does not answer, and made again.

Ray keeps one connection for a whole process. A server that loses its cluster must live on: its pages, finished runs and
chats need none.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neuroal.cluster.bus import Bus
from neuroal.cluster.task import as_task
from neuroal.errors import UserError

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]

# What the workers need of the app; it is sent to them, so nodes need the packages of requirements.txt and Ray only.
SENT = ("neuroal", "assets")

# Seconds in which something at the cluster's address must answer a knock.
KNOCK = 5.0

# Seconds for which there must have been room before some is lent to a helper: between two runs of a sweep there is, for
# a moment.
SETTLED = 1.0

NO_ANSWER = "The Ray cluster at {} does not answer; start it, or correct RAY_ADDRESS."


class Connection:
    """To one cluster, for as many runs as want it at the same time.

    Args:
        address: "host:port", "ray://host:port", or "local" for a cluster on this machine for this process.
        cpus: processors of one run.

    Raises:
        UserError: nothing answers at the address, it refuses, or no node is large enough for a run.
    """

    def __init__(self, address: str, cpus: int) -> None:
        self.address, self.cpus, self.gpus = address, cpus, 0
        self._lock = threading.Lock()
        self._users, self._lost = 0, False
        self._bus: Any = None
        self.session = 0  # counts connections
        self._connect()
        self.slots = self._count_slots()
        if not self.slots:
            self.close()
            raise UserError(f"No node of the Ray cluster has {cpus} processors; set NEUROAL_RAY_CPUS to fewer.")

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Inside, there is a connection. One that was lost is made again once nobody uses it any more.

        Raises:
            UserError: the cluster does not answer.
        """
        with self._lock:
            if self._lost and self._users:
                raise UserError(NO_ANSWER.format(self.address))
            if self._lost:
                self._connect()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._lost and not self._users:
                    self._disconnect()

    def answers(self) -> bool:
        """Whether there still is something at its address."""
        try:
            _knock(self.address)
        except UserError:
            return False
        return True

    def lose(self) -> None:
        """It is given up."""
        with self._lock:
            self._lost = True

    def bus(self) -> Any:
        """The handle of the event bus; a new one is started where there is none."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        with self._lock:
            if self._bus is None:
                here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
                self._bus = ray.remote(Bus).options(num_cpus=0, scheduling_strategy=here).remote(self.slots, SETTLED)
            return self._bus

    def forget_bus(self, dead: Any) -> None:
        """The next run gets a new one."""
        with self._lock:
            if self._bus is dead:
                self._bus = None

    @property
    def size(self) -> dict[str, float]:
        """Of a run, as Ray counts it."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}

    def remote(self, function: Callable[..., Any]) -> Any:
        """A function as a task of the size of a run."""
        return as_task(function, self.size)

    def close(self) -> None:
        """Lets go of the cluster; one that was started for this process ends."""
        with self._lock:
            self._disconnect()

    # --- with the lock held -----------------------------------------------------------------------------------------

    def _connect(self) -> None:
        _knock(self.address)
        # Else Ray ends this whole process once its cluster has been away for a minute. It reads this when imported.
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "1000000000")
        import ray

        loopback = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        with _own_signals():
            try:
                ray.init(
                    self.address,
                    namespace="neuroal",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env={"working_dir": str(ROOT), "excludes": _left_out()},
                    **(loopback if self.address == "local" else {}),
                )
            except Exception as error:
                logger.exception("No connection to the Ray cluster")
                raise UserError(
                    f"The Ray cluster at {self.address} refuses this app; it needs the same versions of Ray and "
                    "Python, and the same token (RAY_AUTH_MODE=token, RAY_AUTH_TOKEN) as its nodes."
                ) from error
        self._lost = False
        self.session += 1

    def _disconnect(self) -> None:
        import ray

        self._bus = None
        ray.shutdown()

    def _count_slots(self) -> int:
        """Runs that the cluster has room for; where it has GPUs, each takes one."""
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self.gpus = int(any(node.get("GPU", 0) >= 1 for node in nodes))
        slots = 0
        for node in nodes:
            by_cpu = int(node.get("CPU", 0) // self.cpus)
            slots += min(by_cpu, int(node.get("GPU", 0))) if self.gpus else by_cpu
        return slots


def _knock(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in ("local", "auto"):
        return
    try:
        socket.create_connection((host, int(port)), KNOCK).close()
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(NO_ANSWER.format(address)) from error


def _left_out() -> list[str]:
    """Everything beside what is sent, as the patterns of a .gitignore."""
    return [*(f"/{path.name}" for path in ROOT.iterdir() if path.name not in SENT), "__pycache__"]


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray would end the process its own way at a SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)
