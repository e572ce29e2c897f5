"""Calibration sensitivity against the public functions called by hand, its sums, and what it leaves out."""

from __future__ import annotations

import dataclasses
import gc
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import neuroal
from neuroal.errors import UserError
from neuroal.evaluation import quiet, sensitivity
from neuroal.evaluation import variations as varying
from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.evaluation.sensitivity import Sensitivity, Variation, iter_sensitivity, told_before, work
from neuroal.evaluation.variations import variations
from neuroal.models.loading import LanguageModel
from neuroal.runs import estimate as estimating
from neuroal.runs.estimate import check
from neuroal.runs.events import BlockPruned, BlockScored, Evaluated, Event, Measured, Notice
from neuroal.runs.plan import Shape, plan
from neuroal.runs.pool import ModelPool
from neuroal.runs.run import measure, run
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import known
from neuroal.twin import sparse_twin
from tests.events import drained
from tests.runs.helpers import records_of, weights_digest

SMALL: dict[str, Any] = {
    "model": "tiny", "step": "both", "lambdas": (0.05, 0.2), "samples": 2, "length": 16, "eval_windows": 2,
    "eval_length": 32, "evaluations": ("sensitivity",), "sensitivity_seeds": 1,
}  # fmt: skip
SHAPE = Shape(8, 1_474_560, 1_738_880)


@pytest.fixture(autouse=True)
def _every_event(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Progress at each inner event, and no texts of the person who runs this."""
    monkeypatch.setattr(quiet, "PAUSE", 0.0)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "no texts"))


@pytest.fixture
def windows(tiny: LanguageModel) -> Tensor:
    """int64 [2, 32]."""
    return neuroal.held_out_windows(tiny.tokenizer, windows=2, length=32)


def spec_of(**settings: Any) -> RunSpec:
    return RunSpec(**{**SMALL, **settings})


def by_hand(lm: LanguageModel, spec: RunSpec, windows: Tensor, **how: Any) -> tuple[neuroal.Allocation, float]:
    """Allocation and perplexity with the public functions, in a model of its own."""
    drawn = max(spec.samples, spec.prune_samples or 0)
    tokens = neuroal.calibration_tokens(lm.tokenizer, spec.source, drawn, spec.length, spec.seed)
    settings = {"pruner": spec.pruner, "top_up": spec.top_up, "step": spec.step, "lambdas": spec.lambdas,
                "sparsity": spec.sparsity, "mode": spec.mode, "reconstruct": spec.reconstruct,
                "continuations": spec.continuations, "pattern": spec.pattern, **how}  # fmt: skip
    allocation = neuroal.allocate(lm.model, tokens[: spec.samples], **settings)
    twin = sparse_twin(lm.model, (linear.path for linear in lm.stack.all_linears()))
    neuroal.prune(twin, tokens[: spec.prune_samples or spec.samples], allocation)
    return allocation, neuroal.perplexity(twin, windows)


def of(found: Sensitivity, what: str) -> Variation:
    return next(one for one in found.variations if one.what == what)


# --- the figures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"step": "block", "pattern": "2:4"},
        {"top_up": "owl", "prune_samples": 3},
        {"pruner": "magnitude", "step": "row"},
        {"top_up": "alphapruning", "reconstruct": True, "continuations": 1},
    ],
    ids=str,
)
def test_figures_are_those_of_the_public_functions(
    tiny: LanguageModel, windows: Tensor, settings: dict[str, Any]
) -> None:
    spec = spec_of(**settings)
    _, found = drained(iter_sensitivity(tiny, spec, windows))
    assert [one.what for one in found.variations] == ["seed 1", "1 sample", "4 samples"]
    sizes = [(1, 2, spec.prune_samples), (0, 1, spec.prune_samples and 1), (0, 4, spec.prune_samples and 6)]
    for one, (seed, samples, pruned) in zip(found.variations, sizes, strict=True):
        changed = dataclasses.replace(spec, seed=seed, samples=samples, prune_samples=pruned)
        allocation, figure = by_hand(tiny, changed, windows)
        control = {"top_up": "custom", "block_sparsity": (allocation.target,) * 8}
        assert (one.seed, one.samples, one.source) == (seed, samples, "prose")
        assert (one.block_lambda, one.row_lambda) == (allocation.block_lambda, allocation.row_lambda)
        assert one.perplexity == figure
        assert one.uniform == by_hand(tiny, changed, windows, **control)[1]
        assert one.uniform_stderr is not None and 0 < one.uniform_stderr < one.uniform
        assert one.difference == one.perplexity - one.uniform
        assert one.predictions == 2 * 31


def test_a_run_without_search_has_no_lambda(tiny: LanguageModel, windows: Tensor) -> None:
    _, found = drained(iter_sensitivity(tiny, spec_of(top_up="owl"), windows))
    assert {(one.block_lambda, one.row_lambda) for one in found.variations} == {(None, None)}
    assert found.spread is not None and found.spread.difference is not None


def test_uniform_is_its_own_control_and_measured_once(tiny: LanguageModel, windows: Tensor) -> None:
    spec = spec_of(top_up="uniform")
    log, found = drained(iter_sensitivity(tiny, spec, windows))
    assert of(found, "seed 1").perplexity == by_hand(tiny, dataclasses.replace(spec, seed=1), windows)[1]
    assert {(one.uniform, one.uniform_stderr, one.difference) for one in found.variations} == {(None, None, None)}
    assert found.spread is not None and found.spread.uniform is None
    assert "control" not in found.spread.sentence


def test_the_summary_is_that_of_the_variations(tiny: LanguageModel, windows: Tensor) -> None:
    _, found = drained(iter_sensitivity(tiny, spec_of(), windows))
    perplexities = [one.perplexity for one in found.variations]
    differences = [one.perplexity - one.uniform for one in found.variations if one.uniform is not None]
    assert found.spread is not None and found.spread.difference is not None
    assert found.spread.n == len(differences) == 3
    assert found.spread.method.mean == pytest.approx(sum(perplexities) / 3)
    assert found.spread.difference.mean == pytest.approx(sum(differences) / 3)
    mean = sum(differences) / 3
    variance = sum((d - mean) ** 2 for d in differences) / 2
    assert found.spread.difference.deviation == pytest.approx(variance**0.5)
    assert found.spread.difference.stderr == pytest.approx((variance / 3) ** 0.5)


# --- as a part of a run ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quiet, "PAUSE", 0.0)
        patch.setenv("HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("none")))
        return drained(neuroal.run(spec_of(evaluations=("perplexity", "sensitivity"))))[0]


def test_the_runs_own_figures_are_those_that_it_has(log: list[Event]) -> None:
    measured = {(e.metric, e.variant): e for e in log if isinstance(e, Measured)}
    own = measured["sensitivity/this run", "chosen"]
    assert own.value == measured["perplexity", "chosen"].value
    assert own.stderr == measured["perplexity", "chosen"].stderr
    assert own.details["uniform"] == measured["perplexity", "uniform"].value
    chosen = {e.to_dict()["step"]: e.to_dict()["lam"] for e in log if type(e).__name__ == "LambdaChosen"}
    assert chosen == {"block": own.details["block_lambda"], "row": own.details["row_lambda"]}


def test_asked_of_a_finished_run_it_is_the_same(log: list[Event]) -> None:
    """Its lambdas come from its log, its pruned model from the store; only the other calibrations are searched."""
    pool, kept = ModelPool(), []
    spec = spec_of(evaluations=("perplexity",))
    before = list(run(spec, pool=pool, keep=kept.append))
    more = dataclasses.replace(spec, evaluations=("perplexity", "sensitivity"), sensitivity_seeds=1)
    later = list(measure(more, kept[0].twin, pool=pool, known=known(records_of(before))))
    figures = [[(e.metric, e.value, e.details) for e in events if isinstance(e, Measured) and "sens" in e.metric]
               for events in (log, later)]  # fmt: skip
    assert figures[0] == figures[1] and len(figures[0]) == 5
    assert not any(isinstance(e, BlockScored) for e in later)


def test_each_calibration_is_told_as_soon_as_it_is_known_and_the_summary_last(log: list[Event]) -> None:
    names = [e.metric for e in log if isinstance(e, Measured) and e.metric.startswith("sensitivity")]
    assert names == [
        *(f"sensitivity/{what}" for what in ("this run", "seed 1", "1 sample", "4 samples")),
        "sensitivity",
    ]
    *each, summary = (e for e in log if isinstance(e, Measured) and e.metric.startswith("sensitivity"))
    first = next(i for i, e in enumerate(log) if e == each[0])
    assert any(isinstance(e, Evaluated) for e in log[first : next(i for i, e in enumerate(log) if e == each[1])])
    assert summary.value == pytest.approx(statistics.stdev(e.value for e in each))
    assert summary.details["n"] == 4 and summary.details["sentence"].startswith("Over 4 calibrations")
    paired = [e.value - e.details["uniform"] for e in each]
    assert summary.details["difference"]["mean"] == pytest.approx(statistics.fmean(paired))


def test_what_happens_inside_is_not_in_the_runs_log(log: list[Event]) -> None:
    """One search of two grids, two prunings: the run's own."""
    assert sum(isinstance(e, BlockScored) for e in log) == 2 * 2 * 8
    assert sum(isinstance(e, BlockPruned) for e in log) == 2 * 8
    names = [type(e).__name__ for e in log]
    assert names.count("AllocationReady") == names.count("RowsAllocated") == 1
    assert names.count("PruningFinished") == 2


def test_progress_grows_to_the_whole(log: list[Event]) -> None:
    told = [e.done for e in log if isinstance(e, Evaluated) and e.metric == "sensitivity"]
    assert told == sorted(told) and told[-1] == 100 and len(set(told)) > 50
    assert {e.total for e in log if isinstance(e, Evaluated) and e.metric == "sensitivity"} == {100}


def test_at_most_a_few_events_a_second(tiny: LanguageModel, windows: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the clock stands still only the ends of calibrations are told."""
    monkeypatch.setattr(quiet, "PAUSE", 0.3)
    monkeypatch.setattr(quiet.time, "monotonic", lambda: 1.0)
    events, found = drained(iter_sensitivity(tiny, spec_of(), windows))
    assert sum(isinstance(e, Evaluated) for e in events) == 1 + len(found.variations)


def test_an_own_grid_and_some_of_the_grid_are_both_planned(tiny: LanguageModel) -> None:
    """Of each calibration what a run of it would cost, without the dense model; of this run's only what is left."""
    spec = spec_of()
    units, weight = work(spec, SHAPE)
    total = walks = count = 0.0
    for changed in (spec, *(change.spec for change in variations(spec)[0])):
        stages = plan(dataclasses.replace(changed, evaluations=("perplexity",)), SHAPE)
        known = {"evaluate:dense"} | ({"block", "row", "prune:chosen"} if changed is spec else set())
        left = {name: stage for name, stage in stages.items() if name not in known}
        total += sum(stage["units"] * stage["weight"] for stage in left.values())
        count += sum(stage["units"] for stage in left.values())
        walks += len(left.keys() & {"block", "prune:chosen", "prune:uniform"})  # rows start where blocks have been
    assert walks == 1 + 3 * 3
    assert units == count
    assert units * weight == pytest.approx(total + walks * 8 * estimating.SETUP_TOKENS)
    assert plan(spec, SHAPE)["evaluate:chosen:sensitivity"] == {"units": units, "weight": weight}


def test_memory_is_that_of_a_second_twin_and_of_twice_the_samples() -> None:
    alone = {"evaluations": ("cost",), "top_up": "uniform", "dtype": "float32"}
    facts = estimating.facts("tiny", None)
    without, with_it = (estimating.estimate(spec_of(**{**alone, "evaluations": e})).memory
                        for e in (("cost",), ("sensitivity",)))  # fmt: skip
    twin = estimating.needed_bytes(facts.parameters, 4, 2 * facts.prunable / facts.parameters)
    one = estimating.needed_bytes(facts.parameters, 4, facts.prunable / facts.parameters)
    assert with_it - without == twin - one + 3 * 2 * 16 * facts.hidden * 4


# --- interrupted and resumed ----------------------------------------------------------------------------------------


def told(events: list[Event]) -> list[tuple[str, float, float, int, dict[str, Any]]]:
    """The figures of the evaluation, in their order."""
    return [(e.metric, e.value, e.stderr, e.tokens, e.details) for e in events
            if isinstance(e, Measured) and e.metric.startswith("sensitivity")]  # fmt: skip


def test_cut_after_any_event_it_goes_on_from_the_calibrations_that_were_measured(
    log: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut after each event from the first progress on; cuts that leave the same things known are tried once."""
    trials: list[str] = []
    real = sensitivity._Trial.measured

    def counted(trial: Any, own: Any) -> Any:
        trials.append(trial.what)
        return (yield from real(trial, own))

    monkeypatch.setattr(sensitivity._Trial, "measured", counted)
    spec, pool = spec_of(evaluations=("perplexity", "sensitivity")), ModelPool()
    begun = next(i for i, e in enumerate(log) if isinstance(e, Evaluated) and e.metric == "sensitivity")
    tried = 0
    for k in range(begun, len(log) - 1):
        if k > begun and not (isinstance(log[k - 1], Measured) and log[k - 1].metric.startswith("sensitivity/")):
            continue
        before, tried, trials[:] = log[:k], tried + 1, []
        resumed, _ = drained(run(spec, pool=pool, known=known(records_of(before))))
        assert told(before) + told(resumed) == told(log), f"cut after event {k}"
        assert len(trials) == 4 - len(told(before)), "what was measured is not measured again"
        progress = [e.done for e in resumed if isinstance(e, Evaluated) and e.metric == "sensitivity"]
        assert progress == sorted(progress) and progress[-1] == 100
    assert tried == 1 + 4, "nothing known, then each calibration"


def test_what_was_told_by_a_version_that_told_less_is_still_known(log: list[Event]) -> None:
    before = next(e for e in log if isinstance(e, Measured) and e.metric == "sensitivity/seed 1")
    less = {name: value for name, value in before.details.items() if name != "uniform_stderr"}
    older = dataclasses.replace(before, details=less)
    (found,) = told_before(
        {("sensitivity/seed 1", "chosen"): older, ("perplexity", "chosen"): older}, "chosen"
    ).values()
    assert (found.perplexity, found.uniform, found.uniform_stderr) == (before.value, before.details["uniform"], None)
    assert not told_before({("sensitivity/seed 1", "chosen"): older}, "uniform")


# --- what is left out -----------------------------------------------------------------------------------------------


def test_variations_of_the_default() -> None:
    changes, notices = variations(RunSpec(model="tiny", evaluations=("sensitivity",)))
    assert [c.what for c in changes] == ["seed 1", "seed 2", "4 samples", "16 samples"]
    assert notices == ["Calibration sensitivity leaves out WikiText-2, C4, Penn Treebank: not on this machine."]


def test_the_seed_goes_on_from_zero_at_the_end() -> None:
    changes, _ = variations(spec_of(seed=2**31 - 1, sensitivity_seeds=2))
    assert [c.spec.seed for c in changes[:2]] == [0, 1]


def test_half_of_one_sample_is_none() -> None:
    assert [c.what for c in variations(spec_of(samples=1))[0]] == ["seed 1", "2 samples"]


def test_more_samples_than_are_allowed_are_left_out_with_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    changes, notices = variations(spec_of(samples=200))
    assert [c.what for c in changes] == ["seed 1", "100 samples"]
    assert "leaves out 400 samples: Samples" in notices[0] and "1 to 256" in notices[0]
    monkeypatch.setattr(varying, "MOST_TOKENS", 2 * 16)
    changes, notices = variations(spec_of())
    assert [c.what for c in changes] == ["seed 1", "1 sample"]
    assert "64 tokens, but at most 32" in notices[0]


def test_a_text_on_this_machine_is_tried_and_one_that_fails_is_left_out(
    tiny: LanguageModel, windows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    prose = neuroal.calibration_tokens(tiny.tokenizer, samples=2, length=16, seed=7)

    def drawn(tokenizer: Any, source: str, *args: Any) -> Tensor:
        if source == "ptb":
            raise UserError("The text could not be loaded; choose another one.")
        return prose if source == "wikitext2" else neuroal.calibration_tokens(tokenizer, source, *args)

    monkeypatch.setattr(varying, "at_hand", lambda source: source in ("prose", "wikitext2", "ptb"))
    monkeypatch.setattr(sensitivity, "calibration_tokens", drawn)
    events, found = drained(iter_sensitivity(tiny, spec_of(step="block"), windows, variant="chosen"))
    assert [one.what for one in found.variations] == ["seed 1", "1 sample", "4 samples", "WikiText-2"]
    seven = dataclasses.replace(spec_of(step="block"), seed=7)
    assert of(found, "WikiText-2").perplexity == by_hand(tiny, seven, windows)[1]
    assert found.notices == (
        "Calibration sensitivity leaves out C4: not on this machine.",
        "Calibration sensitivity leaves out Penn Treebank: The text could not be loaded; choose another one.",
    )
    assert [e.done for e in events if isinstance(e, Evaluated)][-1] == 100


def test_the_bundled_text_is_the_other_one_of_a_run_on_own_text(tiny: LanguageModel) -> None:
    own = spec_of(source="own", text="Once upon a time there was a text of one's own. " * 20)
    changes, notices = variations(own)
    assert [(c.what, c.spec.source) for c in changes][-1] == ("Bundled prose", "prose")
    assert all(c.spec.text == own.text for c in changes[:-1])


def test_where_nothing_can_be_varied_the_run_goes_on(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other calibration fails: the run's own figure stands, without a summary."""

    def first_only(tokenizer: Any, source: str, samples: int, length: int, seed: int, text: str) -> Tensor:
        if (samples, seed) != (2, 0):
            raise UserError("No such text.")
        return neuroal.calibration_tokens(tokenizer, source, samples, length, seed)

    monkeypatch.setattr(sensitivity, "calibration_tokens", first_only)
    events, _ = drained(neuroal.run(spec_of(top_up="owl")))
    names = [e.metric for e in events if isinstance(e, Measured)]
    assert names == ["sensitivity/this run"]
    told = [e.message for e in events if isinstance(e, Notice)]
    assert "Calibration sensitivity leaves out seed 1: No such text." in told
    assert "says nothing" in told[-1]
    assert type(events[-1]).__name__ == "RunFinished"


@pytest.mark.parametrize("top_up", ["uniform", "alphapruning"])
def test_a_method_that_looks_at_no_text_is_refused(top_up: str) -> None:
    with pytest.raises(UserError, match="magnitude with the top-up .* looks at no calibration text"):
        check(spec_of(pruner="magnitude", top_up=top_up))
    check(spec_of(pruner="magnitude", top_up=top_up, evaluations=("perplexity",)))
    check(spec_of(pruner="magnitude", top_up="dsnot"))
    check(spec_of(pruner="magnitude", top_up=top_up, reconstruct=True))


def test_windows_of_no_length_are_refused(tiny: LanguageModel) -> None:
    _, found = drained(iter_sensitivity(tiny, spec_of(top_up="uniform"), torch.zeros(1, 1, dtype=torch.int64)))
    assert not found.variations and "must be [n, length]" in found.notices[-1]


# --- manners --------------------------------------------------------------------------------------------------------


def inner(events: list[Event]) -> int:
    return sum(isinstance(e, Evaluated) for e in events)


@pytest.mark.parametrize("inside", ["in_background", "iter_allocate", "iter_prune", "iter_perplexity"])
def test_closing_ends_what_is_going_on_inside(
    tiny: LanguageModel, windows: Tensor, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """At the first event of a text that is waited for, of a search, of a pruning, and of a reading."""
    closed: list[str] = []

    def watched(*args: Any, **kwargs: Any) -> Any:
        closed.append("begun")
        try:
            yield from real(*args, **kwargs)
            raise AssertionError("was not closed")
        except GeneratorExit:
            closed.append("closed")
            raise

    def waiting(*_: Any) -> Any:
        while True:
            yield None

    real = waiting if inside == "in_background" else getattr(sensitivity, inside)
    monkeypatch.setattr(sensitivity, inside, watched)
    before = weights_digest(tiny.model)
    events = iter_sensitivity(tiny, spec_of(), windows)
    while not closed:
        assert isinstance(next(events), Evaluated)
    events.close()
    assert closed == ["begun", "closed"]
    assert weights_digest(tiny.model) == before


def test_an_event_within_every_block(tiny: LanguageModel, windows: Tensor) -> None:
    """Between two blocks that are scored or pruned there is always a chance to stop."""
    events, found = drained(iter_sensitivity(tiny, spec_of(step="block", sensitivity_seeds=1), windows))
    for_one = 2 * 8 + 2 * 8 + 2
    assert inner(events) >= len(found.variations) * for_one


def test_the_dense_model_is_untouched_and_one_twin_is_kept_at_a_time(
    tiny: LanguageModel, windows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import weakref

    alive: list[weakref.ref[Any]] = []
    most = 0

    def counted(*args: Any) -> Any:
        nonlocal most
        gc.collect()
        twin = sparse_twin(*args)
        alive.append(weakref.ref(twin))
        most = max(most, sum(ref() is not None for ref in alive))
        return twin

    monkeypatch.setattr(sensitivity, "sparse_twin", counted)
    before = weights_digest(tiny.model)
    drained(iter_sensitivity(tiny, spec_of(step="block"), windows))
    assert (most, len(alive)) == (1, 2 * 3)
    assert weights_digest(tiny.model) == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in tiny.model.modules())


def test_it_is_offered_with_its_setting() -> None:
    kind = EVALUATIONS.get("sensitivity")
    assert (kind.variants, kind.settings, kind.rank) == (("chosen",), ("sensitivity_seeds",), 60)
    assert kind.sentence.format("pruned model")
