"""Bundles on the page: ``/gradio_api/runs/{run_id}/bundle`` gives a run or a sweep away, an upload takes one in.

Asked by GET, a bundle has its charts as pages. By POST the browser sends them along as PNGs, which it has drawn with
their config cards: a server has no browser to draw with, and another library would draw other pictures.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import plotly.graph_objects as go
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from plotly.offline import get_plotlyjs

from components.charts import LIGHT, NAMES, figures, fold_all
from components.incoming import is_foreign, json_object
from components.refusals import FRESH
from components.stream import login
from components.tradeoffs import gain, tradeoff
from neuroal.errors import UserError
from neuroal.folding.sweep_fold import fold_sweep_all
from neuroal.runs.jobs import Jobs
from neuroal.sharing.archive import NOT_ONE
from neuroal.sharing.bundle import read_bundle, write_bundle
from neuroal.sharing.sweep_bundle import read_sweep, write_sweep
from neuroal.sweeps.sweeps import KIND, Sweeps

PATH = "/gradio_api/runs/{run_id}/bundle"

Record = dict[str, Any]

MAP_NAMES = ("map", "gain")

# How a PNG begins, and bytes of a request that brings some: one has about 200,000.
PNG, MOST_BYTES = b"\x89PNG\r\n\x1a\n", 24_000_000


class EventSource(Protocol):
    """Where a log is read from; as in ``components/stream.py``."""

    def read(self, run_id: str, after: int) -> tuple[list[Record], bool]:
        """Records above ``after``; KeyError where the run is not known."""
        ...


def add_bundle_route(app: FastAPI, source: EventSource) -> None:
    """Adds the route to a Gradio app. If the app asks for a login, so does the route."""

    @app.get(PATH, include_in_schema=False, dependencies=login(app))
    async def bundle(run_id: str) -> Response:
        return await answer(run_id, {})

    @app.post(PATH, include_in_schema=False, dependencies=login(app))
    async def bundle_with_pictures(run_id: str, request: Request) -> Response:
        """A browser has drawn the charts as PNGs and sends them along."""
        body = None if is_foreign(request) else await json_object(request, MOST_BYTES)
        pictures = None if body is None else pictures_of(body.get("pictures"))
        if pictures is None:
            return JSONResponse({"error": "Pictures must be PNGs of this page's charts."}, status_code=400)
        return await answer(run_id, pictures)

    async def answer(run_id: str, pictures: dict[str, bytes]) -> Response:
        try:
            packed = await run_in_threadpool(packed_of, source, run_id, pictures)
        except KeyError:
            return JSONResponse({"error": "This run is not known here; it may have been removed."}, status_code=404)
        except UserError as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=409)
        name = "neuroal-sweep.zip" if _is_sweep(run_id) else "neuroal-run.zip"
        headers = FRESH | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(packed, media_type="application/zip", headers=headers)


def packed_of(source: EventSource, run_id: str, pictures: Mapping[str, bytes] | None = None) -> bytes:
    """The bundle of a run or a sweep.

    Args:
        pictures: PNGs that go beside its charts, by file name.

    Raises:
        KeyError: it is not known. UserError: it is not over, or about someone's own text.
    """
    records = source.read(run_id, 0)[0]
    target, drawn = io.BytesIO(), dict(pictures or {})
    if _is_sweep(run_id):
        write_sweep(target, records, lambda run: source.read(run, 0)[0], lambda told: map_pages(told) | drawn)
    else:
        write_bundle(target, records, chart_pages(records) | drawn)
    return target.getvalue()


def pictures_of(given: Any) -> dict[str, bytes] | None:
    """PNGs by file name, from data URLs by the names of charts; None where something else is among them."""
    if not isinstance(given, dict) or not given.keys() <= {*NAMES, *MAP_NAMES}:
        return None
    found = {}
    for name, url in given.items():
        head, _, encoded = url.partition(",") if isinstance(url, str) else ("", "", "")
        try:
            content = base64.b64decode(encoded, validate=True)
        except ValueError:
            return None
        if head != "data:image/png;base64" or not content.startswith(PNG):
            return None
        found[f"{name}.png"] = content
    return found


def chart_pages(records: list[Record]) -> dict[str, str]:
    """Every chart of a run as a page of its own, and the library that draws them once beside them."""
    return _pages(figures(fold_all(records), palette=LIGHT))


def map_pages(records: list[Record]) -> dict[str, str]:
    """The map of a sweep and its gains, likewise."""
    return _pages(map_figures(records))


def map_figures(records: list[Record]) -> dict[str, dict[str, Any]]:
    """By name, those that have something to say."""
    state = fold_sweep_all(records)
    drawn = dict(zip(MAP_NAMES, (tradeoff(state, LIGHT), gain(state, LIGHT)), strict=True))
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _pages(drawn: dict[str, dict[str, Any]]) -> dict[str, str]:
    if not drawn:
        return {}
    pages = {f"{name}.html": _page(figure) for name, figure in drawn.items()}
    return {**pages, "plotly.min.js": get_plotlyjs()}


def _page(figure: dict[str, Any]) -> str:
    """What ``figures`` leaves to the page behind it, a background, is added; the camera saves a PNG."""
    whole = go.Figure(figure, skip_invalid=True)
    whole.update_layout(paper_bgcolor="white", plot_bgcolor="white")
    config = {"displaylogo": False, "toImageButtonOptions": {"format": "png", "scale": 2}}
    return whole.to_html(include_plotlyjs="plotly.min.js", config=config)


def _is_sweep(run_id: str) -> bool:
    return run_id.startswith(f"{KIND}-")


def adopted_sweep(sweeps: Sweeps, path: str | Path) -> str:
    """The id of the sweep in an uploaded bundle.

    Raises:
        UserError: as ``read_sweep``, or a log that cannot be drawn.
    """
    found = read_sweep(Path(path))
    try:
        map_figures(found.records({}))
        for _, run in found.runs():
            figures(fold_all(run.records), palette=LIGHT)
    except Exception as error:  # whatever logs that were put together by hand lead to
        raise UserError(NOT_ONE.format(kind=KIND)) from error
    return sweeps.adopt(found)


def adopted(jobs: Jobs, path: str | Path) -> str:
    """The id of the run in an uploaded bundle.

    Raises:
        UserError: as ``read_bundle``, or a log that cannot be drawn.
    """
    found = read_bundle(Path(path))
    try:
        figures(fold_all(found.records), palette=LIGHT)
    except Exception as error:  # whatever a log that was put together by hand leads to
        raise UserError(NOT_ONE.format(kind="run")) from error
    return jobs.adopt(found.spec, found.records)
