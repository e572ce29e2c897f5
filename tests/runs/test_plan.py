"""The work of a run counted ahead: by hand, and against what a run really does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from neuroal.landscape import USUAL
from neuroal.runs import pool as pools
from neuroal.runs.estimate import STAGES
from neuroal.runs.events import BlockPruned, BlockRated, BlockScored, Evaluated, Event, RunPlanned
from neuroal.runs.plan import ALL_ELSE, PRODUCTS, Shape, plan
from neuroal.runs.run import run
from neuroal.runs.spec import RunSpec
from neuroal.topups import TOP_UPS
from tests.runs.helpers import SMALL

SHAPE = Shape(blocks=4, prunable=1000, parameters=1500)

# 2 x 32 tokens pass twice through a block, and selecting costs as much as 50: 2 * 64 + 50.
SEARCH = 178.0

# 9 windows of 128 tokens, 8 to a batch of 1024, through 4 blocks; the head makes it half as much again.
EVALUATION = {"units": 2, "weight": 8 * 128 * 4 * 1.5}


def planned(**settings: Any) -> dict[str, dict[str, float]]:
    return plan(RunSpec(**{**SMALL, **settings}), SHAPE)


def test_a_uniform_run_prunes_once_and_measures_twice() -> None:
    assert planned(top_up="uniform") == {
        "prune:chosen": {"units": 4, "weight": SEARCH},
        "evaluate:chosen": EVALUATION,
        "evaluate:dense": EVALUATION,
    }


@pytest.mark.parametrize(
    ("step", "searched"),
    [("block", {"block": 8}), ("row", {"alignment": 4, "row": 8}), ("both", {"block": 8, "row": 8})],
)
def test_a_search_scores_every_block_for_every_lambda(step: str, searched: dict[str, int]) -> None:
    """Two lambdas and four blocks; rows alone need one pass more for the alignment."""
    assert planned(step=step) == {
        **{stage: {"units": units, "weight": SEARCH} for stage, units in searched.items()},
        "prune:chosen": {"units": 4, "weight": SEARCH},
        "prune:uniform": {"units": 4, "weight": SEARCH},
        "evaluate:chosen": EVALUATION,
        "evaluate:dense": EVALUATION,
        "evaluate:uniform": EVALUATION,
    }


def test_refitting_is_work() -> None:
    """2 sequences of 32 tokens and 3 continuations of each: 256 tokens in 5 passes, solving, and 192 tokens written."""
    stages = planned(top_up="uniform", reconstruct=True)
    assert stages["prune:chosen"]["weight"] == 2 * 192 + 5 * 256 + 11_500 + 50
    alps = planned(top_up="uniform", reconstruct=True, pruner="alps")
    assert alps["prune:chosen"]["weight"] == 2 * 192 + 5 * 256 + 19_000


@pytest.mark.parametrize(("sparsity", "blocks"), [(0.6, 14 * 4), (0.79, 14 * 4), (0.8, 13 * 4), (0.9, 13 * 4)])
def test_the_grids_are_those_of_the_paper(sparsity: float, blocks: int) -> None:
    """14 slopes over blocks, from 0.8 on 13; 15 over rows, of which one is flat."""
    stages = planned(lambdas=None, mode="exact", sparsity=sparsity)
    assert (stages["block"]["units"], stages["row"]["units"]) == (blocks, 60)


def test_a_search_of_some_candidates_is_planned_with_what_it_usually_scores() -> None:
    stages = planned(lambdas=None)
    assert (stages["block"]["units"], stages["row"]["units"]) == (USUAL * 4, USUAL * 4)
    few = planned(lambdas=(0.1, 0.2))
    assert few["block"]["units"] == 2 * 4, "an own grid is scored in full"


def test_magnitude_passes_no_tokens_through_the_blocks_it_prunes() -> None:
    stages = planned(pruner="magnitude", step="block")
    assert stages["prune:chosen"]["weight"] == 50
    assert stages["block"]["weight"] == SEARCH, "its candidates are scored like any other's"


def test_pruning_may_use_more_sequences_than_the_search() -> None:
    stages = planned(prune_samples=5)
    assert stages["prune:chosen"]["weight"] == 2 * 5 * 32 + 50
    assert stages["block"]["weight"] == SEARCH


@pytest.mark.parametrize(
    ("windows", "length", "units", "tokens"),
    [
        (12, 128, 2, 1024),
        (16, 128, 2, 1024),
        (17, 128, 3, 1024),
        (3, 128, 1, 384),
        (5, 512, 3, 1024),
        (5, 2048, 5, 2048),
    ],
)
def test_held_out_windows_go_in_batches_of_1024_tokens(windows: int, length: int, units: int, tokens: int) -> None:
    stage = planned(eval_windows=windows, eval_length=length)["evaluate:dense"]
    assert stage == {"units": units, "weight": tokens * 4 * 1.5}


@pytest.mark.parametrize(("top_up", "weight"), [("owl", 2 * 32), ("alphapruning", 4000)])
def test_a_top_up_that_rates_passes_once_through_every_block(top_up: str, weight: int) -> None:
    """OWL with the tokens of the search; AlphaPruning takes as long over its spectra as 4000 tokens would."""
    stages = planned(top_up=top_up)
    assert stages["rate"] == {"units": 4, "weight": weight}
    assert set(stages) == {"rate", *planned(top_up="custom", block_sparsity=(0.5,))}


def test_sparsegpt_gathers_its_hessian_in_half_as_much_again() -> None:
    """Three passes' worth of 64 tokens for two, and 6000 to select."""
    stages = planned(pruner="sparsegpt", step="block")
    assert stages["block"]["weight"] == stages["prune:chosen"]["weight"] == 3 * 64 + 6000


def test_refining_looks_at_data_that_the_control_does_not_need() -> None:
    stages = planned(pruner="magnitude", top_up="dsnot")
    assert (stages["prune:chosen"]["weight"], stages["prune:uniform"]["weight"]) == (SEARCH, 50)


@pytest.mark.parametrize("top_up", TOP_UPS.labels)
def test_the_estimate_knows_every_stage(top_up: str) -> None:
    own = {"block_sparsity": (0.5, 0.6)} if top_up == "custom" else {}
    for step in ("row", "both"):
        assert {stage.partition(":")[0] for stage in planned(top_up=top_up, step=step, **own)} <= set(STAGES)


def test_without_evaluations_there_is_no_control() -> None:
    assert set(planned(evaluations=())) == {"block", "row", "prune:chosen"}


# --- against a real run ---------------------------------------------------------------------------------------------


def counted(events: list[Event]) -> dict[str, int]:
    """What the stages of a plan count."""
    found: Counter[str] = Counter()
    for event in events:
        if isinstance(event, BlockScored):
            found[event.step] += 1
        elif isinstance(event, BlockRated):
            found["rate"] += 1
        elif isinstance(event, BlockPruned):
            found[f"prune:{event.variant}"] += 1
        elif isinstance(event, Evaluated):
            found[f"evaluate:{event.variant}"] += 1
    return dict(found)


@pytest.mark.parametrize(
    "settings",
    [
        {"top_up": "uniform"},
        {"top_up": "uniform", "pruner": "magnitude"},
        {"step": "block"},
        {"step": "row"},
        {"step": "both"},
        {"step": "both", "pruner": "magnitude"},
        {"step": "both", "lambdas": None, "mode": "exact"},
        {"step": "block", "lambdas": None, "mode": "exact", "sparsity": 0.85, "evaluations": ()},
        {"step": "row", "prune_samples": 3, "eval_windows": 3, "eval_length": 512},
        {"top_up": "uniform", "evaluations": ()},
        {"step": "both", "lambdas": (0.1, 0.1, 0.2)},
        {"top_up": "owl"},
        {"top_up": "alphapruning", "evaluations": ()},
        {"top_up": "dsnot", "pruner": "magnitude"},
        {"top_up": "custom", "block_sparsity": (0.2, 0.3, 0.4)},
        {"step": "both", "pruner": "sparsegpt"},
        {"step": "block", "pattern": "1:4", "lambdas": None, "mode": "exact"},
        {"step": "block", "pattern": "1:16"},
    ],
    ids=str,
)
def test_a_run_does_exactly_what_was_planned(settings: dict[str, Any], loads: list[str]) -> None:
    events = list(run(RunSpec(model="random", **{**SMALL, **settings}), pool=pools.ModelPool()))
    (plans,) = [event for event in events if isinstance(event, RunPlanned)]
    assert counted(events) == {stage: unit["units"] for stage, unit in plans.units.items()}


def test_the_plan_knows_how_many_windows_the_held_out_text_has(
    loads: list[str], language_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text may hold fewer windows than were asked for."""
    from neuroal import calibration

    text = calibration.held_out_text("prose")[:3000]
    monkeypatch.setattr(calibration, "held_out_text", lambda *_: text)
    available = len(language_model.tokenizer(text).input_ids) // 128
    assert 0 < available < 1000
    spec = RunSpec(model="random", **{**SMALL, "top_up": "uniform", "eval_windows": 1000})
    events = list(run(spec, pool=pools.ModelPool()))
    (plans,) = [event for event in events if isinstance(event, RunPlanned)]
    assert counted(events) == {stage: unit["units"] for stage, unit in plans.units.items()}
    assert max(e.total for e in events if isinstance(e, Evaluated)) == available


def test_lambdas_scored_in_bfloat16_take_less_and_the_rows_need_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """By as much less as the machine multiplies bfloat16 faster; the one more is scored in float32."""
    plain = plan(RunSpec(model="tiny"), SHAPE)
    monkeypatch.setattr("neuroal.runs.plan.fast_bfloat16", lambda: True)
    monkeypatch.setattr("neuroal.runs.plan.bfloat16_time", lambda: 0.25)
    share, usual = PRODUCTS * 0.25 + ALL_ELSE, plain["block"]["units"] / SHAPE.blocks
    quick = plan(RunSpec(model="tiny"), SHAPE)
    assert quick["row"] == {"units": plain["row"]["units"], "weight": pytest.approx(share * plain["row"]["weight"])}
    assert quick["block"]["units"] == plain["block"]["units"] + SHAPE.blocks
    weights = share * plain["block"]["weight"] * usual + plain["block"]["weight"]
    assert quick["block"]["weight"] == pytest.approx(weights / (usual + 1))
    blocks = plan(RunSpec(model="tiny", step="block"), SHAPE)["block"]
    assert blocks == {"units": plain["block"]["units"], "weight": pytest.approx(share * plain["block"]["weight"])}
    for same in ({"mode": "exact"}, {"lambdas": (0.1,)}, {"dtype": "bfloat16"}):
        weight = plan(RunSpec(model="tiny", **same), SHAPE)["block"]["weight"]
        assert weight == plain["block"]["weight"]


@pytest.mark.parametrize(("time", "cuda"), [(1.0, False), (0.25, True)], ids=["no faster", "of the processor only"])
def test_bfloat16_that_does_not_help_takes_as_long_as_float32(
    monkeypatch: pytest.MonkeyPatch, time: float, cuda: bool
) -> None:
    plain = plan(RunSpec(model="tiny", step="block"), SHAPE)
    monkeypatch.setattr("neuroal.runs.plan.fast_bfloat16", lambda: True)
    monkeypatch.setattr("neuroal.runs.plan.bfloat16_time", lambda: time)
    monkeypatch.setattr("neuroal.runs.plan.has_cuda", lambda: cuda)
    assert plan(RunSpec(model="tiny", step="block"), SHAPE) == plain
