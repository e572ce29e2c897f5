"""What runs share: told again, never measured again, and only where nothing that it depends on differs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from neuroal.evaluation import perplexity
from neuroal.runs.events import BlockPruned, Event, Measured, Notice, PruningFinished, StageStarted
from neuroal.runs.pool import ModelPool
from neuroal.runs.run import run
from neuroal.runs.shared import Shared, as_control
from neuroal.runs.spec import RunSpec
from tests.runs.helpers import SMALL

KINDS = ("perplexity", "divergence")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The variants whose perplexity is really measured, in order."""
    seen: list[str] = []
    original = perplexity.iter_perplexity

    def watched(model: Any, windows: Any, *, variant: str) -> Any:
        seen.append(variant)
        return original(model, windows, variant=variant)

    monkeypatch.setattr(perplexity, "iter_perplexity", watched)
    torch.set_num_threads(1)
    return seen


def events_of(pool: ModelPool, **settings: Any) -> list[Event]:
    return list(run(RunSpec(model="random", **{**SMALL, "evaluations": KINDS, **settings}), pool=pool))


def figures(events: list[Event], *variants: str) -> list[Measured]:
    """Without the seconds, which differ between two measurements."""
    return [dataclasses.replace(e, seconds=0.0) for e in events if isinstance(e, Measured) and e.variant in variants]


def test_another_top_up_measures_its_own_model_only(loads: list[str], read: list[str]) -> None:
    pool = ModelPool()
    first = events_of(pool, top_up="neuroal", step="block")
    assert read == ["dense", "chosen", "uniform"]
    second = events_of(pool, top_up="owl")
    assert read == ["dense", "chosen", "uniform", "chosen"]
    assert figures(second, "dense", "uniform") == figures(first, "dense", "uniform")
    alone = events_of(ModelPool(), top_up="owl")
    assert figures(second, "dense", "chosen", "uniform") == figures(alone, "dense", "chosen", "uniform")


def test_the_page_is_told_of_the_controls_blocks_all_the_same(loads: list[str], read: list[str]) -> None:
    pool = ModelPool()
    blocks = []
    for top_up in ("owl", "alphapruning"):
        events = events_of(pool, top_up=top_up)
        blocks.append([e for e in events if isinstance(e, (BlockPruned, PruningFinished)) and e.variant == "uniform"])
        assert len([e for e in events if isinstance(e, StageStarted) and e.stage == "prune:uniform"]) == len(blocks) % 2
    assert blocks[0] == blocks[1] and len(blocks[0]) == 4


@pytest.mark.parametrize("settings", [{}, {"pattern": "2:4"}, {"pruner": "sparsegpt"}, {"exact_budget": True}])
def test_a_uniform_run_is_the_control_of_the_others(
    loads: list[str], read: list[str], settings: dict[str, Any]
) -> None:
    """To the last bit: it is the same pruning."""
    pool = ModelPool()
    events_of(pool, top_up="uniform", **settings)
    assert read == ["dense", "chosen"]
    told = events_of(pool, top_up="owl", **settings)
    alone = events_of(ModelPool(), top_up="owl", **settings)
    assert figures(told, "uniform") == figures(alone, "uniform") and len(figures(told, "uniform")) == 2
    blocks = [[e for e in each if isinstance(e, BlockPruned) and e.variant == "uniform"] for each in (told, alone)]
    assert blocks[0] == blocks[1] and len(blocks[0]) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"sparsity": 0.5}, {"pruner": "magnitude"}, {"seed": 1}, {"samples": 3}, {"exclude": ("*.o_proj",)},
        {"prune_samples": 1}, {"reconstruct": True}, {"exact_budget": True},
    ],
)  # fmt: skip
def test_a_control_that_would_be_another_is_made(loads: list[str], read: list[str], change: dict[str, Any]) -> None:
    pool = ModelPool()
    events_of(pool, top_up="owl", evaluations=("perplexity",))
    events_of(pool, top_up="owl", evaluations=("perplexity",), **change)
    assert read == ["dense", "chosen", "uniform", "chosen", "uniform"]


@pytest.mark.parametrize("change", [{"eval_windows": 4}, {"eval_length": 64}])
def test_other_held_out_windows_are_read(loads: list[str], read: list[str], change: dict[str, Any]) -> None:
    pool = ModelPool()
    events_of(pool, top_up="owl", evaluations=("perplexity",))
    events_of(pool, top_up="owl", evaluations=("perplexity",), **change)
    assert read == ["dense", "chosen", "uniform"] * 2


def test_a_run_that_was_cut_short_leaves_nothing_half(loads: list[str], read: list[str]) -> None:
    pool = ModelPool()
    settings = {**SMALL, "top_up": "owl", "evaluations": KINDS}
    cut = run(RunSpec(model="random", **settings), pool=pool)
    for event in cut:
        if isinstance(event, BlockPruned) and event.variant == "uniform":
            break
    cut.close()
    whole, alone = events_of(pool, top_up="owl"), events_of(ModelPool(), top_up="owl")
    assert figures(whole, "uniform") == figures(alone, "uniform")


def test_what_does_not_last_is_not_kept() -> None:
    shared = Shared(kept=2)
    shared.put("a", [StageStarted("evaluate:dense", "Reading."), Notice("A token.")])
    assert shared.get("a") == (Notice("A token."),)
    assert shared.get("b") is None
    shared.put("b", [])
    shared.get("a")
    shared.put("c", [])
    assert shared.get("b") is None and shared.get("a") is not None  # the one used longest ago went


def test_of_the_events_of_a_uniform_run_the_variant_alone_changes() -> None:
    measured = Measured("chosen", "perplexity", "prose", 7.0, 0.1, 9, 16, 1.0)
    assert as_control([measured, Notice("x")]) == [dataclasses.replace(measured, variant="uniform"), Notice("x")]
