"""Fixtures of the cluster: two nodes with a token, and a workshop whose engine it is."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

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
def workshop(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Opened once: the workers end with its connection, and new ones have torch to import."""
    from neuroal.runs.workshop import Workshop

    opened = Workshop(tmp_path_factory.mktemp("ray"))
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
