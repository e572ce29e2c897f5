"""What a host's profile refuses, in one sentence each: which limit, what is allowed, what to do.

Every door leads past here (``Jobs`` asks before it queues anything): the page, the endpoints, sweeps, and a run that is
resumed or measured. The command line is the owner's and has no limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroal.errors import UserError
from neuroal.hosting.profile import Profile
from neuroal.models import access
from neuroal.models.menu import same, short

if TYPE_CHECKING:
    from neuroal.runs.spec import RunSpec
    from neuroal.sweeps.spec import SweepSpec

# Settings of a run, by the limit that holds for them.
BOUND = {
    "samples": ("samples", "prune_samples"),
    "length": ("length", "eval_length"),
    "windows": ("eval_windows",),
    "questions": ("task_limit",),
}
TEXTS = {"text": "The calibration text", "eval_text": "The held-out text"}


class Limits:
    """The limits of a profile, for runs and for sweeps of them."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def maximum(self, setting: str) -> int | None:
        """The most that a setting of a run may be here; None for no limit but its own."""
        return next((getattr(self.profile, limit) for limit, settings in BOUND.items() if setting in settings), None)

    def allows_model(self, name: str) -> bool:
        """Whether the profile's list, if it has one, names a model."""
        return not self.profile.models or same(name) in {same(allowed) for allowed in self.profile.models}

    def refuse(self, spec: RunSpec) -> None:
        """
        Raises:
            UserError: the run is more than this host allows, or its model cannot be looked up.
        """
        self._refuse_sizes(spec)
        self._refuse_model(spec)

    def refuse_sweep(self, spec: SweepSpec) -> None:
        """
        Raises:
            UserError: it has too many runs, or one of them is refused.
        """
        most, runs = self.profile.sweep, len(spec.members)
        if most == 0:
            raise UserError(f"Sweeps are switched off on {self.profile.where}; {self._instead('ask single runs')}.")
        if most is not None and runs > most:
            raise self._refusal(f"This sweep is {runs} runs", f"at most {most}", "leave some out")
        for member in spec.members:
            self.refuse(member.spec)

    def _refuse_sizes(self, spec: RunSpec) -> None:
        fields, idle = type(spec).__dataclass_fields__, spec.idle()
        for limit, settings in BOUND.items():
            most = getattr(self.profile, limit)
            for setting in (each for each in settings if each not in idle):
                value = getattr(spec, setting)
                if most is not None and value is not None and value > most:
                    label = fields[setting].metadata["label"]
                    raise self._refusal(f"{label} is {value:,}", f"at most {most:,}", "choose less")
        for setting, label in TEXTS.items():
            count = len(getattr(spec, setting))
            if self.profile.text is not None and count > self.profile.text:
                most = f"at most {self.profile.text:,}"
                raise self._refusal(f"{label} has {count:,} characters", most, "give a shorter one")

    def _refuse_model(self, spec: RunSpec) -> None:
        most = self.profile.parameters
        if not self.allows_model(spec.model):
            raise self._refusal(f"The model is {spec.model}", f"only {', '.join(self.profile.models)}", "choose one")
        access.require(spec.model)
        if most is None:
            return
        from neuroal.runs.estimate import facts

        count = facts(spec.model, spec.revision).parameters
        if count > most:
            allowed = f"at most {short(most)}"
            raise self._refusal(f"{spec.model} has {short(count)} parameters", allowed, "choose a smaller model")

    def _refusal(self, what: str, allowed: str, instead: str) -> UserError:
        return UserError(f"{what}, but {self.profile.where} allows {allowed}; {self._instead(instead)}.")

    def _instead(self, what: str) -> str:
        return f"{what}, or {self.profile.more}" if self.profile.more else what


def sentence(profile: Profile) -> str:
    """The limits of a host, for its page; empty where there are none to tell."""
    if not profile.limited:
        return ""
    told = f"On {profile.where}: {_models(profile)}{', '.join(_sizes(profile))}"
    return f"{told}; {profile.more}." if profile.more else f"{told}."


def _models(profile: Profile) -> str:
    if profile.models:
        *others, last = profile.models
        return f"the models {', '.join(others)} and {last}; " if others else f"the model {last}; "
    return f"models up to {short(profile.parameters)} parameters, " if profile.parameters is not None else ""


def _sizes(profile: Profile) -> list[str]:
    """What is counted, in the order of the form."""
    samples = "samples" if profile.samples is None else f"{profile.samples:,} samples"
    sized = {
        f"{samples} of {profile.length or 0:,} tokens": profile.length is not None,
        samples: profile.length is None and profile.samples is not None,
        f"{profile.text or 0:,} characters of own text": profile.text is not None,
        f"sweeps of {profile.sweep} runs": bool(profile.sweep),
        f"{profile.waiting} runs waiting each": True,
        f"{profile.minutes or 0:g} minutes a run": profile.minutes is not None,
        f"runs are kept {profile.retention_days} days at most": profile.retention_days is not None,
    }
    return [part for part, holds in sized.items() if holds]
