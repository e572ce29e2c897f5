"""SweepSpec: sets of settings whose combinations are asked, as a frozen dataclass of plain values.

Its members are ordinary RunSpecs with ordinary keys, so that what a sweep finds out answers single questions too, and
what was asked before is not asked again.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import reprlib
from dataclasses import dataclass, field
from typing import Any

from neuroal.errors import UserError, did_you_mean
from neuroal.runs.spec import OWN_TEXTS, RunSpec

Settings = dict[str, Any]

# Combinations of one sweep, at most: a day of a fast machine with a small model.
MOST_RUNS = 500

KINDS = ("base", "axes", "control")


@dataclass(frozen=True)
class Member:
    """One run of a sweep: its place, the settings that it does not have from the base, and its question."""

    index: int
    settings: Settings
    spec: RunSpec


@dataclass(frozen=True)
class SweepSpec:
    """What is asked together.

    Attributes:
        base: settings of RunSpec that all runs have; what is left out is at its default.
        axes: each a set of alternatives, each alternative some settings: ``[{"sparsity": 0.5}, {"sparsity": 0.6}]`` or
            ``[{"top_up": "owl"}, {"top_up": "neuroal", "step": "block"}]``. Every combination of one alternative per
            axis is a run; what is the same question twice is asked once.
        control: whether the uniform top-up is asked as well where an axis names top-ups without it.

    Raises:
        UserError: at construction: a setting that is not known, an empty axis, the same setting on two axes, too many
            combinations, or none that is possible.
    """

    base: Settings = field(default_factory=dict)
    axes: tuple[tuple[Settings, ...], ...] = ()
    control: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.base, dict) or not isinstance(self.axes, (list, tuple)):
            raise UserError("A sweep is an object of base settings, and a list of axes, each a list of settings.")
        object.__setattr__(self, "axes", tuple(_axis(axis) for axis in self.axes))
        seen: set[str] = set()
        for axis in self.axes:
            names = {name for alternative in axis for name in alternative}
            if twice := sorted(seen & names):
                raise UserError(f"The setting {twice[0]!r} is on two axes of this sweep; name it on one.")
            seen |= names
        for name in (*self.base, *seen):
            _check_name(name)
        count = 1
        for axis in self._controlled():
            count *= len(axis)
        if count > MOST_RUNS:
            raise UserError(f"These are {count:,} combinations, but a sweep has at most {MOST_RUNS}; leave some out.")
        if not self.members:
            raise UserError(f"None of these combinations is possible. {self.refusals[0]}")

    @property
    def members(self) -> list[Member]:
        """The questions, each once. Uniform ones come first: they are the control of all the others."""
        return self._combined[0]

    @property
    def refusals(self) -> list[str]:
        """Why combinations were left out, a sentence each, none twice."""
        return self._combined[1]

    @functools.cached_property
    def _combined(self) -> tuple[list[Member], list[str]]:
        found: dict[str, tuple[Settings, RunSpec]] = {}
        refusals: dict[str, None] = {}
        for alternatives in itertools.product(*self._controlled()):
            settings = {name: value for alternative in alternatives for name, value in alternative.items()}
            try:
                spec = RunSpec.from_dict({**self.base, **settings})
            except UserError as error:
                refusals[str(error)] = None
                continue
            found.setdefault(spec.key(), (settings, spec))
        ordered = sorted(found.values(), key=lambda pair: pair[1].top_up != "uniform")
        return [Member(i, settings, spec) for i, (settings, spec) in enumerate(ordered)], list(refusals)

    def _controlled(self) -> tuple[tuple[Settings, ...], ...]:
        """The axes, with the control where it is wanted and missing."""
        if not self.control:
            return self.axes
        uniform: Settings = {"top_up": "uniform"}
        axes, named = [], False
        for axis in self.axes:
            top_ups = [alternative["top_up"] for alternative in axis if "top_up" in alternative]
            named |= bool(top_ups)
            axes.append((uniform, *axis) if top_ups and "uniform" not in top_ups else axis)
        if not named and self.base.get("top_up", RunSpec.top_up) != "uniform":
            axes.append(({}, uniform))
        return tuple(axes)

    @property
    def private(self) -> bool:
        """Whether someone's own text is asked about."""
        return any(member.spec.private for member in self.members)

    def card(self) -> Settings:
        """The sweep as JSON values, own texts replaced by their digests: safe to show and to share."""
        axes = [[shown(alternative) for alternative in axis] for axis in self.axes]
        return json.loads(json.dumps({"base": shown(self.base), "axes": axes, "control": self.control}))

    def key(self) -> str:
        """Hash of the questions (32 hex digits)."""
        keys = sorted(member.spec.key() for member in self.members)
        return hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:32]

    def to_json(self) -> str:
        """All settings, own text included: for the owner's store, never for the page."""
        return json.dumps({"base": self.base, "axes": self.axes, "control": self.control})

    @classmethod
    def from_json(cls, text: str) -> SweepSpec:
        """The inverse of :meth:`to_json`.

        Raises:
            UserError: the text is not JSON, or as the constructor.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError("The settings of this sweep cannot be read: they are not JSON.") from error
        if not isinstance(values, dict):
            raise UserError("A sweep is an object of base settings, and a list of axes, each a list of settings.")
        for name in values:
            if name not in KINDS:
                raise UserError(f"Part {reprlib.repr(name)} of a sweep is not known.{did_you_mean(str(name), KINDS)}")
        return cls(**values)


def _axis(axis: Any) -> tuple[Settings, ...]:
    if not isinstance(axis, (list, tuple)) or not axis or not all(isinstance(a, dict) and a for a in axis):
        raise UserError("An axis of a sweep is a list of settings, such as [{'sparsity': 0.5}, {'sparsity': 0.6}].")
    return tuple(dict(alternative) for alternative in axis)


def shown(settings: Settings) -> Settings:
    """Own texts as their digests, as in a config card."""
    return {
        name: hashlib.sha256(str(value).encode()).hexdigest() if name in OWN_TEXTS and value else value
        for name, value in settings.items()
    }


def _check_name(name: Any) -> None:
    names = list(RunSpec.__dataclass_fields__)
    if name not in names:
        raise UserError(f"Setting {reprlib.repr(name)} is not known.{did_you_mean(str(name), names)}")
