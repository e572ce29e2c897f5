"""What the page says of a run that another process of the app does."""

from __future__ import annotations

from neuroal.runs.registry import Registry

ELSEWHERE = "It runs on another instance of this app; you see here all that happens there."


def whereabouts(runs: Registry, run_id: str, said: str = "") -> str:
    """What is said of a run, and where it waits or goes if that is not here. KeyError where it is not known."""
    return f"{said} {ELSEWHERE}".strip() if runs.is_elsewhere(run_id) else said
