"""What the page says of a run that another process of the app does."""

from __future__ import annotations

from neuroal.runs.registry import Registry

# Still true when that instance stops while somebody looks.
ELSEWHERE = "It was started on another instance of this app; what happens there is shown here."


def whereabouts(runs: Registry, run_id: str, said: str = "") -> str:
    """What is said of a run, and where it waits or goes if that is not here. KeyError where it is not known."""
    return f"{said} {ELSEWHERE}".strip() if runs.is_elsewhere(run_id) else said
