"""The evaluations of a run: their events, on which models, and what a plan says of them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest

import neuroal
from neuroal.errors import UserError
from neuroal.evaluation.divergence import iter_divergence
from neuroal.evaluation.kinds import EVALUATIONS, SHOWN_TOKENS, ZeroShot
from neuroal.runs.events import Evaluated, Event, Measured, StageStarted, TokensCompared
from neuroal.runs.plan import Shape, plan
from neuroal.runs.run import Known
from neuroal.runs.spec import RunSpec
from tests.events import drained

QUICK: dict[str, Any] = {
    "model": "tiny", "top_up": "owl", "samples": 2, "length": 16, "eval_windows": 3, "eval_length": 32,
}  # fmt: skip
SHAPE = Shape(8, 1_474_560, 1_738_880)


def measured(log: list[Event]) -> Counter[tuple[str, str]]:
    return Counter((e.metric, e.variant) for e in log if isinstance(e, Measured))


@pytest.fixture(scope="module")
def log() -> list[Event]:
    """A run with everything that needs no download."""
    spec = RunSpec(**QUICK, evaluations=("cost", "probes", "divergence", "perplexity"))
    return drained(neuroal.run(spec))[0]


def test_each_evaluation_measures_the_models_that_it_is_about(log: list[Event]) -> None:
    expected = {(name, variant) for name in ("perplexity", "divergence", "probes", "cost")
                for variant in EVALUATIONS.get(name).variants}  # fmt: skip
    assert measured(log) == dict.fromkeys(expected, 1)


def test_the_plan_counts_every_stage_and_nothing_else(log: list[Event]) -> None:
    spec = RunSpec(**QUICK, evaluations=("cost", "probes", "divergence", "perplexity"))
    planned = {stage for stage in plan(spec, SHAPE) if stage.startswith("evaluate:")}
    assert planned == {e.stage for e in log if isinstance(e, StageStarted) and e.stage.startswith("evaluate:")}
    told = {e.variant if e.metric == "perplexity" else f"{e.variant}:{e.metric}" for e in log
            if isinstance(e, Evaluated)}  # fmt: skip
    assert {f"evaluate:{key}" for key in told} == planned


def test_progress_ends_at_the_whole(log: list[Event]) -> None:
    last = {(e.metric, e.variant): e for e in log if isinstance(e, Evaluated)}
    assert all(e.done == e.total > 0 for e in last.values())


def test_the_divergence_is_that_of_the_pruned_model(log: list[Event]) -> None:
    """As by hand: the same allocation, pruned in a model of its own."""
    lm, again = neuroal.load("tiny"), neuroal.load("tiny")
    tokens = neuroal.calibration_tokens(lm.tokenizer, samples=2, length=16)
    windows = neuroal.held_out_windows(lm.tokenizer, windows=3, length=32)
    neuroal.prune(again.model, tokens, neuroal.allocate(lm.model, tokens, top_up="owl", sparsity=0.6))
    _, found = drained(iter_divergence(lm.model, again.model, windows))
    event = next(e for e in log if isinstance(e, Measured) and (e.metric, e.variant) == ("divergence", "chosen"))
    assert (event.value, event.stderr, event.tokens) == (found.kl, found.kl_stderr, found.predictions)
    rest = dataclasses.asdict(found)
    assert event.details == {k: v for k, v in rest.items() if k not in ("kl", "kl_stderr", "predictions", "notices")}


def test_one_text_is_told_token_by_token(log: list[Event]) -> None:
    told = [e for e in log if isinstance(e, TokensCompared)]
    assert {e.variant for e in told} == {"chosen"}
    assert sum(len(e.text) for e in told) == told[0].total == min(32, SHOWN_TOKENS)
    lm = neuroal.load("tiny")
    windows = neuroal.held_out_windows(lm.tokenizer, windows=3, length=32)
    assert "".join(piece for e in told for piece in e.text) == lm.tokenizer.decode(windows[0], skip_special_tokens=True)


def test_the_probes_carry_their_texts_and_the_card_its_sentence(log: list[Event]) -> None:
    found = {(e.metric, e.variant): e.details for e in log if isinstance(e, Measured)}
    probes = found["probes", "chosen"]
    assert probes["verdict"] in ("healthy", "degraded", "collapsed")
    assert len(probes["texts"]) == len(probes["dense_texts"]) == 8
    card = found["cost", "chosen"]
    assert card["sizes"]["nonzeros"] < card["sizes"]["weights"]
    assert "dense kernels" in card["sentence"]
    for smallest, middle, largest in (*card["speeds"]["dense"].values(), *card["speeds"]["pruned"].values()):
        assert 0 < smallest <= middle <= largest


def test_what_an_interrupted_run_had_measured_is_not_measured_again() -> None:
    figures = [Measured(variant, metric, "prose", 1.0, 0.0, 9, 9, 0.1) for metric, variant in
               (("divergence", "chosen"), ("perplexity", "dense"))]  # fmt: skip
    known = Known(measured={(figure.metric, figure.variant): figure for figure in figures})
    spec = RunSpec(**QUICK, evaluations=("divergence", "perplexity"))
    again, _ = drained(neuroal.run(spec, known=known))
    assert set(measured(again)) == {
        ("perplexity", "chosen"), ("perplexity", "uniform"), ("divergence", "uniform"),
    }  # fmt: skip


def test_no_control_is_made_where_nobody_looks_at_it() -> None:
    spec = RunSpec(**QUICK, evaluations=("cost",))
    assert "prune:uniform" not in plan(spec, SHAPE)
    assert "prune:uniform" in plan(RunSpec(**QUICK, evaluations=("divergence",)), SHAPE)
    assert "prune:uniform" not in plan(RunSpec(**QUICK | {"top_up": "uniform"}, evaluations=("divergence",)), SHAPE)


def test_cancelling_ends_within_an_evaluation() -> None:
    run = neuroal.run(RunSpec(**QUICK, evaluations=("probes",)))
    for event in run:
        if isinstance(event, StageStarted) and event.stage.endswith("probes"):
            break
    run.close()
    with pytest.raises(StopIteration):
        next(run)


def test_zero_shot_tasks_without_lm_eval_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroal.evaluation.zeroshot.available", lambda: "Zero-shot tasks need lm-eval.")
    from neuroal.runs.estimate import check

    check(RunSpec(**QUICK))
    with pytest.raises(UserError, match="need lm-eval"):
        check(RunSpec(**QUICK, evaluations=("zeroshot",)))


def test_a_figure_for_each_task_and_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RunSpec(**QUICK, evaluations=("zeroshot",), tasks=("rte", "piqa"), task_limit=2)
    log, _ = drained(neuroal.run(spec))
    assert measured(log) == {(m, v): 1 for m in ("zeroshot/rte", "zeroshot/piqa", "zeroshot")
                             for v in ("dense", "chosen")}  # fmt: skip
    for variant in ZeroShot.variants:
        found = {e.metric: e for e in log if isinstance(e, Measured) and e.variant == variant}
        rte, piqa, mean = (found[m] for m in ("zeroshot/rte", "zeroshot/piqa", "zeroshot"))
        assert mean.value == pytest.approx((rte.value + piqa.value) / 2)
        assert mean.stderr == pytest.approx((rte.stderr**2 + piqa.stderr**2) ** 0.5 / 2)
        assert (rte.tokens, mean.tokens, rte.details["chance"]) == (2, 4, 0.5)


def test_own_held_out_text_is_what_is_read() -> None:
    text = "The cat sat on the mat, and the dog lay by the door. " * 20
    spec = RunSpec(**QUICK, evaluations=("perplexity", "divergence"), eval_source="own", eval_text=text)
    log, _ = drained(neuroal.run(spec))
    lm = neuroal.load("tiny")
    windows = neuroal.held_out_windows(lm.tokenizer, "own", 3, 32, text)
    dense = next(e for e in log if isinstance(e, Measured) and e.variant == "dense")
    assert dense.value == pytest.approx(neuroal.perplexity(lm.model, windows))
    assert "".join(p for e in log if isinstance(e, TokensCompared) for p in e.text).startswith("The cat sat")
