"""The config card of a figure: all that it depends on, and whether two figures may be compared.

A figure is a Measured event; what it depends on is in the events before it. So a card is read from the log of a run,
now or years later, and nothing has to be kept beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]
Card = dict[str, Any]

# What must be the same for two figures of one metric to be on one scale, and how a person calls it.
SAME = {
    "metric": "the figure",
    "model": "the model",
    "revision": "the model's revision",
    "source": "the held-out text",
    "length": "the window length",
    "tokens": "the number of tokens or questions",
}

# Of the cost card also the machine: its figures are speeds.
SAME_MACHINE = {"hardware": "the hardware", "versions": "the versions of the libraries", "dtype": "the precision"}


def cards(records: Iterable[Record]) -> list[Card]:
    """A card for each figure of a run's log, in their order.

    Returns:
        plain JSON values: the figure (``metric``, ``variant``, ``value``, ``stderr``, ``tokens``, ``length``,
        ``source``, ``seconds``), ``model``, ``revision``, ``model_source``, ``dtype``, ``device``, ``spec``, ``key``,
        ``versions``, ``hardware``, ``date``, ``calibration`` (digest of the tokens) and ``achieved`` (fraction of zeros
        of the measured model, None for the dense one).
    """
    facts: Card = {}
    achieved: dict[str, float] = {}
    found = []
    for record in records:
        kind = record["kind"]
        if kind == "RunStarted":
            spec = record["spec"]
            facts |= {"model": spec.get("model"), "revision": spec.get("revision"), "date": record["started_at"]}
            facts |= {name: record[name] for name in ("spec", "key", "versions", "hardware")}
        elif kind == "ModelReady":
            facts |= {"model_source": record["source"], "dtype": record["dtype"], "device": record["device"]}
        elif kind == "CalibrationReady":
            facts["calibration"] = record["digest"]
        elif kind == "PruningFinished":
            achieved[record["variant"]] = record["overall"]
        elif kind == "Measured":
            names = ("metric", "variant", "value", "stderr", "tokens", "length", "source", "seconds")
            figure = {name: record[name] for name in names}
            found.append({**figure, **facts, "achieved": achieved.get(record["variant"])})
    return found


def perplexity_card(summary: Mapping[str, Any]) -> Card | None:
    """As much of the card of a run's perplexity as decides what it may be compared with.

    Args:
        summary: of a run, see ``neuroal.runs.summary``.

    Returns:
        None where nothing was measured.
    """
    if summary.get("perplexity") is None:
        return None
    measured = {name: summary.get(f"eval_{name}") for name in ("source", "length", "tokens")}
    return {"metric": "perplexity", "model": summary.get("model"), "revision": summary.get("revision"), **measured}


def differences(a: Card, b: Card) -> dict[str, tuple[Any, Any]]:
    """What differs in what two figures depend on, settings as ``spec.name``; the outcome itself is not looked at."""
    outcome = {"value", "stderr", "seconds", "spec", "key", "date"}
    pairs = {name: (a.get(name), b.get(name)) for name in (a.keys() | b.keys()) - outcome}
    one, other = a.get("spec") or {}, b.get("spec") or {}
    pairs |= {f"spec.{name}": (one.get(name), other.get(name)) for name in one.keys() | other.keys()}
    return {name: pair for name, pair in sorted(pairs.items()) if pair[0] != pair[1]}


def incomparable(a: Card, b: Card) -> tuple[str, ...]:
    """Why two figures are not on one scale, one sentence for each reason; empty where they may be compared."""
    needed = SAME | (SAME_MACHINE if "cost" in (a.get("metric"), b.get("metric")) else {})
    differing = differences(a, b)
    return tuple(
        f"{words[0].upper()}{words[1:]} differs: {differing[name][0]} and {differing[name][1]}."
        for name, words in needed.items()
        if name in differing
    )
