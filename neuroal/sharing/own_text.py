"""The part of a sweep that is about nobody's own text, and so may be given away."""

from __future__ import annotations

from typing import Any

from neuroal.errors import UserError
from neuroal.sharing.archive import OWN_TEXT, Record
from neuroal.sweeps.spec import OWN_TEXTS, SweepSpec

SOURCES = ("source", "eval_source")

Settings = dict[str, Any]


def public_part(records: list[Record]) -> tuple[SweepSpec, list[Record], int]:
    """What of a sweep's log can leave this instance.

    Args:
        records: the log, with its SweepStarted.

    Returns:
        what is asked, the log without the runs on own text, in which the others are numbered anew, and how many were
        left out.

    Raises:
        UserError: all of its runs are on someone's own text.
    """
    opening = next(r for r in records if r["kind"] == "SweepStarted")
    card, members = opening["spec"], opening["members"]
    public = [i for i, member in enumerate(members) if not _is_own({**card["base"], **member["settings"]})]
    if not public:
        raise UserError(OWN_TEXT)
    spec = _public_spec(card)
    places = {index: place for place, index in enumerate(public)}
    told = []
    for record in records:
        if record["kind"] == "SweepStarted":
            record = {**record, "spec": spec.card(), "members": [members[i] for i in public]}
        elif "index" in record:
            if record["index"] not in places:
                continue
            record = {**record, "index": places[record["index"]]}
        told.append(record)
    return spec, told, len(members) - len(public)


def _public_spec(card: Settings) -> SweepSpec:
    """Without alternatives that ask about own text, and without what is left of it in the base."""
    base = {name: v for name, v in card["base"].items() if name not in OWN_TEXTS and (name, v) not in _OWN}
    axes = [[_without_text(a) for a in axis if not _is_own(a)] for axis in card["axes"]]
    return SweepSpec(base, tuple(tuple(axis) for axis in axes if axis), card["control"])


_OWN = tuple((name, "own") for name in SOURCES)


def _is_own(settings: Settings) -> bool:
    return any(settings.get(name) == "own" for name in SOURCES)


def _without_text(settings: Settings) -> Settings:
    return {name: value for name, value in settings.items() if name not in OWN_TEXTS}
