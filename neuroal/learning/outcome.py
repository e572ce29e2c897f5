"""Scenes about what comes of it: perplexity and words against uniform, and what pruning does not do."""

from __future__ import annotations

import functools
from typing import Any

from torch import nn

from neuroal.allocation import Allocation
from neuroal.api import drain
from neuroal.blocks import DecoderStack
from neuroal.evaluation.footprint import iter_footprint
from neuroal.evaluation.perplexity import perplexity
from neuroal.evaluation.throughput import iter_throughput
from neuroal.generation import Pair, Settings, generate_pair
from neuroal.learning.asked import Asked
from neuroal.learning.ground import Ground
from neuroal.pruning import iter_prune
from neuroal.schedules import block_schedule
from neuroal.twin import sparse_twin

PROMPT = "The old man looked at the sea and"
WORDS = 24

# Trials of the speed, and tokens written in each: a lesson waits for them.
REPEATS, WRITE = 3, 4


def result(ground: Ground, asked: Asked) -> dict[str, Any]:
    """Perplexity on held-out prose of the dense model, uniform ratios and the asked ones.

    Returns:
        ``perplexity``: by "dense", "uniform" and "chosen"; ``score``: the alignment score of the two pruned ones;
        ``achieved``: their fraction of zeros; ``windows``: [windows, tokens] that were read.
    """
    ratios, even = ground.ratios(asked), _uniform(ground, asked)
    models = {"uniform": _twin(ground, asked.pruner, even), "chosen": _twin(ground, asked.pruner, ratios)}
    return {
        "ratios": list(ratios),
        "perplexity": {"dense": _dense_perplexity(ground)}
        | {name: perplexity(twin, ground.windows) for name, (twin, _) in models.items()},
        "score": {"uniform": ground.walk(asked.pruner, even).score, "chosen": ground.walk(asked.pruner, ratios).score},
        "achieved": {name: overall for name, (_, overall) in models.items()},
        "windows": list(ground.windows.shape),
    }


def words(ground: Ground, asked: Asked) -> dict[str, Any]:
    """``text``: what the dense model ("dense") and the two pruned ones write on from ``prompt``, greedily."""
    twins = {"uniform": _uniform(ground, asked), "chosen": ground.ratios(asked)}
    texts = {name: _words(ground, _twin(ground, asked.pruner, ratios)[0]) for name, ratios in twins.items()}
    written = {"dense": texts["uniform"].dense.text} | {name: pair.pruned.text for name, pair in texts.items()}
    return {"prompt": PROMPT, "text": written}


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


def _uniform(ground: Ground, asked: Asked) -> tuple[float, ...]:
    return tuple(block_schedule(asked.sparsity, 0.0, len(ground.stack))[0])


def _twin(ground: Ground, pruner: str, ratios: tuple[float, ...]) -> tuple[nn.Module, float]:
    """A sparse twin pruned to the blocks' ratios, and the fraction of zeros it has."""
    linears = [linear.path for linear in ground.stack.all_linears()]
    twin = sparse_twin(ground.lm.model, linears)
    target = sum(ratios) / len(ratios)
    sparsity = ground.problem(pruner, target).spread(ratios)
    allocation = Allocation(pruner, "custom", None, target, sparsity)
    report = drain(iter_prune(twin, ground.tokens, allocation))
    return twin, report.overall


@functools.lru_cache(4)
def _dense_perplexity(ground: Ground) -> float:
    return perplexity(ground.lm.model, ground.windows)


def _words(ground: Ground, twin: nn.Module) -> Pair:
    """What the dense model and a pruned one write greedily after the prompt."""
    *_, pair = generate_pair(ground.lm.model, twin, ground.lm.tokenizer, PROMPT, Settings(WORDS), chat=False)
    return pair
