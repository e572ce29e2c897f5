"""What a link to a challenge will ask for, begun when the page itself is asked for.

Its goal takes a second, and the page's scripts ask for it two seconds later: Gradio builds the tab first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger(__name__)

# The settings of the challenges, as assets/learn/challenges.js fixes them.
CHALLENGES: dict[str, dict[str, Any]] = {
    "challenge-lambda": {"sparsity": 0.65, "pruner": "wanda"},
    "challenge-hand": {"sparsity": 0.65, "pruner": "wanda"},
    "challenge-hard": {"sparsity": 0.8, "pruner": "magnitude"},
}


class Foreseen:
    """A layer of the app that looks at the page's own address; what it begins, nobody waits for here.

    Args:
        answer: of the route that will be asked; it remembers what it has answered.
    """

    def __init__(self, app: ASGIApp, answer: Callable[[dict[str, Any]], object]) -> None:
        self.app, self.answer = app, answer
        self._begun: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and _is_page(scope):
            for lesson in parse_qs(scope["query_string"].decode("latin-1")).get("learn", [])[:1]:
                self._begin(lesson)
        await self.app(scope, receive, send)

    def _begin(self, lesson: str) -> None:
        if lesson in CHALLENGES and lesson not in self._begun:
            self._begun.add(lesson)
            threading.Thread(target=self._find, args=(lesson,), name="neuroal-foreseen", daemon=True).start()

    def _find(self, lesson: str) -> None:
        try:
            self.answer({"scene": "challenge", "settings": CHALLENGES[lesson], "ahead": True})
        except Exception:  # it will be asked again, and told there
            logger.warning("The goal of %s could not be found ahead", lesson, exc_info=True)


def _is_page(scope: Scope) -> bool:
    return scope["path"].removeprefix(scope.get("root_path") or "") in ("", "/")
