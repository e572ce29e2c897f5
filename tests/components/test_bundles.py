"""Bundles between two instances of the app, and what the route refuses."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from components.bundles import add_bundle_route, adopted, chart_pages, packed_run
from components.fold import fold_all
from neuroal.errors import UserError
from neuroal.runs.events import RowsAllocated, RunFinished
from neuroal.runs.examples import load_examples
from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import ADOPTED, Store
from neuroal.sharing.bundle import NOT_ONE
from tests.asynchronous import done
from tests.runs.helpers import records_of, started

EXAMPLE = next(iter(load_examples().values())).records


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(Store(tmp_path / "data"), lambda *_: iter(()))
    yield made
    made.close()
    made.store.close()


def saved(records: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "run.zip"
    path.write_bytes(packed_run(records))
    return path


def test_a_run_of_another_instance_opens_here(jobs: Jobs, tmp_path: Path) -> None:
    run_id = adopted(jobs, saved(EXAMPLE, tmp_path))
    records, over = jobs.read(run_id)
    assert over and jobs.status(run_id) == "finished"
    assert fold_all(records) == fold_all(EXAMPLE)
    assert jobs.spec(run_id).pruner == "wanda"
    row = jobs.store.run(run_id)
    assert json.loads(row.tags) == [ADOPTED] and json.loads(row.summary)["perplexity"] > 30


def test_it_answers_nobodys_question(jobs: Jobs, tmp_path: Path) -> None:
    """Whoever made it could have written any figure into it."""
    run_id = adopted(jobs, saved(EXAMPLE, tmp_path))
    assert jobs.answered(jobs.spec(run_id)) is None


def test_a_log_that_cannot_be_drawn_is_refused(jobs: Jobs, tmp_path: Path) -> None:
    """Each record is well formed, but the counts are fewer than the bins."""
    rows = RowsAllocated((0.0, 0.5, 1.0), ((1,),), {})
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("run.json", json.dumps({"format": 1, "kind": "run"}))
        records = records_of([started(RunSpec(model="tiny")), rows, RunFinished(1.0, 1)])
        out.writestr("events.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    with pytest.raises(UserError) as error:
        adopted(jobs, path)
    assert str(error.value) == NOT_ONE
    with jobs.store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0


def test_every_chart_is_a_page_that_needs_no_network() -> None:
    pages = chart_pages(EXAMPLE)
    assert {"heatmap.html", "scores.html", "sparsity.html", "damage.html", "plotly.min.js"} <= set(pages)
    assert 'src="plotly.min.js"' in pages["scores.html"] and "cdn" not in pages["scores.html"].lower()


class Source:
    def read(self, run_id: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        if run_id == "whole":
            return EXAMPLE, True
        if run_id == "going":
            return EXAMPLE[:5], False
        raise KeyError(run_id)


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = FastAPI()
    add_bundle_route(app, Source())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")


def get(client: httpx.AsyncClient, run: str) -> httpx.Response:
    return done(client.get(f"/gradio_api/runs/{run}/bundle"))


def test_the_route_gives_it_away(client: httpx.AsyncClient) -> None:
    answer = get(client, "whole")
    assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"]
    assert "charts/scores.html" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()


@pytest.mark.parametrize(("run", "code", "says"), [("nobody", 404, "not known"), ("going", 409, "not over yet")])
def test_the_route_says_why_not(client: httpx.AsyncClient, run: str, code: int, says: str) -> None:
    answer = get(client, run)
    assert answer.status_code == code and says in answer.json()["error"]
