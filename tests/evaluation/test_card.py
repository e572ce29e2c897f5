"""Cards read from logs, what tells two of them apart, and what makes figures incomparable."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

import neuroal
from neuroal.calibration import digest
from neuroal.evaluation.card import Card, cards, differences, incomparable
from neuroal.runs.events import Measured, PruningFinished
from neuroal.runs.spec import RunSpec
from tests.events import drained

SPEC = RunSpec(model="tiny", top_up="owl", samples=2, length=16, eval_windows=3, eval_length=32)


def run(**changes: Any) -> list[dict[str, Any]]:
    log, _ = drained(neuroal.run(dataclasses.replace(SPEC, **changes)))
    return json.loads(json.dumps([event.to_dict() for event in log]))  # as they come from the store


@pytest.fixture(scope="module")
def log() -> list[dict[str, Any]]:
    return run()


def of(log: list[dict[str, Any]], variant: str = "chosen") -> Card:
    return next(card for card in cards(log) if card["variant"] == variant)


def test_a_card_for_each_figure_with_all_that_it_depends_on(log: list[dict[str, Any]]) -> None:
    found = cards(log)
    assert [(c["metric"], c["variant"], c["value"]) for c in found] == [
        (r["metric"], r["variant"], r["value"]) for r in log if r["kind"] == Measured.__name__
    ]
    card = of(log)
    lm = neuroal.load("tiny")
    assert card["calibration"] == digest(neuroal.calibration_tokens(lm.tokenizer, samples=2, length=16))
    zeros = {r["variant"]: r["overall"] for r in log if r["kind"] == PruningFinished.__name__}
    assert (card["achieved"], of(log, "dense")["achieved"]) == (zeros["chosen"], None)
    assert card["spec"] == SPEC.card() and card["key"] == SPEC.key()
    assert {"torch", "transformers", "python"} <= set(card["versions"])
    assert card["hardware"]["processors"] > 0 and card["date"].startswith("20")
    assert (card["model"], card["dtype"], card["length"]) == ("tiny", "float32", 32)


def test_the_same_question_twice_has_no_differences(log: list[dict[str, Any]]) -> None:
    assert differences(of(log), of(run())) == {}


def test_what_was_asked_differently_is_told_and_comparable(log: list[dict[str, Any]]) -> None:
    other = of(run(seed=1, pruner="magnitude"))
    found = differences(of(log), other)
    assert found["spec.pruner"] == ("wanda", "magnitude")
    assert found["spec.seed"] == (0, 1)
    assert {"calibration", "spec.pruner", "spec.seed"} <= set(found) <= {
        "calibration", "achieved", "spec.pruner", "spec.seed",
    }  # fmt: skip
    assert incomparable(of(log), other) == ()
    assert incomparable(of(log), of(log, "dense")) == (), "another model of the same run"


def test_another_window_length_is_another_scale(log: list[dict[str, Any]]) -> None:
    assert incomparable(of(log), of(run(eval_length=64))) == (
        "The window length differs: 32 and 64.",
        "The number of tokens or questions differs: 93 and 189.",
    )


def test_speeds_need_the_same_machine(log: list[dict[str, Any]]) -> None:
    other = {**of(log), "hardware": {"machine": "another"}}
    assert incomparable(of(log), other) == ()
    costs = {**of(log), "metric": "cost"}, {**other, "metric": "cost"}
    assert [sentence.split(":")[0] for sentence in incomparable(*costs)] == ["The hardware differs"]


def test_a_log_that_was_cut_has_cards_of_what_is_there() -> None:
    measured = Measured("dense", "perplexity", "prose", 9.0, 0.1, 10, 5, 0.1).to_dict()
    assert cards([measured])[0]["value"] == 9.0
    assert cards([]) == []
