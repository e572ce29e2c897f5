"""A whole run on a tiny model: what it says, what it leaves alone, and that an interruption changes nothing."""

from __future__ import annotations

import itertools
import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch

from neuroal import background
from neuroal.errors import UserError
from neuroal.runs import pool as pools
from neuroal.runs.events import (
    AllocationReady,
    BlockPruned,
    BlockRated,
    BlockScored,
    CandidateFinished,
    CandidateStarted,
    Event,
    LambdaChosen,
    Measured,
    Notice,
    PruningFinished,
    RowsAllocated,
    RunStarted,
    SearchStarted,
    StageStarted,
)
from neuroal.runs.plan import variants
from neuroal.runs.pool import ModelPool
from neuroal.runs.run import Known, Outcome, narrated, run
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import known
from neuroal.twin import sparse_twin
from tests.runs.conftest import TINY
from tests.runs.helpers import PATIENCE, SMALL, records_of, weights_digest

if TYPE_CHECKING:
    from neuroal.models.loading import LanguageModel

STEPS = ("block", "row", "both")


class Done:
    """A run to its end: its events and its outcome."""

    def __init__(self, spec: RunSpec, pool: ModelPool | None = None, known: Known | None = None) -> None:
        kept: list[Outcome] = []
        self.events = list(run(spec, pool=pool or ModelPool(), known=known, keep=kept.append))
        (self.outcome,) = kept

    def of(self, *kinds: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]


def spec_of(**settings: Any) -> RunSpec:
    return RunSpec(model="random", **{**SMALL, **settings})


def kinds_in_order(events: list[Event]) -> list[str]:
    """The kinds, runs of one kind shortened to one."""
    return [kind for kind, _ in itertools.groupby(type(event).__name__ for event in events)]


# --- what a run says ------------------------------------------------------------------------------------------------

PREPARED = ["RunStarted", "StageStarted", "ModelReady", "StageStarted", "CalibrationReady", "RunPlanned"]
PRUNED = ["StageStarted", "BlockPruned", "PruningFinished"]
MEASURED = ["StageStarted", "Evaluated", "Measured"]
SEARCHED = ["SearchStarted", *["CandidateStarted", "BlockScored", "CandidateFinished"] * 2, "LambdaChosen"]
REST = [*PRUNED, *MEASURED * 2, *PRUNED, *MEASURED, "RunFinished"]
ALIGNED = ["CandidateStarted", "BlockScored", "CandidateFinished"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"step": "block"}, [*PREPARED, "StageStarted", *SEARCHED, "AllocationReady", *REST]),
        ({"step": "row"}, [*PREPARED, "StageStarted", *ALIGNED, *SEARCHED, "AllocationReady", "RowsAllocated", *REST]),
        ({"step": "both"}, [*PREPARED, "StageStarted", *SEARCHED * 2, "AllocationReady", "RowsAllocated", *REST]),
        ({"top_up": "owl"}, [*PREPARED, "StageStarted", "BlockRated", "AllocationReady", *REST]),
        ({"top_up": "alphapruning"}, [*PREPARED, "StageStarted", "BlockRated", "AllocationReady", *REST]),
        ({"top_up": "custom", "block_sparsity": (0.5, 0.6, 0.7)}, [*PREPARED, "AllocationReady", *REST]),
        ({"top_up": "custom", "block_sparsity": (0.2, 0.3, 0.4)}, [*PREPARED, "Notice", "AllocationReady", *REST]),
        ({"top_up": "dsnot", "dsnot_cycles": 3}, [*PREPARED, "AllocationReady", *REST]),
        ({"top_up": "uniform"}, [*PREPARED, "AllocationReady", *PRUNED, *MEASURED * 2, "RunFinished"]),
        ({"top_up": "uniform", "evaluations": ()}, [*PREPARED, "AllocationReady", *PRUNED, "RunFinished"]),
        ({"step": "block", "evaluations": ()}, [*PREPARED, "StageStarted", *SEARCHED, "AllocationReady", *PRUNED,
                                               "RunFinished"]),
    ],
    ids=lambda x: str(x) if isinstance(x, dict) else "",
)  # fmt: skip
def test_the_order_of_events(loads: list[str], settings: dict[str, Any], expected: list[str]) -> None:
    done = Done(spec_of(**settings))
    assert kinds_in_order(done.events) == [kind for kind, _ in itertools.groupby(expected)]
    for event in done.events:
        assert Event.from_dict(json.loads(json.dumps(event.to_dict(), allow_nan=False))) == event


def test_what_is_measured_in_which_order(loads: list[str]) -> None:
    done = Done(spec_of())
    assert [m.variant for m in done.of(Measured)] == ["dense", "chosen", "uniform"]
    assert [p.variant for p in done.of(PruningFinished)] == ["chosen", "uniform"]
    assert set(variants(spec_of())) == {"dense", "chosen", "uniform"}


def test_a_uniform_run_is_its_own_control(loads: list[str]) -> None:
    done = Done(spec_of(top_up="uniform"))
    assert [m.variant for m in done.of(Measured)] == ["dense", "chosen"]
    assert {p.variant for p in done.of(BlockPruned)} == {"chosen"}
    assert done.of(SearchStarted, BlockScored, LambdaChosen, RowsAllocated) == []


def test_the_control_is_what_a_uniform_run_would_be(loads: list[str]) -> None:
    """Same pruner, same sparsity everywhere: the same perplexity to the last bit."""
    control = next(m for m in Done(spec_of()).of(Measured) if m.variant == "uniform")
    uniform = next(m for m in Done(spec_of(top_up="uniform")).of(Measured) if m.variant == "chosen")
    assert (control.value, control.stderr, control.tokens) == (uniform.value, uniform.stderr, uniform.tokens)


@pytest.mark.parametrize(("top_up", "measure"), [("owl", "outliers"), ("alphapruning", "alpha")])
def test_every_block_is_rated_in_its_own_stage(loads: list[str], top_up: str, measure: str) -> None:
    done = Done(spec_of(top_up=top_up, evaluations=()))
    assert [(r.measure, r.block) for r in done.of(BlockRated)] == [(measure, b) for b in range(3)]
    before = done.events[: done.events.index(done.of(BlockRated)[0])]
    assert [e.stage for e in before if isinstance(e, StageStarted)][-1] == "rate"


def test_the_control_of_own_ratios_has_their_mean(loads: list[str]) -> None:
    done = Done(spec_of(top_up="custom", block_sparsity=(0.25, 0.5, 0.75), sparsity=0.9))
    control = [p for p in done.of(BlockPruned) if p.variant == "uniform"]
    assert [p.requested for p in control] == pytest.approx([0.5] * 3)
    assert [p.overall for p in done.of(PruningFinished)] == pytest.approx([0.5, 0.5])


def test_own_ratios_and_a_pattern_have_a_control_of_their_mean(loads: list[str]) -> None:
    """1, 1 and 2 of every four: a third, where the pattern alone would prune half."""
    done = Done(spec_of(top_up="custom", block_sparsity=(0.25, 0.25, 0.5), pattern="2:4"))
    assert [p.overall for p in done.of(PruningFinished)] == pytest.approx([1 / 3, 1 / 3])


def test_the_control_has_all_the_options_of_the_run(loads: list[str]) -> None:
    """Excluded linears stay dense in both, and both keep the budget to the weight."""
    done = Done(spec_of(step="block", sparsity=0.613, exclude=("*.v_proj",), exact_budget=True))
    chosen, control = done.of(PruningFinished)
    assert chosen.overall == control.overall
    pruned = done.of(BlockPruned)
    assert len(pruned) == 6 and all(p.linears["self_attn.v_proj"] == 0 for p in pruned)


@pytest.mark.parametrize(
    "settings",
    [
        {"gqa": "base", "renormalise": True, "exclude": ("0",), "exact_budget": True},
        {"top_up": "owl", "owl_m": 3.0, "owl_lambda": 0.1, "exact_statistics": True},
        {"top_up": "alphapruning", "alpha_epsilon": 0.2},
        {"top_up": "dsnot", "dsnot_cycles": 2, "dsnot_threshold": 0.5},
        {"top_up": "custom", "block_sparsity": (0.5, 0.6, 0.7)},
        {"step": "block", "pattern": "2:4"},
    ],
    ids=str,
)
def test_every_option_of_a_spec_reaches_the_allocation(loads: list[str], settings: dict[str, Any]) -> None:
    options = Done(spec_of(evaluations=(), **settings)).outcome.allocation.options
    wanted = {name: value for name, value in settings.items() if name in options}
    assert len(wanted) >= 1 and {name: options[name] for name in wanted} == wanted


def test_the_smallest_score_is_chosen_and_scores_are_sums_over_blocks(loads: list[str]) -> None:
    done = Done(spec_of(step="block", lambdas=(0.25, 0.02, 0.1)))
    scores = {c.lam: c.score for c in done.of(CandidateFinished)}
    assert list(scores) == [0.25, 0.02, 0.1]
    for lam, score in scores.items():
        terms = [b.score for b in done.of(BlockScored) if b.lam == lam]
        assert len(terms) == 3 and sum(terms) == pytest.approx(score, rel=1e-12)
    (chosen,) = done.of(LambdaChosen)
    assert chosen.score == min(scores.values()) == scores[chosen.lam]
    assert done.outcome.allocation.block_lambda == chosen.lam
    assert done.outcome.allocation.block_scores == scores


def test_figures_agree_with_the_public_functions(loads: list[str], language_model: LanguageModel) -> None:
    """The run's perplexities are those of ``neuroal.perplexity`` on its twin and on the dense model."""
    import neuroal

    done = Done(spec_of())
    windows = neuroal.held_out_windows(language_model.tokenizer, "prose", 9, 128)
    figures = {m.variant: m for m in done.of(Measured)}
    assert figures["dense"].value == neuroal.perplexity(language_model.model, windows)
    assert figures["chosen"].value == neuroal.perplexity(done.outcome.twin, windows)
    assert figures["dense"].tokens == 9 * 127 and figures["dense"].length == 128


@pytest.mark.parametrize("prune_samples", [None, 1, 3])
def test_search_and_pruning_each_use_their_own_number_of_sequences(
    loads: list[str], language_model: LanguageModel, prune_samples: int | None
) -> None:
    """Scores and weights are those of the public functions on the first 2, and on the first 2, 1 or 3 sequences."""
    import neuroal

    tokens = neuroal.calibration_tokens(language_model.tokenizer, "prose", 3, 32, seed=0)
    allocation = neuroal.allocate(language_model.model, tokens[:2], step="both", sparsity=0.6, lambdas=(0.02, 0.2))
    paths = [x.path for x in language_model.stack.all_linears()]
    expected = sparse_twin(language_model.model, paths)
    neuroal.prune(expected, tokens[: prune_samples or 2], allocation)
    outcome = Done(spec_of(prune_samples=prune_samples, evaluations=())).outcome
    assert outcome.allocation.block_scores == allocation.block_scores
    assert outcome.allocation.row_scores == allocation.row_scores
    assert weights_digest(outcome.twin) == weights_digest(expected)


def test_the_card_is_told_first(loads: list[str]) -> None:
    spec = spec_of(source="own", text="A text of one's own, said again and again. " * 30)
    first = Done(spec).events[0]
    assert isinstance(first, RunStarted)
    assert first.key == spec.key() and first.spec["sparsity"] == 0.6
    assert "again and again" not in json.dumps(first.to_dict())
    assert set(first.versions) >= {"python", "torch", "transformers"} and first.hardware["processors"] >= 1


def test_what_is_known_of_the_weights_is_said(loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    loaded = pools.load("random")
    info = dataclasses.replace(loaded.info, notices=("The weights come from a 4-bit copy.",))
    monkeypatch.setattr(pools, "load", lambda *_, **__: dataclasses.replace(loaded, info=info))
    assert Notice("The weights come from a 4-bit copy.") in Done(spec_of(top_up="uniform")).events


# --- what is pruned -------------------------------------------------------------------------------------------------


def test_every_linear_is_as_sparse_as_asked(loads: list[str]) -> None:
    """Of each row floor(in * 0.6) go: 19 of 32 everywhere but in the MLP's last linear, 28 of 48 there."""
    done = Done(spec_of(top_up="uniform"))
    for event in done.of(BlockPruned):
        assert event.requested == pytest.approx(0.6)
        for name, achieved in event.linears.items():
            assert achieved == pytest.approx(28 / 48 if name == "mlp.down_proj" else 19 / 32)
    (finished,) = done.of(PruningFinished)
    assert finished.overall == pytest.approx(zeros_of(done.outcome))


def test_rows_keep_the_overall_sparsity(loads: list[str]) -> None:
    """Each row's count is truncated, by less than one weight of at least 32."""
    for step in STEPS:
        done = Done(spec_of(step=step))
        (allocated,) = done.of(AllocationReady)
        assert sum(allocated.sparsity) / 3 == pytest.approx(0.6, abs=1e-9)
        chosen = next(p for p in done.of(PruningFinished) if p.variant == "chosen")
        assert chosen.overall == zeros_of(done.outcome)
        assert abs(chosen.overall - 0.6) < 1 / 32


def zeros_of(outcome: Outcome) -> float:
    """Counted here, on the twin's weights."""
    weights = [outcome.twin.get_submodule(x.path).weight for x in outcome.language_model.stack.all_linears()]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)


def test_the_twin_owns_its_linears_and_shares_everything_else(loads: list[str], language_model: LanguageModel) -> None:
    twin, dense = Done(spec_of()).outcome.twin, language_model.model
    linears = {f"{x.path}.weight" for x in language_model.stack.all_linears()}
    assert len(linears) == 21
    twins, originals = dict(twin.named_parameters()), dict(dense.named_parameters())
    assert twins.keys() == originals.keys()
    for name, original in originals.items():
        if name in linears:
            assert twins[name].data_ptr() != original.data_ptr()
            kept = twins[name] != 0
            assert torch.equal(twins[name][kept], original[kept]), "Wanda moves no weight that it keeps"
            assert not kept.all()
        else:
            assert twins[name].data_ptr() == original.data_ptr()


# --- what is left alone ---------------------------------------------------------------------------------------------


def hooks(model: torch.nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("settings", [{"step": s} for s in STEPS] + [{"top_up": "uniform"}, {"pruner": "magnitude"}])
def test_a_finished_run_leaves_the_dense_model_bit_identical(
    loads: list[str], language_model: LanguageModel, settings: dict[str, Any]
) -> None:
    before = weights_digest(language_model.model)
    Done(spec_of(**settings))
    assert weights_digest(language_model.model) == before and hooks(language_model.model) == 0


STOPS: dict[str, Callable[[Event], bool]] = {
    "while loading": lambda e: isinstance(e, StageStarted) and e.stage == "model",
    "in the block search": lambda e: isinstance(e, BlockScored) and (e.step, e.index, e.block) == ("block", 1, 1),
    "in the row search": lambda e: isinstance(e, BlockScored) and (e.step, e.block) == ("row", 0),
    "in the pruning": lambda e: isinstance(e, BlockPruned) and e.block == 1,
    "in the evaluation": lambda e: type(e).__name__ == "Evaluated" and e.variant == "chosen",
    "in the pruning of the control": lambda e: isinstance(e, BlockPruned) and (e.variant, e.block) == ("uniform", 1),
}


@pytest.mark.parametrize("where", STOPS)
def test_a_run_cancelled_midway_leaves_the_dense_model_bit_identical(
    loads: list[str], language_model: LanguageModel, where: str
) -> None:
    before = weights_digest(language_model.model)
    kept: list[Outcome] = []
    events = run(spec_of(), pool=ModelPool(), keep=kept.append)
    assert any(STOPS[where](event) for event in events), "the run got that far"
    events.close()
    assert next(events, None) is None and kept == []
    assert weights_digest(language_model.model) == before and hooks(language_model.model) == 0


def test_two_runs_on_one_model_do_not_disturb_each_other(loads: list[str], language_model: LanguageModel) -> None:
    """Interleaved event by event, as two workers would, each gets what it gets alone."""
    specs = [spec_of(step="both"), spec_of(step="row", pruner="magnitude", sparsity=0.5)]
    alone = [Done(spec) for spec in specs]
    pool, kept, ended = ModelPool(), [[], []], object()
    going = [run(spec, pool=pool, keep=kept[i].append) for i, spec in enumerate(specs)]
    while going:
        going = [events for events in going if next(events, ended) is not ended]
    for i in range(2):
        assert weights_digest(kept[i][0].twin) == weights_digest(alone[i].outcome.twin)


def test_the_dense_model_is_measured_once(loads: list[str]) -> None:
    pool = ModelPool()
    first, second = Done(spec_of(step="block"), pool), Done(spec_of(step="row"), pool)
    figures = [next(m for m in d.of(Measured) if m.variant == "dense").value for d in (first, second)]
    evaluated = [
        sum(type(e).__name__ == "Evaluated" and e.variant == "dense" for e in d.events) for d in (first, second)
    ]
    assert figures[0] == figures[1] and evaluated == [2, 0]
    other = Done(spec_of(step="block", eval_windows=3), pool)
    assert any(type(e).__name__ == "Evaluated" and e.variant == "dense" for e in other.events)


# --- interrupted and resumed ----------------------------------------------------------------------------------------


# Held-out text of a single batch, where the search is what matters.
BRIEF = {"eval_windows": 2, "eval_length": 32}


def figures_of(done: Done) -> dict[str, Any]:
    """All that a run finds out."""
    allocation = done.outcome.allocation
    return {
        "weights": weights_digest(done.outcome.twin),
        "lambdas": (allocation.block_lambda, allocation.row_lambda),
        "scores": (allocation.block_scores, allocation.row_scores),
        "pruned": [(p.variant, p.overall) for p in done.of(PruningFinished) if p.variant == "chosen"],
    }


def measured_in(records: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    return {r["variant"]: (r["value"], r["stderr"]) for r in records if r["kind"] == "Measured"}


@pytest.mark.parametrize("step", STEPS)
def test_a_run_cut_after_any_event_comes_to_the_same_result(loads: list[str], step: str) -> None:
    """Cut after each event in turn; cuts that leave the same things known are tried once."""
    lambdas = (0.2, 0.0, 0.05)
    spec = spec_of(step=step, lambdas=lambdas, **BRIEF)
    whole = Done(spec)
    records, tried = records_of(whole.events), []
    for k in range(1, len(records)):
        before = known(json.loads(json.dumps(records[:k])))
        if (dict(before.scores), set(before.measured)) in tried:
            continue
        tried.append((dict(before.scores), set(before.measured)))
        resumed = Done(spec, known=before)
        assert figures_of(resumed) == figures_of(whole), f"cut after event {k}"
        assert {**measured_in(records[:k]), **measured_in(records_of(resumed.events))} == measured_in(records)
        assert not before.measured.keys() & {(m.metric, m.variant) for m in resumed.of(Measured)}
        walked = {(c.step, c.lam) for c in resumed.of(CandidateStarted)}
        assert not walked & {key for key in before.scores if key[0] != "alignment"}, "finished candidates stay finished"
    candidates = len(lambdas) * (2 if step == "both" else 1) + (step == "row")
    assert len(tried) == 1 + candidates + 3, "nothing known, then each candidate, then each figure"


@pytest.mark.parametrize("step", STEPS)
def test_a_run_cut_again_and_again_comes_to_the_same_result(loads: list[str], step: str) -> None:
    """Every part ends in the middle of a candidate; the log grows over all parts, as it does in the store."""
    spec = spec_of(step=step, lambdas=(0.02, 0.1, 0.2), **BRIEF)
    whole, log, parts = Done(spec), [], 0
    kept: list[Outcome] = []
    while not kept:
        finished, parts = len(finished_in(log)), parts + 1
        for event in run(spec, pool=ModelPool(), known=known(records_of(log)), keep=kept.append):
            log.append(event)
            if len(finished_in(log)) > finished and isinstance(event, BlockScored):
                break
    assert parts > 2
    assert weights_digest(kept[0].twin) == weights_digest(whole.outcome.twin)
    assert kept[0].allocation.block_scores == whole.outcome.allocation.block_scores
    assert kept[0].allocation.row_scores == whole.outcome.allocation.row_scores
    assert len(finished_in(log)) == len(set(finished_in(log))), "no candidate was finished twice"


def finished_in(log: list[Event]) -> list[tuple[str, float]]:
    """The candidates; the alignment pass is none, and is walked again by every part that needs its vectors."""
    return [(e.step, e.lam) for e in log if isinstance(e, CandidateFinished) and e.step != "alignment"]


def test_what_is_known_is_read_from_the_log() -> None:
    log: list[Event] = [
        CandidateStarted("block", 0, 0.1, (0.5,)),
        CandidateFinished("block", 0, 0.1, 1 / 3, 0.1),
        CandidateStarted("block", 1, 0.2, (0.5,)),
        BlockScored("block", 1, 0.2, 0, 0.5),
        CandidateFinished("row", 0, 0.1, 2 / 3, 0.1),
        Measured("dense", "perplexity", "prose", 9.0, 0.1, 10, 5, 0.1),
    ]
    found = known(records_of(log))
    assert found.scores == {("block", 0.1): 1 / 3, ("row", 0.1): 2 / 3}
    assert found.measured == {("perplexity", "dense"): log[-1]}
    assert known([]) == Known()


# --- loading --------------------------------------------------------------------------------------------------------


def test_the_pool_loads_once_for_all_and_lets_the_oldest_go(loads: list[str]) -> None:
    pool = ModelPool(kept=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        pool.get(name)
    assert loads == ["a", "b", "c", "b"]
    assert pool.is_loaded("a") and pool.is_loaded("b") and not pool.is_loaded("c")
    pool.get("a", dtype="float16")
    assert loads[-1] == "a"


def test_two_who_want_the_same_model_wait_for_one_load(
    language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate, names, released = threading.Event(), threading.Event(), [], []

    def load(name: str, **_: Any) -> LanguageModel:
        names.append(name)
        if name == "slow":
            begun.set()
            released.append(gate.wait(PATIENCE))
        return language_model

    monkeypatch.setattr(pools, "load", load)
    pool = ModelPool()
    threads = [threading.Thread(target=pool.get, args=("slow",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(PATIENCE)
    assert pool.get("another") is language_model, "who wants another one does not wait"
    gate.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert names == ["slow", "another"] and released == [True]


def test_a_load_that_fails_can_be_tried_again(language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [UserError("The download broke off."), language_model]

    def load(name: str, **_: Any) -> LanguageModel:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(pools, "load", load)
    pool = ModelPool()
    with pytest.raises(UserError, match="broke off"):
        list(run(spec_of(), pool=pool))
    assert not pool.is_loaded("random")
    assert pool.get("random") is language_model


def test_what_the_loader_says_is_told_in_order() -> None:
    def work(say: Callable[[str], None]) -> int:
        for sentence in ("one", "two"):
            say(sentence)
        return 7

    assert drained(narrated("model", "Loading.", work)) == ([("model", m) for m in ("Loading.", "one", "two")], 7)


def test_silent_work_is_heard_of_so_that_it_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that says nothing, or a second run waiting for the load of the first."""
    monkeypatch.setattr(background, "HEARTBEAT", 0.01)
    gate = threading.Event()
    events = narrated("model", "Loading x.", lambda say: gate.wait(PATIENCE))
    assert next(events).message == "Loading x."
    assert next(events).message == "Loading x (0 s)"
    gate.set()
    events.close()


def test_a_fault_in_the_work_is_raised_where_the_run_is_drained() -> None:
    def work(say: Callable[[str], None]) -> None:
        say("nearly there")
        raise MemoryError("too large")

    events = narrated("model", "Loading.", work)
    assert [next(events).message for _ in range(2)] == ["Loading.", "nearly there"]
    with pytest.raises(MemoryError, match="too large"):
        next(events)


def drained(events: Iterator[Any]) -> tuple[list[tuple[str, str]], Any]:
    said = []
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            return said, end.value
        said.append((event.stage, event.message))


# --- the teaching model ---------------------------------------------------------------------------------------------


def test_the_teaching_model_runs_as_shipped() -> None:
    """Loaded for real and with its own tokenizer; nothing is said about its figures but what holds for any."""
    spec = RunSpec(model=str(TINY), step="block", lambdas=(0.05,), samples=2, length=32, eval_windows=2, eval_length=64)
    done = Done(spec)
    assert [m.variant for m in done.of(Measured)] == ["dense", "chosen", "uniform"]
    assert all(math.isfinite(m.value) and m.value > 1 for m in done.of(Measured))
    assert zeros_of(done.outcome) == pytest.approx(0.6, abs=0.02)
