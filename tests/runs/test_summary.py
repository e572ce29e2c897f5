"""A run in a few figures."""

from __future__ import annotations

import json
from pathlib import Path

from neuroal.runs.events import (
    AllocationReady,
    CalibrationReady,
    LambdaChosen,
    Measured,
    PruningFinished,
    RunFinished,
)
from neuroal.runs.examples import load_examples
from neuroal.runs.log import RunLog
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.summary import ASKED, FIGURES, SCALE, summary

from .helpers import records_of, started


def measured(variant: str, metric: str, value: float, **details: object) -> Measured:
    return Measured(variant, metric, "prose", value, 0.5, 10, 16, 1.0, details)


def test_a_log_of_every_figure() -> None:
    spec = RunSpec(model="tiny", sparsity=0.7, top_up="owl")
    events = [
        started(spec),
        CalibrationReady("prose", 8, 16, "d", 0.1),
        LambdaChosen("block", 2, 0.15, 0.4, ()),
        AllocationReady("owl", (0.7,)),
        PruningFinished("uniform", 0.5, 1.0),
        PruningFinished("chosen", 0.701, 1.0),
        measured("dense", "perplexity", 20.0),
        measured("chosen", "perplexity", 50.0),
        measured("uniform", "perplexity", 60.0),
        measured("chosen", "alignment", 0.002),
        measured("uniform", "alignment", 0.003),
        measured("chosen", "divergence", 0.8, top1=0.6),
        measured("uniform", "divergence", 0.9, top1=0.1),
        measured("dense", "zeroshot", 0.5),
        measured("chosen", "zeroshot", 0.4),
        measured("chosen", "zeroshot/rte", 0.1),
        measured("chosen", "cost", 0.3),
        measured("chosen", "probes", float("inf"), verdict="healthy"),
        RunFinished(12.5, 1),
    ]
    records = records_of(events)
    records[3]["t"], records[1]["t"] = 9.25, 2.0
    found = summary(records)
    assert {name: found[name] for name in ("model", "top_up", "sparsity", "seed")} == {
        "model": "tiny", "top_up": "owl", "sparsity": 0.7, "seed": 0,
    }  # fmt: skip
    assert {name: found[name] for name in FIGURES} == {
        "achieved": 0.701, "perplexity": 50.0, "perplexity_stderr": 0.5, "perplexity_dense": 20.0,
        "perplexity_uniform": 60.0, "alignment": 0.002, "alignment_uniform": 0.003, "kl": 0.8, "top1": 0.6,
        "zeroshot": 0.4, "zeroshot_dense": 0.5, "encoded": 0.3, "block_lambda": 0.15, "row_lambda": None,
        "search_seconds": 7.25, "seconds": 12.5,
    }  # fmt: skip
    assert [found[name] for name in SCALE] == [None, "prose", 16, 10]
    assert found["verdict"] == "healthy" and found["started_at"] == "2026-01-15T10:00:00+00:00"


def test_nothing_yet() -> None:
    assert set(summary([])) == {*ASKED, *FIGURES, *SCALE, "verdict", "started_at"}
    assert not any(summary([]).values())


def test_what_is_no_number_is_none() -> None:
    assert summary(records_of([measured("chosen", "perplexity", float("inf"))]))["perplexity"] is None


def test_the_recorded_run_that_ships() -> None:
    example = next(iter(load_examples().values()))
    found = summary(example.records)
    assert found["pruner"] == "wanda" and 0.59 < found["achieved"] < 0.61
    assert found["perplexity_dense"] < found["perplexity"] < found["perplexity_uniform"]


def test_it_is_stored_with_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path)
    spec = RunSpec(model="tiny")
    store.add_run("r", spec.key(), spec.to_json(), private=False)
    log = RunLog("r", store)
    log.append(started(spec))
    assert store.run("r").summary == "{}"
    log.append(measured("chosen", "perplexity", 7.0))
    log.append(RunFinished(3.0, 1))
    assert json.loads(store.run("r").summary)["perplexity"] == 7.0
    store.close()
