"""What a sweep will cost, before it starts."""

from __future__ import annotations

import pytest

from neuroal.errors import UserError
from neuroal.runs import estimate as estimates
from neuroal.runs.estimate import estimate
from neuroal.sweeps.estimate import SweepEstimate, check_sweep, estimate_sweep, spread_over
from neuroal.sweeps.spec import SweepSpec

BASE = {"model": "tiny", "samples": 2, "length": 32, "eval_windows": 4, "eval_length": 64}


@pytest.fixture(autouse=True)
def _a_known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "machine_speed", lambda: 1e11)


def nothing(_: object) -> None:
    return None


def test_what_runs_share_is_counted_once() -> None:
    spec = SweepSpec(BASE, ([{"top_up": t} for t in ("uniform", "owl", "alphapruning")],))
    uniform, owl, alpha = (member.spec for member in spec.members)
    shared = {"evaluate:dense", "evaluate:uniform", "prune:uniform"}
    expected = sum(
        sum(estimate(each, without=without).seconds.values())
        for each, without in ((uniform, set()), (owl, shared), (alpha, shared))  # uniform is the control of both
    )
    found = estimate_sweep(spec, nothing)
    assert found.seconds == pytest.approx(expected, rel=1e-9)
    alone = sum(sum(estimate(m.spec).seconds.values()) for m in spec.members)
    assert found.seconds < alone


def test_another_sparsity_has_another_control() -> None:
    axes = ([{"top_up": "owl"}, {"top_up": "alphapruning"}], [{"sparsity": 0.5}, {"sparsity": 0.6}])
    one = estimate_sweep(SweepSpec(BASE, (axes[0],), control=False), nothing).seconds
    both = estimate_sweep(SweepSpec(BASE, axes, control=False), nothing).seconds
    first = SweepSpec(BASE, axes, control=False).members[0].spec
    dense = sum(estimate(first).seconds.values()) - sum(estimate(first, without={"evaluate:dense"}).seconds.values())
    assert both == pytest.approx(2 * one - dense, rel=1e-6)


def test_answered_ones_cost_nothing() -> None:
    spec = SweepSpec(BASE, ([{"sparsity": 0.5}, {"sparsity": 0.6}],), control=False)
    found = estimate_sweep(spec, lambda s: "old" if s.sparsity == 0.5 else None)
    assert (found.runs, found.answered) == (2, 1)
    assert found.seconds == pytest.approx(sum(estimate(spec.members[1].spec).seconds.values()))
    assert estimate_sweep(spec, lambda s: "old").seconds == 0


def test_what_is_not_possible_is_told() -> None:
    lengths = SweepSpec({k: v for k, v in BASE.items() if k != "length"}, ([{"length": 32}, {"length": 8192}],))
    found = estimate_sweep(lengths, nothing)
    assert len(found.refused) == 2 and "context" in found.refused[0]
    check_sweep(lengths)
    impossible = SweepSpec({**BASE, "length": 8192}, ())
    with pytest.raises(UserError, match="context"):
        estimate_sweep(impossible, nothing)
    with pytest.raises(UserError, match="context"):
        check_sweep(impossible)


@pytest.mark.parametrize(
    ("seconds", "workers", "last"),
    [
        ([], 3, 0),
        ([3, 1, 2], 1, 6),
        ([3, 1, 2], 2, 3),  # the second takes 1 and 2
        ([1, 1, 1, 9], 4, 9),  # no sooner than the longest
        ([1, 1, 1, 9], 3, 10),  # which comes last
        ([60] * 300, 4, 4500),
    ],
)
def test_runs_are_taken_in_order_by_whoever_is_free(seconds: list[float], workers: int, last: float) -> None:
    assert spread_over(seconds, workers) == last


def test_the_estimate_knows_of_workers() -> None:
    spec = SweepSpec(BASE, ([{"sparsity": s} for s in (0.5, 0.6, 0.7, 0.8)],), control=False)
    alone = estimate_sweep(spec, nothing)
    two = estimate_sweep(spec, nothing, 2)
    assert (alone.workers, alone.spread, two.seconds) == (1, pytest.approx(alone.seconds), alone.seconds)
    assert alone.seconds / 2 < two.spread < 0.7 * alone.seconds, "the first one measures the dense model for all"
    assert estimate_sweep(spec, nothing, 2, pace=3.0).spread == pytest.approx(3 * two.spread)


def test_sentences() -> None:
    assert SweepEstimate(12, 0, (), 600).sentence == "12 runs. About 10 min in all."
    assert SweepEstimate(300, 0, (), 36000, 4, 9060).sentence == (
        "300 runs. About 10 h 0 min in all; over 4 workers about 2 h 31 min, if each is as fast as this machine."
    )
    assert SweepEstimate(1, 0, (), 5).sentence == "1 run. About 5 s in all."
    assert SweepEstimate(12, 12, (), 0).sentence == "12 runs, 12 of them answered before. Nothing is left to compute."
    assert SweepEstimate(3, 1, ("Too long.",), 5).sentence == (
        "3 runs, 1 of them answered before, 1 not possible here (Too long.). About 5 s in all."
    )
