"""Inside the matrices of a run over HTTP, below ``/gradio_api/runs/{run_id}/matrix``.

``GET .../matrix`` lists them; while they are still being looked into it answers 202 and a sentence.
``GET .../matrix/{place}`` has the figures of one, as JSON; a place is its block and its name: "3.mlp.down_proj".
``GET .../matrix/{place}/cells?top=&left=&rows=&columns=&cell=`` has a window of its mask, as
``neuroal.inspection.cells.packed`` makes it.

Whoever has the id of a run may look into it, as at its events. Matrices never change, so a browser may keep them.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import logging
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from components.refusals import FRESH, answered
from components.stream import finite, login
from neuroal.errors import UserError
from neuroal.inspection.figures import normalised
from neuroal.inspection.inspector import Figures, Inspector
from neuroal.inspection.record import Inspected, Seen

logger = logging.getLogger(__name__)

PATH = "/gradio_api/runs/{run_id}/matrix"

# Parameters of a window, and what each is where it is not said; the others must be.
WINDOW = {"top": None, "left": None, "rows": None, "columns": None, "cell": 1}

# Significant digits of a figure: more than a screen shows.
DIGITS = 6

KEPT = {"Cache-Control": "private, max-age=3600", "Vary": "Accept-Encoding"}
BINARY = "application/octet-stream"

FOREIGN = "Only the page of this app may look into its runs."


def add_matrix_route(app: FastAPI, inspector: Inspector) -> None:
    """Adds the routes to a Gradio app. If the app asks for a login, so do they."""
    guarded: dict[str, Any] = {"include_in_schema": False, "dependencies": login(app)}

    @app.get(PATH, **guarded)
    async def matrices(run_id: str, request: Request) -> Response:
        def look() -> Response:
            found = inspector.look(run_id)
            if isinstance(found, str):
                return JSONResponse({"sentence": found}, status_code=202, headers=FRESH)
            return _json(overview(found), request)

        return await answered(look, request, FOREIGN)

    @app.get(f"{PATH}/{{place}}", **guarded)
    async def matrix(run_id: str, place: str, request: Request) -> Response:
        return await answered(lambda: _json(figures(inspector.figures(run_id, place)), request), request, FOREIGN)

    @app.get(f"{PATH}/{{place}}/cells", **guarded)
    async def cells(run_id: str, place: str, request: Request) -> Response:
        def window() -> Response:
            return _sent(inspector.cells(run_id, place, **_window(request)), BINARY, request)

        return await answered(window, request, FOREIGN)


def overview(found: Inspected) -> dict[str, Any]:
    """The matrices of a run as JSON values; the linears as (block, name, rows, columns, alignment term)."""
    linears = [[s.block, s.name, s.rows, s.columns, s.term] for s in found.linears]
    return {"samples": found.samples, "length": found.length, "linears": linears}


def figures(found: Figures) -> dict[str, Any]:
    """The figures of one matrix as JSON values.

    ``dense`` and ``pruned`` are the normalised norms of its input by column, with their sums before that; ``driver`` is
    by row, null where ``undriven`` says why.
    """
    seen, bars = found.seen, found.histogram
    kept = seen.rows * seen.columns - int(found.zeros.sum())
    norms = {}
    if seen.dense is not None and seen.pruned is not None:
        sides = {"dense": seen.dense, "pruned": seen.pruned}
        norms = {side: _rounded(normalised(values)) for side, values in sides.items()}
        norms["sums"] = {side: float(values.sum(dtype=np.float64)) for side, values in sides.items()}
    return {
        "place": seen.place, "block": seen.block, "name": seen.name, "rows": seen.rows, "columns": seen.columns,
        "kept": kept, "term": seen.term, "zeros": found.zeros.tolist(),
        "histogram": {"edges": _rounded(bars.edges), "counts": bars.counts.tolist()},
        "damaged": [dataclasses.asdict(damage) for damage in found.damaged], **norms,
        "driver": None if seen.driver is None else _rounded(seen.driver),
        "reader": seen.reader, "undriven": _undriven(seen),
    }  # fmt: skip


def _undriven(seen: Seen) -> str:
    """Why nothing is known to drive the rows; "" where it is known."""
    if seen.driver is not None:
        return ""
    if seen.group is None:
        return "No pass on the calibration text called this linear, so nothing is known of its inputs and rows."
    if not seen.reader:
        return "No block comes after this linear, so nothing within the blocks reads its rows."
    return f"Its rows cannot be matched one by one with the inputs of {seen.reader}, which reads them."


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


def _window(request: Request) -> dict[str, int]:
    """The window that is asked for, whole numbers and no more yet."""
    found = {}
    for name, otherwise in WINDOW.items():
        given = request.query_params.get(name, otherwise)
        if not isinstance(given, int) and not (given and len(given) < 10 and given.isascii() and given.isdigit()):
            raise UserError(f"A part of a matrix needs {', '.join(WINDOW)} as whole numbers; {name} is not one.")
        found[name] = int(given)
    return found


def _json(found: dict[str, Any], request: Request) -> Response:
    text = json.dumps(finite(found), separators=(",", ":"), allow_nan=False)
    return _sent(text.encode(), "application/json", request)


def _sent(body: bytes, media: str, request: Request) -> Response:
    """Packed for those who can unpack it, where that makes it smaller: the bits of a mask often cannot be."""
    if "gzip" in request.headers.get("accept-encoding", ""):
        packed = gzip.compress(body, 4, mtime=0)
        if len(packed) < len(body):
            return Response(packed, media_type=media, headers=KEPT | {"Content-Encoding": "gzip"})
    return Response(body, media_type=media, headers=KEPT)
