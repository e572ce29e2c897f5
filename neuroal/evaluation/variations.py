"""The calibrations that a run is repeated with."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from neuroal.errors import UserError
from neuroal.runs.estimate import MOST_TOKENS, kept_tokens
from neuroal.runs.spec import SOURCES, RunSpec
from neuroal.texts import at_hand

# The number of samples is multiplied by these.
FACTORS = (0.5, 2)


@dataclass(frozen=True)
class Change:
    """A calibration: ``what`` differs from the run's own ("seed 1"; "this run" for its own), and the spec with it."""

    what: str
    spec: RunSpec


def variations(spec: RunSpec) -> tuple[list[Change], list[str]]:
    """The other calibrations of a run, and a sentence for each that cannot be had: further seeds, half and twice the
    samples, and other texts that are on this machine."""
    changes, notices = [], []
    for i in range(1, spec.sensitivity_seeds + 1):
        seed = (spec.seed + i) % 2**31
        changes.append(Change(f"seed {seed}", dataclasses.replace(spec, seed=seed)))
    for factor in FACTORS:
        samples = int(spec.samples * factor)
        if not samples:
            continue
        try:
            changes.append(Change(f"{samples} sample{'s' * (samples > 1)}", _resized(spec, factor)))
        except UserError as error:
            notices.append(f"Calibration sensitivity leaves out {samples} samples: {error}")
    absent = []
    for source, label in SOURCES.items():
        name = label.removesuffix(" (Hub)")
        if source in (spec.source, "own"):
            continue
        if at_hand(source):
            changes.append(Change(name, dataclasses.replace(spec, source=source)))
        else:
            absent.append(name)
    if absent:
        notices.append(f"Calibration sensitivity leaves out {', '.join(absent)}: not on this machine.")
    return changes, notices


def _resized(spec: RunSpec, factor: float) -> RunSpec:
    """More or fewer samples to search with and to prune with; raises UserError beyond what a run may have."""
    prune = spec.prune_samples and max(1, int(spec.prune_samples * factor))
    resized = dataclasses.replace(spec, samples=int(spec.samples * factor), prune_samples=prune)
    if kept_tokens(resized) > MOST_TOKENS:
        raise UserError(
            f"These would be {kept_tokens(resized):,} tokens, but at most {MOST_TOKENS:,} are kept at once."
        )
    return resized
