"""What the runs of a sweep are called: by what tells them apart, the sparsity and the seed aside."""

from __future__ import annotations

import dataclasses
from typing import Any

from neuroal.pruners import PRUNERS
from neuroal.runs.spec import RunSpec
from neuroal.sweeps.spec import Member
from neuroal.topups import TOP_UPS

# Along a line of the map the sparsity changes; runs that differ in the seed are repetitions of one method.
ALONG = ("sparsity", "seed")


def labels(members: list[Member]) -> list[str]:
    """A label for each run, such as "Wanda, NeuroAL block"; equal for runs of one line of the map.

    Always the top-up with its step; the pruner, the model and any other setting where these differ in the sweep.
    """
    varying = [
        field.name
        for field in dataclasses.fields(RunSpec)
        if field.name not in (*ALONG, "top_up", "step")
        and len({repr(getattr(member.spec, field.name)) for member in members}) > 1
    ]
    return [", ".join(_parts(member.spec, varying)) for member in members]


def _parts(spec: RunSpec, varying: list[str]) -> list[str]:
    top_up = TOP_UPS.get(spec.top_up)
    claimed = {name for each in TOP_UPS.entries for name in each.settings} - set(top_up.settings)
    parts = [_part(spec, name) for name in ("model", "pruner") if name in varying]
    parts.append(" ".join([_short(top_up.label), *([spec.step] if top_up.steps else [])]))
    parts += [_part(spec, name) for name in varying if name not in ("model", "pruner") and name not in claimed]
    return [part for part in parts if part]


def _part(spec: RunSpec, name: str) -> str:
    value: Any = getattr(spec, name)
    if name == "model":
        return value.rstrip("/").rpartition("/")[2]
    if name == "pruner":
        return _short(PRUNERS.get(value).label)
    if name == "pattern":
        return value or ""
    if name == "reconstruct":
        return "refitted" if value else ""
    label = RunSpec.__dataclass_fields__[name].metadata["label"]
    shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
    return f"{label.lower()} {shown}"


def _short(label: str) -> str:
    """What a method is called, without what it does."""
    return label.partition(":")[0]
