"""Challenges: what a learner tries to reach by hand, and what the search has chosen at the same sparsity."""

from __future__ import annotations

import dataclasses
from typing import Any

from neuroal.learning.alignment import race
from neuroal.learning.asked import Asked
from neuroal.learning.ground import Ground
from neuroal.learning.outcome import dense_perplexity, figures, read
from neuroal.schedules import block_schedule

# How much of what the search gains over uniform a learner is asked for, in the easier goal.
SHARE = 2 / 3

# Perplexities are told and compared with one digit.
DIGITS = 1


def ends(ground: Ground, asked: Asked) -> dict[str, Any]:
    """Between what perplexities a challenge goes on: ``dense`` and ``uniform``, with ``sparsity``; known before the
    search is over."""
    uniform, _ = read(ground, asked.pruner, ground.uniform(asked))
    return {"sparsity": asked.sparsity, "dense": dense_perplexity(ground), "uniform": uniform}


def challenge(ground: Ground, asked: Asked) -> dict[str, Any]:
    """The goals at a sparsity, between uniform's perplexity and that of the search's choice, all of it measured.

    Returns:
        ``sparsity``, ``pruner``: as asked; ``dense``: its perplexity; ``uniform`` and ``search``: ``ratios``, ``mean``,
        ``perplexity``, ``score``, ``achieved``, ``counts`` (whether the mean is that of the challenge); the latter with
        ``lam``; ``gain``: what the search's choice takes off uniform's perplexity, 0 where it takes nothing off;
        ``goals``: perplexities to get below, "share" (SHARE of the gain) and "search" (all of it). Without a gain both
        are uniform's.
    """
    with ground.beside(lambda: ends(ground, asked)):
        lam = race(ground, asked)["chosen"]
    even = _told(ground, asked, ground.uniform(asked))
    chosen = _told(ground, asked, tuple(block_schedule(asked.sparsity, lam, len(ground.stack))[0]))
    gain = max(even["perplexity"] - chosen["perplexity"], 0.0)
    return {
        "sparsity": asked.sparsity,
        "pruner": asked.pruner,
        "dense": dense_perplexity(ground),
        "uniform": even,
        "search": {"lam": lam, **chosen},
        "gain": gain,
        "goals": {
            "share": round(even["perplexity"] - SHARE * gain, DIGITS),
            "search": round(even["perplexity"] - gain, DIGITS),
        },
    }


def attempt(ground: Ground, asked: Asked) -> dict[str, Any]:
    """A learner's allocation, by lambda or by hand: as ``search`` of the challenge, without a lambda.

    Raises:
        UserError: the mean of ratios made by hand is another one.
    """
    return _told(ground, asked, ground.ratios(asked))


def _told(ground: Ground, asked: Asked, ratios: tuple[float, ...]) -> dict[str, Any]:
    mean = ground.mean(asked, ratios)
    found = dataclasses.asdict(figures(ground, asked.pruner, ratios))
    return {"ratios": list(ratios), "mean": mean, "counts": ground.is_kept(mean, asked.sparsity), **found}
