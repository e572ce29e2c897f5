"""Inside the matrices of a run over HTTP: what is sent, and what is asked that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI, HTTPException

from components.matrix_route import add_matrix_route
from components.refusals import FAULT, UNKNOWN
from neuroal.errors import UserError
from neuroal.inspection import inspector as inspectors
from neuroal.inspection.inspector import Inspector
from neuroal.inspection.record import Inspected, Seen
from tests.components.test_stream import get

RUN = "/gradio_api/runs/r/matrix"
KEPT = np.random.default_rng(0).random((6, 40)) < 0.5


class Known(Inspector):
    """One run of two linears, known already."""

    def __init__(self) -> None:
        super().__init__(None, Path(), None, None)
        norms = {"dense": np.arange(40, dtype=np.float32), "pruned": np.ones(40, np.float32), "driver": np.arange(6.0)}
        self.found: Inspected | str | Exception = Inspected(
            (
                Seen(0, "up", "layers.0.up", 6, 40, False, 0, 0.25, "layers.0.down", **norms),
                Seen(0, "gate", "layers.0.gate", 6, 40, False),
            ),
            4,
            32,
        )

    def look(self, run_id: str) -> Inspected | str:
        if run_id != "r":
            raise KeyError(run_id)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def _mask(self, run_id: str, seen: Seen) -> np.ndarray:
        return KEPT


@pytest.fixture
def known() -> Known:
    return Known()


@pytest.fixture
def app(known: Known) -> FastAPI:
    made = FastAPI()
    add_matrix_route(made, known)
    return made


def test_matrices_are_listed_and_one_is_told(app: FastAPI) -> None:
    assert get(app, RUN).json() == {
        "samples": 4, "length": 32, "linears": [[0, "up", 6, 40, 0.25], [0, "gate", 6, 40, None]]
    }  # fmt: skip
    answer = get(app, f"{RUN}/0.up")
    told = answer.json()
    assert (told["place"], told["rows"], told["columns"], told["kept"]) == ("0.up", 6, 40, int(KEPT.sum()))
    assert told["zeros"] == (40 - KEPT.sum(1)).tolist() and sum(told["histogram"]["counts"]) == 6
    assert told["dense"][1] == pytest.approx(1 / 780, rel=1e-5) and told["sums"] == {"dense": 780.0, "pruned": 40.0}
    assert told["damaged"][0]["index"] == 0 and len(told["damaged"]) == 10
    assert told["driver"] == [0, 1, 2, 3, 4, 5] and told["undriven"] == ""
    assert "max-age" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]


def test_a_linear_that_no_pass_called_says_so(app: FastAPI) -> None:
    told = get(app, f"{RUN}/0.gate").json()
    assert told["driver"] is None and told["term"] is None and "dense" not in told and told["damaged"] == []
    assert told["undriven"].startswith("No pass on the calibration text")


def test_bits_and_counts_of_a_window(app: FastAPI) -> None:
    bits = get(app, f"{RUN}/0.up/cells?top=0&left=0&rows=6&columns=40")
    assert bits.content == np.packbits(KEPT, axis=1).tobytes() and "max-age" in bits.headers["cache-control"]
    cells = get(app, f"{RUN}/0.up/cells?top=4&left=0&rows=2&columns=8&cell=4").content
    assert list(cells) == [int(KEPT[4:6, :4].sum()), int(KEPT[4:6, 4:8].sum())]


def test_it_is_packed_for_those_who_can_unpack_it(app: FastAPI) -> None:
    packed = get(app, f"{RUN}/0.up", **{"Accept-Encoding": "gzip"})
    plain = get(app, f"{RUN}/0.up", **{"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.json() == plain.json() and {a.headers["vary"] for a in (packed, plain)} == {"Accept-Encoding"}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "needs top, left, rows, columns, cell as whole numbers; top is not one"),
        ("top=0&left=0&rows=6&columns=-1", "columns is not one"),
        ("top=0&left=0&rows=6&columns=1e3", "columns is not one"),
        ("top=0&left=0&rows=6&columns=²", "columns is not one"),
        ("top=0&left=0&rows=6&columns=40&cell=", "cell is not one"),
        ("top=0&left=0&rows=6&columns=40&cell=0", "1 to 4096"),
        ("top=0&left=0&rows=6&columns=41", "has 6 rows and 40 columns"),
        ("top=0&left=0&rows=999999999&columns=999999999", "has 6 rows and 40 columns"),
        ("top=0&left=0&rows=6&columns=9999999999999999999999", "columns is not one"),
        ("top=1&left=0&rows=5&columns=40&cell=2", "begins at a multiple of 2"),
    ],
)
def test_a_window_that_makes_no_sense_is_answered_by_a_sentence(app: FastAPI, query: str, says: str) -> None:
    answer = get(app, f"{RUN}/0.up/cells?{query}")
    assert answer.status_code == 422 and says in answer.json()["error"] and answer.json()["error"].endswith(".")


@pytest.mark.parametrize("place", ["0.down", "1.up", "%00", "..%2F..", "x" * 5000, "<b>"])
def test_a_linear_that_is_not_there(app: FastAPI, place: str) -> None:
    answer = get(app, f"{RUN}/{place}")
    assert answer.status_code in (404, 422) and len(answer.text) < 400
    if answer.status_code == 422:
        assert "'0.up' is one." in answer.json()["error"]


def test_progress_faults_and_strangers(app: FastAPI, known: Known) -> None:
    assert get(app, "/gradio_api/runs/other/matrix").json() == {"error": UNKNOWN}
    assert get(app, RUN, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    known.found = "Comparing."
    waiting = get(app, RUN)
    assert (waiting.status_code, waiting.json()) == (202, {"sentence": "Comparing."})
    assert waiting.headers["cache-control"] == "no-store"
    assert "still being looked into. Comparing." in get(app, f"{RUN}/0.up").json()["error"]
    known.found = UserError(inspectors.NO_MASKS)
    refused = get(app, RUN)
    assert (refused.status_code, refused.json()) == (422, {"error": inspectors.NO_MASKS})
    assert refused.headers["cache-control"] == "no-store"
    known.found = RuntimeError("/a/path of the server")
    assert json.loads(get(app, RUN).text) == {"error": FAULT}


@pytest.mark.parametrize("path", ["", "/0.up", "/0.up/cells?top=0&left=0&rows=1&columns=1"])
def test_every_route_asks_for_the_apps_login(known: Known, path: str) -> None:
    made = FastAPI()

    @made.get("/login_check")
    def check() -> None:
        raise HTTPException(401)

    add_matrix_route(made, known)
    assert get(made, RUN + path).status_code == 401


def test_a_gradio_app_whose_check_is_not_found_gets_no_route(known: Known) -> None:
    made: Any = FastAPI()
    made.auth = {"ada": "secret"}
    with pytest.raises(RuntimeError, match="login check"):
        add_matrix_route(made, known)
