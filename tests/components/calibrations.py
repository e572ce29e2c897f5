"""What calibration sensitivity tells of several calibrations, as the evaluation would."""

from __future__ import annotations

import dataclasses

from neuroal.evaluation.sensitivity import Variation
from neuroal.evaluation.spread import spread
from neuroal.runs.events import Measured

# A few names in the order in which calibrations are measured.
WHATS = ("this run", "seed 1", "seed 2", "4 samples", "16 samples", "WikiText-2")


def told(what: str, lambdas: tuple[float | None, float | None], value: float, uniform: float | None) -> Measured:
    """As the evaluation tells of a calibration; standard errors are 0.5 and 0.25."""
    stderr = None if uniform is None else 0.25
    one = Variation(what, "prose", 0, 8, *lambdas, value, 0.5, uniform, stderr, 100)
    details = {"block_lambda": lambdas[0], "row_lambda": lambdas[1], "uniform": uniform, "uniform_stderr": stderr,
               "difference": one.difference}  # fmt: skip
    return Measured("chosen", f"sensitivity/{what}", "prose", value, 0.5, 100, 64, 1.0, details)


def summary(values: list[float], uniform: list[float] | None) -> Measured:
    """The last event of the evaluation."""
    found = spread(values, uniform)
    assert found is not None
    details = dataclasses.asdict(found)
    return Measured("chosen", "sensitivity", "prose", found.method.deviation, 0.0, 100, 64, 9.0, details)


def measured_on(values: list[float], uniform: list[float] | None) -> list[Measured]:
    """A figure for each calibration, then their summary."""
    controls = uniform or [None] * len(values)
    each = [told(what, (0.1, None), *figures) for what, *figures in zip(WHATS, values, controls, strict=False)]
    return [*each, summary(values, uniform)]
