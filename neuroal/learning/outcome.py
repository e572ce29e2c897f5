"""Scenes about what comes of it: perplexity and words against uniform, and what pruning does not do."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from torch import nn

from neuroal.allocation import Allocation
from neuroal.api import drain
from neuroal.blocks import DecoderStack
from neuroal.evaluation.footprint import iter_footprint
from neuroal.evaluation.perplexity import perplexity
from neuroal.evaluation.throughput import iter_throughput
from neuroal.generation import Settings, generate_pair
from neuroal.learning.asked import Asked
from neuroal.learning.ground import Ground
from neuroal.pruning import iter_prune
from neuroal.twin import sparse_twin

PROMPT = "The old man looked at the sea and"
WORDS = 24

# Allocations whose figures are remembered: everyone asks for uniform ratios, and for a learner's best again.
KEPT_FIGURES = 128

# Pruned twins that are kept: whoever looks at the perplexity of a lambda looks at its words beside that of uniform.
KEPT_TWINS = 4

# Trials of the speed, and tokens written in each: a lesson waits for them.
REPEATS, WRITE = 3, 4


def result(ground: Ground, asked: Asked) -> dict[str, Any]:
    """Perplexity on held-out prose of the dense model, uniform ratios and the asked ones.

    Returns:
        ``perplexity``: by "dense", "uniform" and "chosen"; ``score``: the alignment score of the two pruned ones;
        ``achieved``: their fraction of zeros; ``mean``: of the asked ratios; ``windows``: [windows, tokens] that were
        read.
    """
    ratios = ground.ratios(asked)
    allocations = {"uniform": ground.uniform(asked), "chosen": ratios}
    found = {name: figures(ground, asked.pruner, allocation) for name, allocation in allocations.items()}
    return {
        "ratios": list(ratios),
        "mean": ground.mean(asked, ratios),
        "perplexity": {"dense": dense_perplexity(ground)} | {name: one.perplexity for name, one in found.items()},
        "score": {name: one.score for name, one in found.items()},
        "achieved": {name: one.achieved for name, one in found.items()},
        "windows": list(ground.windows.shape),
    }


def words(ground: Ground, asked: Asked) -> dict[str, Any]:
    """``text``: what the dense model ("dense") and the two pruned ones write on from ``prompt``, greedily."""
    uniform, chosen = (
        _twin(ground, asked.pruner, ratios)[0] for ratios in (ground.uniform(asked), ground.ratios(asked))
    )
    texts = dict(zip(("uniform", "chosen"), _written(ground, uniform, chosen), strict=True))
    return {"prompt": PROMPT, "text": {"dense": _dense_words(ground)} | texts}


def cost(ground: Ground, asked: Asked) -> dict[str, Any]:
    """Bytes of the weights in several forms: ``dense``, the same with zeros in it (``zeros``), that through zstd, and
    as a bitmask with the values that are left."""
    twin, _ = _twin(ground, asked.pruner, ground.ratios(asked))
    sizes = drain(iter_footprint(ground.lm.model, DecoderStack(twin)))
    return {
        "bytes": {"dense": sizes.dense, "zeros": sizes.dense, "zstd": sizes.zstd, "bitmask": sizes.bitmask},
        "dense_zstd": sizes.dense_zstd,
        "zeros": 1 - sizes.prunable_nonzeros / sizes.prunable,
        "share": sizes.prunable / sizes.weights,
    }


def speed(ground: Ground, asked: Asked) -> dict[str, Any]:
    """``rates``: tokens per second with which the dense and the pruned model read a text, a figure for each trial,
    measured in turn."""
    twin, _ = _twin(ground, asked.pruner, ground.ratios(asked))
    models = {"dense": ground.lm.model, "pruned": twin}
    rates = drain(iter_throughput(models, ground.windows[:1], write=WRITE, repeats=REPEATS))
    return {"rates": {name: list(found.reading.trials) for name, found in rates.items()}}


@dataclass(frozen=True)
class Figures:
    """What an allocation over the blocks comes to.

    Attributes:
        perplexity: on held-out prose.
        score: alignment score, lower is better.
        achieved: fraction of zeros in what was pruned.
    """

    perplexity: float
    score: float
    achieved: float


def figures(ground: Ground, pruner: str, ratios: tuple[float, ...]) -> Figures:
    """Prunes a twin to the blocks' ratios and measures it; remembered."""
    found, achieved = read(ground, pruner, ratios)
    return Figures(found, ground.score(pruner, ratios), achieved)


@functools.lru_cache(KEPT_FIGURES)
def read(ground: Ground, pruner: str, ratios: tuple[float, ...]) -> tuple[float, float]:
    """Perplexity on held-out prose of a twin pruned to the blocks' ratios, and its fraction of zeros; remembered."""
    twin, achieved = _twin(ground, pruner, ratios)
    return perplexity(twin, ground.windows), achieved


@functools.lru_cache(4)
def dense_perplexity(ground: Ground) -> float:
    """On the same prose; remembered."""
    return perplexity(ground.lm.model, ground.windows)


@functools.lru_cache(4)
def _dense_words(ground: Ground) -> str:
    """What the dense model writes; remembered."""
    return _written(ground, ground.lm.model, ground.lm.model)[0]


@functools.lru_cache(KEPT_TWINS)
def _twin(ground: Ground, pruner: str, ratios: tuple[float, ...]) -> tuple[nn.Module, float]:
    """A sparse twin pruned to the blocks' ratios, and the fraction of zeros it has; remembered."""
    linears = [linear.path for linear in ground.stack.all_linears()]
    twin = sparse_twin(ground.lm.model, linears)
    target = sum(ratios) / len(ratios)
    sparsity = ground.problem(pruner, target).spread(ratios)
    allocation = Allocation(pruner, "custom", None, target, sparsity)
    report = drain(iter_prune(twin, ground.tokens, allocation))
    return twin, report.overall


def _written(ground: Ground, one: nn.Module, other: nn.Module) -> tuple[str, str]:
    """What two models write greedily after the prompt, at the same time."""
    *_, pair = generate_pair(one, other, ground.lm.tokenizer, PROMPT, Settings(WORDS), chat=False)
    return pair.dense.text, pair.pruned.text
