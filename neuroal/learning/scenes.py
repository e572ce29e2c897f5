"""All scenes by name, computed one at a time and remembered."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from neuroal.errors import UserError, did_you_mean
from neuroal.learning import alignment, challenge, one_linear, outcome
from neuroal.learning.asked import Asked
from neuroal.learning.ground import MODEL, Ground
from neuroal.models.loading import load

# Answers that are remembered, of a few kilobytes to a few hundred each.
KEPT = 128

# Measured anew each time it is asked.
FRESH = ("speed",)


def model(ground: Ground, asked: Asked) -> dict[str, Any]:
    """The model as a learner sees it: its blocks and their linears, in the order in which they are executed."""
    stack = ground.stack
    return {
        "name": ground.lm.info.name,
        "blocks": len(stack),
        "groups": [[linear.name for linear in group] for group in stack.groups[0]],
        "shapes": {linear.name: list(linear.weight.shape) for linear in stack.linears[0]},
        "prunable": sum(linear.weight.numel() for linear in stack.all_linears()),
        "tokens": list(ground.tokens.shape),
    }


SCENES: dict[str, Callable[[Ground, Asked], dict[str, Any]]] = {
    "model": model,
    "matrix": one_linear.matrix,
    "choice": one_linear.choice,
    "row": one_linear.row,
    "received": alignment.received,
    "score": alignment.score,
    "race": alignment.race,
    "rows": alignment.rows,
    "result": outcome.result,
    "words": outcome.words,
    "cost": outcome.cost,
    "speed": outcome.speed,
    "ends": challenge.ends,
    "challenge": challenge.challenge,
    "attempt": challenge.attempt,
}


class _Question:
    """A scene with its settings, and its answer once somebody has asked for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answer: dict[str, Any] | None = None


class Classroom:
    """Answers what the pages ask, for every learner at once; the teaching model is loaded with the first question."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ground: Ground | None = None
        self._question = functools.lru_cache(KEPT)(lambda scene, asked: _Question())

    def answer(self, scene: str, given: Mapping[str, Any], *, ahead: bool = False) -> dict[str, Any]:
        """A scene as JSON-ready values.

        Args:
            ahead: True where nobody waits for it yet: others who ask meanwhile go first.

        Raises:
            UserError: an unknown scene, or a setting that is not allowed.
        """
        if scene not in SCENES:
            raise UserError(f"Scene {scene!r} is not known.{did_you_mean(str(scene), SCENES)}")
        asked = Asked.parse(given)
        if scene in FRESH:
            return self._computed(scene, asked)
        with self._lock:
            question = self._question(scene, asked)
        with question.lock:  # a class opens a page at the same moment: one of them has it computed
            if question.answer is None:
                question.answer = self._computed(scene, asked, ahead)
            return question.answer

    def _computed(self, scene: str, asked: Asked, ahead: bool = False) -> dict[str, Any]:
        ground = self._ready()
        with ground.held(ahead=ahead):
            return SCENES[scene](ground, asked)

    def _ready(self) -> Ground:
        with self._lock:
            if self._ground is None:
                self._ground = Ground(load(MODEL, device="cpu", dtype="float32"))
            return self._ground
