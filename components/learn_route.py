"""The scenes of the guided path over HTTP: ``POST /gradio_api/learn``, ``{"scene": name, "settings": {...}}`` in.

With ``"ahead": true`` nobody waits for it yet, and others who ask meanwhile go first.

A route of its own, because a slider asks ten times a second and only the newest answer matters: Gradio's queue would
work through all of them.
"""

from __future__ import annotations

import threading
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from components.foreseen import Foreseen
from components.json_route import INCOMPLETE, add_json_route
from neuroal.errors import UserError
from neuroal.importing import import_engine, import_heavy

PATH = "/gradio_api/learn"


class Lessons:
    """The scenes of the teaching model; torch and the model are loaded with the first question."""

    def __init__(self) -> None:
        self._classroom: Any = None
        self._lock = threading.Lock()

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What the route says.

        Raises:
            UserError: an unknown scene or setting, or a request of another form.
        """
        scene, settings = asked.get("scene"), asked.get("settings", {})
        if not isinstance(scene, str) or not isinstance(settings, dict):
            raise UserError(INCOMPLETE)
        with self._lock:
            if self._classroom is None:
                import_engine()
                self._classroom = import_heavy("neuroal.learning.scenes").Classroom()
        return self._classroom.answer(scene, settings, ahead=asked.get("ahead") is True)


def add_learn_route(app: FastAPI, lessons: Lessons) -> None:
    """Adds the route to a Gradio app, and what looks ahead; before the app's layers are built."""
    add_json_route(app, PATH, lessons.answer)
    app.user_middleware.append(Middleware(Foreseen, answer=lessons.answer))
