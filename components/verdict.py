"""Where two answers to one prompt part, in one sentence, and how much they agree after that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroal.generation import Pair, Side

# Tokens after the parting from which on their agreement is told.
ENOUGH = 10

# What the two sides are called within a sentence.
WORDS = ("the dense model", "the pruned one")


def verdict(pair: Pair, words: tuple[str, str] = WORDS) -> str:
    """Where the two answers part, in one sentence; empty before there is anything to compare."""
    sides = (pair.dense, pair.pruned)
    if pair.diverged is None:
        if not all(side.ids for side in sides):
            return ""
        to_the_end = all(side.done and not side.error for side in sides)
        return "Identical to the end." if to_the_end else "Identical so far."
    left, right = (_said(side, pair.diverged) for side in sides)
    if all(side.at.strip() for side in sides):
        right = right.removeprefix("says ")
    parting = f"They part at token {pair.diverged + 1}: {words[0]} {left}, {words[1]} {right}."
    return parting + _agreement(pair) if all(side.done for side in sides) else parting


def _agreement(pair: Pair) -> str:
    """How much the answers have in common after they parted; empty where too little is left to tell."""
    from neuroal.evaluation.divergence import agreement

    if min(len(pair.dense.ids), len(pair.pruned.ids)) - (pair.diverged or 0) < ENOUGH:
        return ""
    share = agreement(pair.dense.ids, pair.pruned.ids)
    return f" From there on {share:.0%} of their tokens agree, place by place."


def _said(side: Side, index: int) -> str:
    """What a side does at the token where it parts."""
    if word := side.at.strip():
        return f"says '{word}'"
    if side.at:
        return "begins a new line" if "\n" in side.at else "writes a space"
    if side.done and index == len(side.ids) - 1:
        return "ends its answer"
    return "goes on differently"
