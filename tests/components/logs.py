"""Event logs to fold, built from the real event dataclasses: small ones by hand, and one as long as a real run."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

from neuroal.runs import events as ev
from neuroal.runs.spec import RunSpec
from tests.components.calibrations import measured_on, told

Record = dict[str, Any]

BLOCK_LAMBDAS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.10, 0.12, 0.15, 0.20, 0.25)
ROW_LAMBDAS = (0.0, *BLOCK_LAMBDAS)
LINEARS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
           "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")  # fmt: skip


def numbered(events: Iterable[ev.Event | tuple[float, ev.Event]], start: int = 1, tick: float = 1.0) -> list[Record]:
    """Records as the store keeps them: numbered from ``start``; ``t`` as given, else ``tick`` seconds apart."""
    records = []
    for n, item in enumerate(events, start):
        t, event = item if isinstance(item, tuple) else (round((n - 1) * tick, 3), item)
        records.append({"n": n, "t": t, **event.to_dict()})
    return records


def started(**spec: Any) -> ev.RunStarted:
    """The config card of a run on a small machine."""
    card = RunSpec(**spec)
    versions = {"neuroal": "1.0.0", "torch": "2.13.0", "transformers": "5.1.0"}
    return ev.RunStarted(card.card(), card.key(), versions, {"device": "cpu", "cores": 2}, "2026-01-15T10:00:00Z")


def spread(lam: float, blocks: int, target: float = 0.6) -> tuple[float, ...]:
    """Sparsity per block for one lambda: linear in depth around the target."""
    return tuple(target - lam + 2 * lam * b / (blocks - 1) for b in range(blocks))


def model_ready(blocks: int) -> ev.ModelReady:
    return ev.ModelReady(
        "SmolLM2-135M-Instruct", "the local cache", blocks, 134_515_008, 106_168_320, LINEARS, "float32", "cpu", 2.1
    )


def measured(variant: str, value: float, stderr: float = 0.4) -> ev.Measured:
    return ev.Measured(variant, "perplexity", "prose", value, stderr, 8176, 512, 18.2)


class _Clock:
    """A realistic clock: every event is stamped a little after the one before."""

    def __init__(self, seed: int) -> None:
        self.t, self.random, self.log = 0.0, random.Random(seed), []

    def add(self, event: ev.Event, seconds: float = 0.02) -> None:
        self.t += seconds * self.random.uniform(0.7, 1.3)
        self.log.append((round(self.t, 3), event))


def realistic(blocks: int = 30, seed: int = 0, spec: dict[str, Any] | None = None) -> list[Record]:
    """A whole run: 14 block lambdas, 15 row lambdas, uniform and chosen pruning, three measurements (~1000 events)."""
    clock = _Clock(seed)
    clock.add(ev.Queued(1))
    clock.add(started(**(spec or {})), 0.5)
    clock.add(ev.StageStarted("model", "Loading SmolLM2-135M-Instruct from the local cache."))
    clock.add(model_ready(blocks), 2.1)
    clock.add(ev.StageStarted("calibration", "Drawing 8 calibration sequences of 256 tokens."))
    clock.add(ev.CalibrationReady("prose", 8, 256, "9f2c1e", 0.2), 0.2)
    clock.add(ev.RunPlanned(_plan(blocks)))
    clock.add(ev.StageStarted("search", "Searching lambda: pruning each block and comparing activations."))
    block_lambda = _search(clock, "block", BLOCK_LAMBDAS, blocks, best=0.09)
    clock.add(ev.Notice("q, k and v of block 29 keep the block's ratio: no later linear drives their rows."))
    _search(clock, "row", ROW_LAMBDAS, blocks, best=0.08, block_lambda=block_lambda)
    asked = spread(block_lambda, blocks)
    clock.add(ev.AllocationReady("neuroal", asked))
    clock.add(_rows(blocks, asked, clock.random))
    _prune(clock, "chosen", asked)
    _evaluate(clock, "dense", 19.73)
    _evaluate(clock, "chosen", 80.08)
    _prune(clock, "uniform", (0.6,) * blocks)
    _evaluate(clock, "uniform", 92.69)
    clock.add(ev.RunFinished(round(clock.t, 1), 1_480_000_000))
    return numbered(clock.log)


def _plan(blocks: int) -> dict[str, dict[str, float]]:
    """The work of a step is two passes per block and candidate; an evaluated batch costs about ten of those."""
    plan = {"block": {"units": 14 * blocks, "weight": 1.0}, "row": {"units": 15 * blocks, "weight": 1.1}}
    for variant in ("dense", "uniform", "chosen"):
        if variant != "dense":
            plan[f"prune:{variant}"] = {"units": blocks, "weight": 1.5}
        plan[f"evaluate:{variant}"] = {"units": 4, "weight": 10.0}
    return plan


def _search(
    clock: _Clock, step: str, lambdas: tuple[float, ...], blocks: int, best: float, block_lambda: float | None = None
) -> float:
    """Every candidate of a step. Early blocks score low, late ones high; a large lambda hurts the last blocks most."""
    clock.add(ev.SearchStarted(step, lambdas, blocks, 0.6))
    totals = []
    for index, lam in enumerate(lambdas):
        asked = spread(lam if block_lambda is None else block_lambda, blocks)
        clock.add(ev.CandidateStarted(step, index, lam, asked))
        terms = [_score(b / (blocks - 1), lam, best, clock.random) for b in range(blocks)]
        for block, term in enumerate(terms):
            clock.add(ev.BlockScored(step, index, lam, block, term), 0.06)
        totals.append(sum(terms))
        clock.add(ev.CandidateFinished(step, index, lam, totals[-1], round(0.06 * blocks, 2)))
    index = min(range(len(lambdas)), key=lambda i: totals[i])
    near = tuple(lam for i, lam in enumerate(lambdas) if i != index and totals[i] <= 1.01 * totals[index])
    clock.add(ev.LambdaChosen(step, index, lambdas[index], totals[index], near))
    return lambdas[index]


def _score(depth: float, lam: float, best: float, source: random.Random) -> float:
    """One term: grows with depth; lambda relieves the first blocks and burdens the last ones."""
    size = 6e-6 * math.exp(2.2 * depth)
    tilt = 1.6 * (lam - best) * (depth - 0.45) + 6 * (lam - best) ** 2
    return size * (1 + tilt + source.gauss(0, 0.015))


def _rows(blocks: int, asked: tuple[float, ...], source: random.Random) -> ev.RowsAllocated:
    """A bell per block around its ratio; the last block's rows all agree."""
    counts = []
    for block in range(blocks):
        bins = [0] * 50
        for _ in range(1200):
            width = 0.0 if block == blocks - 1 else 0.028
            bins[min(49, max(0, int(50 * source.gauss(asked[block], width))))] += 1
        counts.append(tuple(bins))
    linears = dict.fromkeys(LINEARS[3:6], (0.44, 0.6, 0.76))
    return ev.RowsAllocated(tuple(i / 50 for i in range(51)), tuple(counts), linears)


def _prune(clock: _Clock, variant: str, asked: tuple[float, ...]) -> None:
    word = "uniformly, as the control" if variant == "uniform" else "as chosen"
    clock.add(ev.StageStarted(f"prune:{variant}", f"Pruning {word}."))
    for block, ratio in enumerate(asked):
        achieved = ratio - 0.0009 if variant == "uniform" else ratio + 0.0007
        clock.add(ev.BlockPruned(variant, block, ratio, achieved, dict.fromkeys(LINEARS, achieved)), 0.09)
    clock.add(ev.PruningFinished(variant, sum(asked) / len(asked), 2.7))


def _evaluate(clock: _Clock, variant: str, perplexity: float) -> None:
    clock.add(ev.StageStarted(f"evaluate:{variant}", f"Measuring the {variant} model on held-out text."))
    for done in (4, 8, 12, 16):
        clock.add(ev.Evaluated(variant, done, 16), 0.6)
    clock.add(measured(variant, perplexity, 0.012 * perplexity))


def row_only(blocks: int = 4) -> list[Record]:
    """The row step alone: an alignment pass at uniform sparsity, then the rows' grid."""
    clock = _Clock(1)
    clock.add(started(step="row"))
    clock.add(ev.StageStarted("search", "Searching lambda."))
    clock.add(ev.CandidateStarted("alignment", 0, 0.0, (0.6,) * blocks))
    for block in range(blocks):
        clock.add(ev.BlockScored("alignment", 0, 0.0, block, 1e-5 * (block + 1)))
    clock.add(ev.CandidateFinished("alignment", 0, 0.0, 1e-4, 1.0))
    _search(clock, "row", ROW_LAMBDAS, blocks, best=0.05, block_lambda=0.0)
    return numbered(clock.log)


def uniform_only(blocks: int = 4) -> list[Record]:
    """No search: the same sparsity everywhere, pruned and measured."""
    clock = _Clock(2)
    clock.add(started(top_up="uniform"))
    clock.add(model_ready(blocks))
    clock.add(ev.AllocationReady("uniform", (0.6,) * blocks))
    _prune(clock, "chosen", (0.6,) * blocks)
    _evaluate(clock, "dense", 19.73)
    _evaluate(clock, "chosen", 12_345.678)
    clock.add(ev.RunFinished(12.5, 10**9))
    return numbered(clock.log)


def rated(blocks: int = 4, values: tuple[float, ...] = (4.5, 3.25, 3.5, 2.75)) -> list[Record]:
    """A top-up without search: every block is rated, then gets the less sparsity the more outliers it has."""
    clock = _Clock(3)
    clock.add(started(top_up="owl"))
    clock.add(model_ready(blocks))
    clock.add(ev.RunPlanned({"rate": {"units": blocks, "weight": 2.0}, **_plan(blocks)}))
    clock.add(ev.StageStarted("rate", "Rating every block of the dense model."))
    for block, value in enumerate(values):
        clock.add(ev.BlockRated("outliers", "weights beyond M times the mean, %", block, value))
    clock.add(ev.AllocationReady("owl", (0.52, 0.62, 0.6, 0.66)))
    _prune(clock, "chosen", (0.52, 0.62, 0.6, 0.66))
    _evaluate(clock, "chosen", 90.0)
    return numbered(clock.log)


def everything_measured(blocks: int = 4) -> list[Record]:
    """A uniform run of which everything was asked; figures are round, so that a table can be read off by hand."""
    clock = _Clock(5)
    clock.add(started(top_up="owl", evaluations=("perplexity", "divergence", "zeroshot", "probes", "cost")))
    clock.add(model_ready(blocks))
    clock.add(ev.RunPlanned({"evaluate:chosen:divergence": {"units": 2, "weight": 3.0}}))
    clock.add(ev.StageStarted("evaluate:chosen:divergence", "Comparing the predictions."))
    clock.add(ev.Evaluated("chosen", 1, 2, "divergence"))
    details = {"median_kl": 0.25, "p95_kl": 2.0, "top1": 0.75, "top1_stderr": 0.01, "top5": 0.5, "top5_stderr": 0.02,
               "loss_difference": 0.125, "loss_difference_stderr": 0.01}  # fmt: skip
    clock.add(ev.Measured("chosen", "divergence", "prose", 0.5, 0.05, 1016, 128, 1.0, details))
    clock.add(ev.Measured("uniform", "divergence", "prose", 0.75, 0.0, 1016, 128, 1.0, {**details, "top1": 0.625}))
    tops = ((("a", 0.5), ("b", 0.25)),)
    for start, text in enumerate(("One", " two", "\n")):
        known = start > 0
        clock.add(ev.TokensCompared(
            "chosen", start, 3, (text,), (float(start) if known else None,), (0.5 if known else None,),
            (0.05 if known else None,), tops if known else ((),), tops if known else ((),),
        ))  # fmt: skip
    for variant, blocks in (("chosen", [0.001, 0.004]), ("uniform", [0.00625, 0.0])):
        clock.add(ev.Measured(variant, "alignment", "prose", sum(blocks), 0.0, 64, 32, 1.0, {"blocks": blocks}))
    for variant, value in (("dense", 0.75), ("chosen", 0.5)):
        task = {"label": "RTE", "measure": "acc", "chance": 0.5, "notice": "Few."}
        clock.add(ev.Measured(variant, "zeroshot/rte", "prose", value, 0.125, 8, 0, 2.0, task))
        clock.add(ev.Measured(variant, "zeroshot", "prose", value, 0.125, 8, 0, 2.0, {"tasks": ["rte"], "chance": 0.5}))
    names = ("repetition", "distinct_1", "distinct_2", "non_words", "perplexity", "perplexity_new")
    figures = {name: {"value": 0.5, "stderr": 0.0, "n": 1} for name in names}
    figures["non_words"] = {"value": None, "stderr": 0.0, "n": 0}
    probes = {"verdict": "degraded", "reasons": ["It repeats itself."], "figures": figures, "dense": figures,
              "texts": [["Once", " upon <b>a</b>"]], "dense_texts": [""]}  # fmt: skip
    clock.add(ev.Measured("chosen", "probes", "prose", 7.5, 0.5, 48, 0, 1.0, probes))
    sizes = {"weights": 2000, "nonzeros": 1500, "dense": 8_000_000, "dense_zstd": 7_000_000, "bitmask": 4_000_000,
             "bitmask_zstd": 3_000_000, "zstd": 3_500_000}  # fmt: skip
    speeds = {"reading": [100.0, 200.0, 1234.0], "writing": [9.0, 9.5, 10.0]}
    card = {"sizes": sizes, "memory": {"dense": 8_000_000, "pruned": 8_000_000, "twin": 6_000_000}, "read": 128,
            "write": 32, "speeds": {"dense": speeds, "pruned": speeds}, "sentence": "Zeros do not speed up.",
            "products": []}  # fmt: skip
    clock.add(ev.Measured("chosen", "cost", "prose", 0.375, 0.0, 0, 0, 1.0, card))
    return numbered(clock.log)


def own_ratios() -> list[Record]:
    """A person's own ratio for each block: no target, no search."""
    ratios = (0.5, 0.7)
    clock = _Clock(4)
    clock.add(started(top_up="custom", block_sparsity=ratios, exclude=("*.down_proj",)))
    clock.add(model_ready(2))
    clock.add(ev.AllocationReady("custom", ratios))
    _prune(clock, "chosen", ratios)
    return numbered(clock.log)


def _resumed() -> list[Record]:
    """Interrupted in the fifth candidate and gone on with, which scores that candidate again."""
    whole = realistic(blocks=6)
    cut = next(i for i, r in enumerate(whole) if r["kind"] == "BlockScored" and (r["index"], r["block"]) == (4, 2))
    again = next(i for i, r in enumerate(whole) if r["kind"] == "CandidateStarted" and r["index"] == 4)
    t = whole[cut]["t"]
    middle = [{"n": 0, "t": t, **ev.RunInterrupted().to_dict()}, {"n": 0, "t": t, **ev.RunResumed().to_dict()}]
    return [{**record, "n": n} for n, record in enumerate([*whole[: cut + 1], *middle, *whole[again:]], 1)]


def _table() -> dict[str, list[Record]]:
    """Logs by name, on which everything that folds or draws must agree."""
    whole = realistic(blocks=6)
    return {
        "empty": [],
        "queued": numbered([ev.Queued(3), ev.Queued(1)]),
        "starting": whole[:8],
        "first candidate": whole[:14],
        "second candidate": whole[:21],
        "block step chosen": [r for r in whole if r.get("step") == "block"],
        "whole": whole,
        "repeated": [*whole, *whole[40:]],
        "resumed": _resumed(),
        "failed": [*whole[:50], {"n": 51, "t": 9.0, **ev.RunFailed("The model does not fit.").to_dict()}],
        "cancelled": [*whole[:60], {"n": 61, "t": 9.0, **ev.RunCancelled().to_dict()}],
        "over time": [*whole[:60], {"n": 61, "t": 9.0, **ev.RunInterrupted("It made way for others.").to_dict()}],
        "row only": row_only(),
        "alignment only": row_only()[:5],
        "uniform only": uniform_only(),
        "rating": rated()[:6],
        "rated": rated(),
        "rated without a figure": rated(values=(4.5, math.nan, 3.5)),
        "own ratios": own_ratios(),
        "everything measured": everything_measured(),
        "measured twice": [*everything_measured(), *everything_measured()[3:]],
        "one calibration": numbered([started(), told("this run", (0.1, None), 60.0, 65.5)]),
        "calibrations": numbered([started(), *measured_on([60.0, 64.0, 61.0, 63.5], [65.5, 68.0, 66.5, 68.0])]),
        "calibrations that come to nothing": numbered([started(), *measured_on([60.0, 64.0], [60.0, 64.0])]),
        "calibrations far apart": numbered([started(), *measured_on([60.0, 2e5, 1e7], [65.5, 1e304, 9e6])]),
        "calibrations that change nothing": numbered([started(), *measured_on([60.0] * 3, [50.0] * 3)]),
        "calibrations of a uniform run": numbered([started(top_up="uniform"), *measured_on([60.0, 2400.0], None)]),
        "a calibration without a figure": numbered([started(), *measured_on([60.0, 64.0, 61.0], None)[:2],
                                                    told("seed 2", (0.1, None), math.inf, 3.0)]),
        "collapsed": numbered([started(), measured("dense", 20.0), measured("chosen", float("inf"))]),
        "nothing drifts": numbered([ev.BlockScored("block", 0, 0.1, b, 0.0) for b in range(3)]),
        "from the future": numbered([started()]) + [{"n": 2, "t": 1.5, "kind": "FromTheFuture", "stage": "nowhere"}],
    }  # fmt: skip


TABLE = _table()
