"""Which engine does the runs, as the person who hosts the app has set it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neuroal.errors import UserError, did_you_mean
from neuroal.hosting.profile import is_zerogpu, setting

if TYPE_CHECKING:
    from neuroal.cluster.engine import RayEngine
    from neuroal.runs.pool import ModelPool

ENGINES = ("thread", "ray", "zerogpu")


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        engine: "thread", "ray" or "zerogpu".
        address: of the cluster: "host:port", or "ray://host:port" from outside it; "local" for one on this machine,
            started for this process.
        cpus: processors of one run.
    """

    engine: str
    address: str = "local"
    cpus: int = 1


def chosen(environ: Mapping[str, str] = os.environ) -> Choice:
    """The engine that the environment asks for.

    Raises:
        UserError: it is not known, Ray or what its address needs is not installed, or the processors of a run are not a
            whole number.
    """
    engine = setting("NEUROAL_ENGINE", environ).lower() or "thread"
    if engine not in ENGINES:
        raise UserError(f"NEUROAL_ENGINE is {engine!r}.{did_you_mean(engine, ENGINES)}")
    if engine == "zerogpu" and not is_zerogpu(environ):
        raise UserError('NEUROAL_ENGINE is "zerogpu", but this is no ZeroGPU Space; leave it out, or choose thread.')
    if engine != "ray":
        return Choice(engine)
    if importlib.util.find_spec("ray") is None:
        raise UserError('NEUROAL_ENGINE is "ray", but Ray is not installed here: pip install "ray>=2.49".')
    cpus = environ.get("NEUROAL_RAY_CPUS", "").strip() or "1"
    if not cpus.isdecimal() or int(cpus) < 1:
        raise UserError(f"NEUROAL_RAY_CPUS is {cpus!r}; it must be a whole number from 1: the processors of one run.")
    address = environ.get("RAY_ADDRESS", "").strip() or "local"
    if address.startswith("ray://") and importlib.util.find_spec("grpc") is None:
        raise UserError(f'RAY_ADDRESS is "{address}", which needs one more package: pip install "ray[client]".')
    return Choice(engine, address, int(cpus))


def cluster(pool: Callable[[], ModelPool], masks: Callable[[str], Path]) -> RayEngine | None:
    """The Ray engine, connected; None where another engine was chosen.

    Args:
        pool: the server's models.
        masks: where the masks of a run's pruned model are kept.

    Raises:
        UserError: as :func:`chosen`, and where the cluster does not answer or refuses.
    """
    choice = chosen()
    if choice.engine != "ray":
        return None
    from neuroal.cluster.connection import Connection
    from neuroal.cluster.engine import RayEngine

    return RayEngine(Connection(choice.address, choice.cpus), pool, masks)
