"""Fixtures of the cluster: two nodes with a token, and a workshop whose engine it is."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from neuroal.runs.spec import RunSpec
from tests.cluster.helpers import QUICK, wait_for
from tests.cluster.local import LocalCluster, local_cluster
from tests.runs.conftest import language_model, loads, model_folder, open_workshop, small_spec

if TYPE_CHECKING:
    from neuroal.runs.workshop import Workshop

__all__ = ["language_model", "loads", "model_folder", "open_workshop", "small_spec"]


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """The module's own environment variables."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def cluster(environment: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    """Two nodes; the environment asks for them."""
    if importlib.util.find_spec("ray") is None:  # not imported: it reads the environment then
        pytest.skip("Ray is optional and not installed here")
    with local_cluster(2) as started:
        for name, value in started.environment.items():
            environment.setenv(name, value)
        environment.setenv("NEUROAL_ENGINE", "ray")
        environment.setenv("RAY_ADDRESS", started.address)
        yield started


@pytest.fixture(scope="module")
def workshop(
    cluster: LocalCluster, environment: pytest.MonkeyPatch, model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workshop]:
    """Opened once, for the workers end with its connection; each node's has imported torch, all at the same time."""
    from neuroal.cluster import connection
    from neuroal.runs.workshop import Workshop

    environment.setattr(connection, "SETTLED", 0.1)
    opened = Workshop(tmp_path_factory.mktemp("ray"))
    begun = [
        RunSpec(model=str(model_folder), **QUICK, evaluations=(), seed=100 + i) for i in range(opened.jobs.workers)
    ]
    for run_id in [opened.jobs.start(spec, admitted=True) for spec in begun]:
        assert wait_for(opened, run_id) == "finished"
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def on_threads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The same, with the thread engine."""
    from neuroal.runs.workshop import Workshop

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NEUROAL_ENGINE", raising=False)
        opened = Workshop(tmp_path_factory.mktemp("threads"))
    yield opened
    opened.close()
