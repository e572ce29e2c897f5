"""The choice of the engine: the thread unless asked, and one sentence where the other cannot be had."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from neuroal.cluster.choice import Choice, chosen
from neuroal.errors import UserError
from neuroal.runs.workshop import Workshop


@pytest.mark.parametrize("environ", [{}, {"NEUROAL_ENGINE": ""}, {"NEUROAL_ENGINE": " Thread "}])
def test_the_thread_is_the_default(environ: dict[str, str]) -> None:
    assert chosen({**environ, "RAY_ADDRESS": "somewhere:1", "NEUROAL_RAY_CPUS": "none"}).engine == "thread"


def test_an_unknown_engine_is_said_with_the_near_miss() -> None:
    with pytest.raises(UserError, match=r"NEUROAL_ENGINE is 'threads'. Did you mean 'thread'\? Known: thread, ray."):
        chosen({"NEUROAL_ENGINE": "threads"})


def test_ray_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("NEUROAL_ENGINE", "ray")
    with pytest.raises(UserError, match='Ray is not installed here: pip install "ray>=2.49"'):
        Workshop(tmp_path)


def test_an_address_outside_the_cluster_needs_rays_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "grpc" else object())
    with pytest.raises(
        UserError, match=r'"ray://head:10001", which needs one more package: pip install "ray\[client\]"'
    ):
        chosen({"NEUROAL_ENGINE": "ray", "RAY_ADDRESS": "ray://head:10001"})
    assert chosen({"NEUROAL_ENGINE": "ray", "RAY_ADDRESS": "head:6379"}).address == "head:6379"


@pytest.mark.parametrize("cpus", ["0", "-1", "1.5", "many"])
def test_processors_of_a_run_are_a_whole_number(monkeypatch: pytest.MonkeyPatch, cpus: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(UserError, match="NEUROAL_RAY_CPUS is .* whole number from 1"):
        chosen({"NEUROAL_ENGINE": "ray", "NEUROAL_RAY_CPUS": cpus})


def test_what_is_set_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert chosen({"NEUROAL_ENGINE": "RAY"}) == Choice("ray", "local", 1)
    environ = {"NEUROAL_ENGINE": "ray", "NEUROAL_RAY_CPUS": "4", "RAY_ADDRESS": "ray://head:10001"}
    assert chosen(environ) == Choice("ray", "ray://head:10001", 4)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere", "127.0.0.1:99999"])
def test_an_address_where_nothing_answers_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
) -> None:
    """Ray itself would try for minutes, so it is not even imported."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("NEUROAL_ENGINE", "ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=f"The Ray cluster at {address} does not answer; start it, or correct RAY_ADD"):
        Workshop(tmp_path)
