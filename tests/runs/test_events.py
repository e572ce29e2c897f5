"""Events: every kind survives the wire and the store equal to itself."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from neuroal.export.events import ExportFinished, ExportStarted, ExportStep, PushFinished
from neuroal.runs import events as ev
from neuroal.runs.events import Event
from neuroal.runs.log import ENDED, STATUS
from neuroal.runs.spec import RunSpec
from neuroal.sweeps.events import MemberFinished, MemberStarted, SweepStarted

CARD = RunSpec(lambdas=(0.1, 0.2)).card()

SAMPLES: list[Event] = [
    ev.Queued(2),
    ev.RunStarted(CARD, "0" * 32, {"torch": "2"}, {"processors": 2, "gpu": ""}, "2026-01-15T10:00:00+00:00"),
    ev.RunPlanned({"block": {"units": 6, "weight": 1.5}}),
    ev.StageStarted("model", "Loading."),
    ev.Notice("Something degraded."),
    ev.RunFinished(1.25, 10**9),
    ev.RunFailed("It failed."),
    ev.RunCancelled(),
    ev.RunInterrupted(),
    ev.RunResumed(),
    ev.ModelReady("tiny", "the app itself", 2, 100, 50, ("q", "k"), "float32", "cpu", 0.1),
    ev.CalibrationReady("prose", 2, 32, "ab" * 8, 0.1),
    ev.SearchStarted("block", (0.1, 0.2), 2, 0.6),
    ev.CandidateStarted("block", 1, 0.2, (0.4, 0.8)),
    ev.BlockScored("block", 1, 0.2, 0, 1 / 3),
    ev.CandidateFinished("block", 1, 0.2, 2 / 3, 0.1),
    ev.LambdaChosen("block", 0, 0.1, 0.5, (0.2,)),
    ev.BlockRated("outliers", "weights beyond M times the mean, %", 1, 2.5),
    ev.AllocationReady("neuroal", (0.5, 0.7)),
    ev.RowsAllocated((0.0, 0.5, 1.0), ((1, 2), (3, 4)), {"q": (0.1, 0.2, 0.3)}),
    ev.BlockPruned("chosen", 0, 0.5, 0.49, {"q": 0.49}),
    ev.PruningFinished("chosen", 0.6, 0.1),
    ev.Evaluated("dense", 2, 4),
    ev.Measured("dense", "perplexity", "prose", 12.5, 0.3, 100, 64, 0.1),
    ev.Measured("chosen", "divergence", "prose", 0.5, 0.1, 100, 64, 0.1, {"top1": 0.7, "worst": [{"kl": 2.5}]}),
    ev.TokensCompared(
        "chosen", 0, 2, ("a", " b"), (None, 0.5), (None, 0.1), (None, 0.2), ((), ((" b", 0.1),)), ((), ((" c", 0.9),))
    ),
    SweepStarted(
        {"base": {}}, ({"label": "OWL", "sparsity": 0.5, "settings": {}, "control": False},), ("No.",), "2026"
    ),
    ExportStarted("sparse", "model.sparse.zip", 10**9),
    ExportStep("pack", "Packing.", 5, 10),
    ExportFinished("sparse", "model.sparse.zip", 5, 10, "ab" * 32, "Checked.", 1.5),
    PushFinished("owner/name", "https://example.org/owner/name", True, 5, 1.5),
    MemberStarted(1, "a run"),
    MemberFinished(1, "a run", "finished", True, {"perplexity": 12.5, "kl": None}, ""),
]


def needed(field: dataclasses.Field[Any]) -> bool:
    """Later fields have defaults: a log of the past has none of them."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def test_there_is_a_sample_of_every_kind() -> None:
    assert {type(sample).__name__ for sample in SAMPLES} == set(Event.kinds)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda e: type(e).__name__)
def test_an_event_survives_json_equal_to_itself(event: Event) -> None:
    wire = json.loads(json.dumps({"n": 7, "t": 1.5, **event.to_dict()}, allow_nan=False))
    assert wire["kind"] == type(event).__name__
    assert Event.from_dict(wire) == event


@pytest.mark.parametrize("event", SAMPLES, ids=lambda e: type(e).__name__)
def test_fields_of_a_later_version_are_dropped(event: Event) -> None:
    assert Event.from_dict({**event.to_dict(), "brightness": [1], "colour": None}) == event


@pytest.mark.parametrize(
    ("event", "name"),
    [(e, f.name) for e in SAMPLES for f in dataclasses.fields(e) if needed(f)],
    ids=lambda x: str(x)[:20],
)
def test_a_missing_field_is_a_value_error(event: Event, name: str) -> None:
    record = event.to_dict()
    del record[name]
    with pytest.raises(ValueError, match="is incomplete"):
        Event.from_dict(record)


@pytest.mark.parametrize("kind", ["Unheard", "", "Event", None, 5, [], {}])
def test_an_unknown_kind_is_a_value_error(kind: Any) -> None:
    with pytest.raises(ValueError, match="Unknown event kind"):
        Event.from_dict({"kind": kind})
    with pytest.raises(ValueError, match="Unknown event kind"):
        Event.from_dict({})


@pytest.mark.parametrize("event", SAMPLES, ids=lambda e: type(e).__name__)
def test_an_event_cannot_be_changed(event: Event) -> None:
    for f in dataclasses.fields(event):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, f.name, 1)


def test_sequences_are_tuples_at_any_depth_from_the_start() -> None:
    event = ev.RowsAllocated([0.0, 1.0], [[1], [2]], {"q": [0.1, 0.2, 0.3]})  # type: ignore[arg-type]
    assert event == ev.RowsAllocated((0.0, 1.0), ((1,), (2,)), {"q": (0.1, 0.2, 0.3)})


def test_exactly_four_kinds_end_a_run() -> None:
    ending = {kind.__name__ for kind, status in STATUS.items() if status in ENDED}
    assert ending == {"RunFinished", "RunFailed", "RunCancelled", "RunInterrupted"}
