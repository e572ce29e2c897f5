"""A function as a task of Ray, the size of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def as_task(function: Callable[..., Any], size: dict[str, float]) -> Any:
    """The function as a task; tasks are spread over the nodes and never done twice by Ray.

    A process that has used a GPU keeps to that one, whichever Ray gives it later. Ray ends such a process by itself,
    but not where the GPUs are asked for by ``options``; so each task on a GPU is its process' only one.

    Args:
        size: ``num_cpus`` and ``num_gpus``.
    """
    import ray

    remote = ray.remote(max_calls=1)(function) if size["num_gpus"] else ray.remote(function)
    return remote.options(**size, max_retries=0, scheduling_strategy="SPREAD")
