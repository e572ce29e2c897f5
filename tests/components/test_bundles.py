"""Bundles between two instances of the app, and what the route refuses."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from components import bundles
from components.bundles import add_bundle_route, adopted, adopted_sweep, chart_pages, packed_of, pictures_of
from neuroal.errors import UserError
from neuroal.folding.fold import fold_all
from neuroal.folding.sweep_fold import fold_sweep_all
from neuroal.runs.events import RowsAllocated, RunFinished
from neuroal.runs.examples import load_examples
from neuroal.runs.history import Query
from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import ADOPTED, Store
from neuroal.sharing.archive import NOT_ONE
from neuroal.sweeps.sweeps import Sweeps
from tests.asynchronous import done
from tests.runs.helpers import records_of, started
from tests.sharing.test_sweep_bundle import SPEC, sweep_of

EXAMPLE = next(iter(load_examples().values())).records


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(Store(tmp_path / "data"), lambda *_: iter(()))
    yield made
    made.close()
    made.store.close()


def saved(records: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "run.zip"
    path.write_bytes(packed_of(SimpleNamespace(read=lambda *_: (records, True)), "run"))
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
    assert str(error.value) == NOT_ONE.format(kind="run")
    with jobs.store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0


def test_every_chart_is_a_page_that_needs_no_network() -> None:
    pages = chart_pages(EXAMPLE)
    assert {"heatmap.html", "scores.html", "sparsity.html", "damage.html", "plotly.min.js"} <= set(pages)
    assert 'src="plotly.min.js"' in pages["scores.html"] and "cdn" not in pages["scores.html"].lower()


@pytest.fixture
def sweeps(jobs: Jobs) -> Iterator[Sweeps]:
    made = Sweeps(SimpleNamespace(jobs=jobs))
    yield made
    made.close()


def saved_sweep(folder: Path) -> Path:
    records, runs = sweep_of(SPEC)
    path = folder / "sweep.zip"
    logs = {"sweep-a": records, **runs}
    path.write_bytes(packed_of(SimpleNamespace(read=lambda run, _: (logs[run], True)), "sweep-a"))
    return path


def test_a_sweep_of_another_instance_opens_here(jobs: Jobs, sweeps: Sweeps, tmp_path: Path) -> None:
    sweep = adopted_sweep(sweeps, saved_sweep(tmp_path))
    records, over = sweeps.jobs.read(sweep)
    assert over and sweeps.jobs.status(sweep) == "finished" and sweeps.jobs.spec(sweep) == SPEC
    state = fold_sweep_all(records)
    assert [m["summary"]["perplexity"] for m in state["members"]] == [40.0, 41.0, 42.0, 43.0]
    for asked, member in zip(SPEC.members, state["members"], strict=True):
        assert jobs.spec(member["run"]) == asked.spec and jobs.status(member["run"]) == "finished"
        assert jobs.answered(asked.spec) is None, "whoever made it could have written any figure into it"
    assert jobs.store.history(Query(tags=[ADOPTED]))[1] == 4


def test_a_sweep_that_cannot_be_stored_leaves_nothing(
    jobs: Jobs, sweeps: Sweeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, adopt = saved_sweep(tmp_path), Store.adopt

    def full(store: Store, run_id: str, *arguments: Any) -> None:
        if run_id.startswith("sweep-"):
            raise OSError("No space left on device")
        adopt(store, run_id, *arguments)

    monkeypatch.setattr(Store, "adopt", full)
    with pytest.raises(UserError, match="disk of this machine is full"):
        adopted_sweep(sweeps, path)
    assert jobs.store.history() == ([], 0)


def test_a_sweep_has_its_map_as_pages(tmp_path: Path) -> None:
    with zipfile.ZipFile(saved_sweep(tmp_path)) as files:
        assert {"charts/map.html", "charts/plotly.min.js"} <= set(files.namelist())
        assert "OWL" in files.read("charts/map.html").decode()


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


PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\nand so on").decode()


def post(client: httpx.AsyncClient, run: str, **request: Any) -> httpx.Response:
    return done(client.post(f"/gradio_api/runs/{run}/bundle", **request))


def test_pictures_that_a_browser_has_drawn_are_packed_with_it(client: httpx.AsyncClient) -> None:
    answer = post(client, "whole", json={"pictures": {"scores": PNG}})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
        assert files.read("charts/scores.png") == b"\x89PNG\r\n\x1a\nand so on"
        assert "charts/scores.html" in files.namelist()
        assert "There are no PNGs" not in files.read("README.txt").decode()
    with zipfile.ZipFile(io.BytesIO(get(client, "whole").content)) as files:
        assert "There are no PNGs" in files.read("README.txt").decode()
    assert post(client, "going", json={"pictures": {}}).status_code == 409


@pytest.mark.parametrize(
    "pictures",
    [None, [], {"../x": PNG}, {"run.json": PNG}, {"scores": 5}, {"scores": ""}, {"scores": PNG.replace("png", "gif")},
     {"scores": PNG + "!"}, {"scores": "data:image/png;base64,QUJD"}, {"scores": PNG, "x": PNG}],
)  # fmt: skip
def test_what_is_no_picture_of_a_chart_is_refused(client: httpx.AsyncClient, pictures: Any) -> None:
    assert pictures_of(pictures) is None
    assert post(client, "whole", json={"pictures": pictures}).status_code == 400


def test_a_request_of_another_page_or_a_huge_one_is_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert post(client, "whole", json={"pictures": {}}, headers={"sec-fetch-site": "cross-site"}).status_code == 400
    assert post(client, "whole", content="{}").status_code == 400
    monkeypatch.setattr(bundles, "MOST_BYTES", 100)
    assert post(client, "whole", json={"pictures": {"scores": PNG * 3}}).status_code == 400
