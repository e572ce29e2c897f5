"""A question is asked: by the page and by other programs alike, with the same checks and the same answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from neuroal.importing import import_engine
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop


@dataclass(frozen=True)
class Begun:
    """What asking led to.

    Attributes:
        run: its id.
        how: "started"; or the same question was "answered" before, or is "under way", and this is that run.
    """

    run: str
    how: Literal["started", "answered", "under way"]


def begin(workshop: Workshop, spec: RunSpec, owner: str) -> Begun:
    """Starts a run, or finds the one that answers its question.

    Args:
        owner: who asks; each may have a few runs waiting.

    Raises:
        UserError: it is known not to work or more than this host allows, or this person has too many runs waiting.
    """
    import_engine()
    from neuroal.runs.estimate import check

    # Before its model is looked up; also of what has an answer, about a model that not everyone may have.
    workshop.jobs.rules.refuse(spec)
    check(spec, workshop.pool)
    before = workshop.asked(spec)
    run = workshop.start(spec, owner=owner)
    if workshop.jobs.status(run) == "finished":
        return Begun(run, "answered")
    return Begun(run, "under way" if run == before else "started")
