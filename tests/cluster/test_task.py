"""What Ray is asked for a task: a process that has used a GPU is not used for another."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from neuroal.cluster.task import as_task


@pytest.mark.parametrize(("gpus", "given"), [(1, {"max_calls": 1}), (0, {})])
def test_a_process_does_one_task_on_a_gpu(monkeypatch: pytest.MonkeyPatch, gpus: int, given: dict[str, Any]) -> None:
    """Ray itself is not imported: it reads the environment then, which other tests set first."""
    asked: list[dict[str, Any]] = []

    def remote(*function: Any, **settings: Any) -> Any:
        asked.append(settings)
        return SimpleNamespace(options=lambda **size: size) if function else remote

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(remote=remote))
    size = {"num_cpus": 2, "num_gpus": gpus}
    assert as_task(print, size) == {**size, "max_retries": 0, "scheduling_strategy": "SPREAD"}
    assert asked[0] == given
