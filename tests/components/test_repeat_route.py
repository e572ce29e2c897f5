"""The route that says how a run is repeated."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from components.repeat_route import add_repeat_route
from neuroal.runs.events import Queued, RunFinished
from neuroal.runs.spec import RunSpec
from neuroal.sharing.repeat import repeated
from tests.runs.helpers import records_of, started

FIRST, LATER = RunSpec(model="tiny"), RunSpec(model="tiny", evaluations=("perplexity", "cost"))

LOGS: dict[str, list[dict[str, Any]]] = {
    "done": records_of([started(FIRST), RunFinished(1.0, 1)]),
    "measured": records_of([started(FIRST), RunFinished(1.0, 1), started(LATER), RunFinished(2.0, 1)]),
    "waiting": records_of([Queued(1)]),
}


class Logs:
    """Runs in memory."""

    def read(self, run_id: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        return LOGS[run_id][after:], True


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    add_repeat_route(app, Logs())
    return TestClient(app)


@pytest.mark.parametrize("run, spec", [("done", FIRST), ("measured", LATER)])
def test_the_question_as_it_is_by_now(client: TestClient, run: str, spec: RunSpec) -> None:
    assert client.get(f"/gradio_api/runs/{run}/repeat").json() == repeated(spec.card())


@pytest.mark.parametrize("run, status", [("waiting", 409), ("unknown", 404)])
def test_what_has_no_question_yet_is_a_sentence(client: TestClient, run: str, status: int) -> None:
    answer = client.get(f"/gradio_api/runs/{run}/repeat")
    assert answer.status_code == status and answer.json()["error"].endswith(".")
