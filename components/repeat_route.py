"""How the question of a run is asked again: ``GET /gradio_api/runs/{run_id}/repeat``, for who has the run's link.

Made of the config card that everyone with the link can see, so nobody's own text is in it.
"""

from __future__ import annotations

from typing import Any, Protocol

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from components.refusals import FRESH
from components.stream import login
from neuroal.runs.events import RunStarted
from neuroal.sharing.repeat import repeated

PATH = "/gradio_api/runs/{run_id}/repeat"


class EventSource(Protocol):
    """Where a log is read from; as in ``components/stream.py``."""

    def read(self, run_id: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        """Records above ``after``; KeyError where the run is not known."""
        ...


def add_repeat_route(app: FastAPI, source: EventSource) -> None:
    """Adds the route to a Gradio app. If the app asks for a login, so does the route."""

    @app.get(PATH, include_in_schema=False, dependencies=login(app))
    async def repeat(run_id: str) -> Response:
        try:
            records, _ = await run_in_threadpool(source.read, run_id, 0)
        except KeyError:
            return JSONResponse({"error": "This run is not known here; it may have been removed."}, status_code=404)
        started = [record for record in records if record["kind"] == RunStarted.__name__]
        if not started:
            return JSONResponse({"error": "This run has not begun yet."}, status_code=409)
        return JSONResponse(repeated(started[-1]["spec"]), headers=FRESH)
