"""Estimates by hand, and what is refused before any work."""

from __future__ import annotations

from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.runs import estimate as estimating
from neuroal.runs.estimate import check, duration, estimate
from neuroal.runs.plan import Shape, plan
from neuroal.runs.spec import RunSpec


def test_seconds_are_work_over_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,474,560 prunable weights in 8 blocks, two operations for each weight and token; one walk to prune, and a moment
    for each unit and each stage. Measuring reaches a smaller share of the speed. Attention at hidden size 128 adds 128
    operations for each token of a sequence, to the two times 184,320 of a block's weights."""
    monkeypatch.setattr(estimating, "machine_speed", lambda: 1e9)
    spec = RunSpec(model="tiny", top_up="uniform", pruner="wanda", samples=2, length=32, eval_windows=2, eval_length=64)
    work = plan(spec, Shape(8, 1_474_560, 1_738_880))

    def seconds(prefix: str, setup: int, efficiency: float, length: int) -> float:
        stages = [stage for name, stage in work.items() if name.startswith(prefix)]
        units = sum(stage["units"] for stage in stages)
        tokens = sum(stage["units"] * stage["weight"] for stage in stages) + setup
        moments = units * estimating.UNIT_SECONDS + len(stages) * estimating.STAGE_SECONDS
        return tokens * (2 * 184_320 + 128 * length) / (1e9 * efficiency) + moments

    assert estimate(spec).seconds == {
        "pruning": pytest.approx(seconds("prune", 8 * estimating.SETUP_TOKENS, estimating.EFFICIENCY, 32)),
        "measuring": pytest.approx(seconds("evaluate", 0, estimating.MEASURING_EFFICIENCY, 64)),
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (100, "2 min"), (3599, "1 h 0 min"), (5000, "1 h 23 min")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"length": 513, "eval_length": 64}, "context of tiny is 512"),
        ({"length": 64, "eval_length": 1024}, "Window length is 1024"),
        ({"length": 512, "eval_length": 64, "samples": 256, "prune_samples": None, "model": "tiny"}, None),
        ({"model": "nothing-of-this-name"}, "nothing-of-this-name"),
        ({"source": "own", "text": "short", "length": 64, "eval_length": 64}, "too few for sequences of 64"),
        ({"eval_source": "own", "eval_text": "short", "length": 64, "eval_length": 64}, "too few for sequences of 63"),
        ({"eval_source": "own", "eval_text": "s", "length": 64, "eval_length": 64, "evaluations": ()}, None),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, object], says: str | None) -> None:
    spec = RunSpec(**{"model": "tiny", **settings})
    if says is None:
        check(spec)
        return
    with pytest.raises(UserError, match=says):
        check(spec)


def test_too_many_tokens_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "MOST_TOKENS", 1000)
    with pytest.raises(UserError, match="at most 1,000"):
        check(RunSpec(model="tiny", samples=8, length=128, eval_length=64))


def test_the_control_needs_a_twin_of_its_own() -> None:
    """1,474,560 prunable weights of 4 bytes."""
    alone, measured = (
        estimate(RunSpec(model="tiny", dtype="float32", evaluations=e)).memory for e in ((), ("perplexity",))
    )
    assert measured - alone == 4 * 1_474_560


def test_what_the_model_writes_counts_in_memory_and_in_the_limit() -> None:
    spec = {"model": "tiny", "samples": 8, "length": 64, "prune_samples": 512, "reconstruct": True}
    assert estimate(RunSpec(**spec, continuations=15)).memory > estimate(RunSpec(**spec, continuations=0)).memory
    check(RunSpec(**spec, continuations=15))
    with pytest.raises(UserError, match="1,081,344 tokens.*fewer continuations"):
        check(RunSpec(**spec, continuations=32))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"pattern": "2:4"}, "one N per block"),
        ({"top_up": "dsnot", "pruner": "sparsegpt"}, "moves weights"),
        ({"top_up": "custom", "block_sparsity": (0.5, 0.6)}, "8 blocks; give one each"),
    ],
)
def test_what_would_be_refused_has_no_estimate(settings: dict[str, Any], sentence: str) -> None:
    """A person reads the sentence where the seconds would be, before pressing Run."""
    with pytest.raises(UserError, match=sentence):
        estimate(RunSpec(model="tiny", **settings))
