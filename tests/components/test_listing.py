"""Which runs are listed and what a row says; what strangers may see and do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from components import listing as listing_module
from components.json_route import MOST_BYTES
from components.listing import MOST_OWN, Listing, whose_from_environment
from components.listing_route import PATH, add_listing_route
from neuroal.errors import UserError
from neuroal.folding.titles import UNKNOWN, title
from neuroal.runs.history import Query
from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.sweeps.events import MemberFinished, MemberStarted
from tests.components.kept import keep
from tests.components.logs import numbered, realistic, started, uniform_only
from tests.runs.helpers import records_of


def engine(*_: Any) -> Iterator[Any]:
    raise AssertionError("no run is started here")


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(Store(tmp_path), engine)
    yield made
    made.close()
    made.store.close()


@pytest.fixture
def filled(jobs: Jobs) -> dict[str, str]:
    """Runs by what they are: two finished, one that is going, one on a person's own text."""
    return {
        "searched": keep(jobs.store, realistic(4), RunSpec()),
        "uniform": keep(jobs.store, uniform_only(), RunSpec(top_up="uniform")),
        "going": keep(jobs.store, numbered([started(seed=3)]), RunSpec(seed=3)),
        "private": keep(jobs.store, uniform_only(), RunSpec(top_up="uniform", source="own", text="Mine alone.")),
    }


def listed(jobs: Jobs, whose: str = "all", **asked: Any) -> list[str]:
    own = asked.pop("own", ())
    return [row["id"] for row in Listing(jobs, whose).page(Query(**asked), own=own)["rows"]]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, UNKNOWN),
        (
            {"model": "HuggingFaceTB/SmolLM2-135M-Instruct", "pruner": "wanda", "top_up": "neuroal", "step": "both",
             "sparsity": 0.6},
            "SmolLM2-135M-Instruct, Wanda, NeuroAL both, 60 %",
        ),
        ({"model": "/data/my model/", "pruner": "sparsegpt", "top_up": "owl", "step": "both", "sparsity": 0.625},
         "my model, SparseGPT, OWL, 62.5 %"),
        ({"model": "tiny", "pruner": "magnitude", "top_up": "uniform", "pattern": "2:4", "sparsity": 0.5},
         "tiny, Magnitude, Uniform, 2:4"),
        ({"model": "tiny", "pruner": "wanda", "top_up": "custom", "sparsity": 0.6, "reconstruct": True, "seed": 7},
         "tiny, Wanda, Custom, refitted, seed 7"),
        ({"model": "tiny", "pruner": "of a later version", "top_up": "too"}, "tiny, of a later version, too"),
    ],
)  # fmt: skip
def test_the_question_in_short(asked: dict[str, Any], told: str) -> None:
    assert title(asked) == told


def test_a_row_says_what_came_of_the_run(jobs: Jobs, filled: dict[str, str]) -> None:
    rows = {row["id"]: row for row in Listing(jobs).page(Query())["rows"]}
    whole, going = rows[filled["searched"]], rows[filled["going"]]
    assert (whole["dense"], whole["perplexity"], whole["uniform"]) == (19.73, 80.08, 92.69)
    assert whole["achieved"] == pytest.approx(0.6) and whole["status"] == "finished" and not whole["going"]
    assert going["title"].endswith("60 %, seed 3") and going["perplexity"] is None and going["going"]
    assert rows[filled["private"]]["private"] and "Mine" not in str(rows)


def test_on_a_shared_host_only_ones_own_runs_are_listed(jobs: Jobs, filled: dict[str, str]) -> None:
    assert set(listed(jobs)) == set(filled.values())
    assert listed(jobs, "own") == []
    own = (filled["private"], filled["uniform"], "of another server")
    assert set(listed(jobs, "own", own=own)) == {filled["private"], filled["uniform"]}
    assert listed(jobs, "own", own=own, text="nothing like it") == []


def test_pinned_runs_come_first_on_every_page(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_module, "PAGE", 2)
    ids = [keep(jobs.store, uniform_only(), RunSpec(top_up="uniform", seed=seed)) for seed in range(5)]
    listing = Listing(jobs)
    for run in ids[:3]:
        listing.edit(run, pinned=True)
    pages = [listing.page(Query(), page) for page in range(3)]
    assert [row["id"] for page in pages for row in page["rows"]] == [*ids[2::-1], *ids[:2:-1]]
    assert [(page["total"], page["pages"], page["page"]) for page in pages] == [(5, 3, 0), (5, 3, 1), (5, 3, 2)]
    assert listing.page(Query(), 9)["page"] == 2, "past the end is the last page"


def test_sorted_by_a_figure(jobs: Jobs, filled: dict[str, str]) -> None:
    known = [run for run in listed(jobs, order="perplexity", descending=False) if run != filled["going"]]
    assert known[0] == filled["searched"]  # 80.08, the uniform ones 12,345.678
    assert listed(jobs, order="perplexity", descending=True)[-2:] == [filled["searched"], filled["going"]]


def test_names_tags_and_deletion_with_undo(jobs: Jobs, filled: dict[str, str]) -> None:
    listing, run = Listing(jobs), filled["uniform"]
    listing.edit(run, name="  The\ncontrol ", tags=["base line", "base line", " "])
    [row] = listing.named([run])
    assert (row["name"], row["tags"]) == ("The control", ["base line"])
    assert listed(jobs, text="the control") == listed(jobs, tags=("base line",)) == [run]
    listing.delete(run)
    assert run not in listed(jobs) and listing.named([run, filled["searched"]])[0]["id"] == filled["searched"]
    listing.restore(run)
    assert listing.named([run]) == [row]


def test_what_is_refused(jobs: Jobs, filled: dict[str, str]) -> None:
    listing = Listing(jobs)
    with pytest.raises(UserError, match="cancel it"):
        listing.delete(filled["going"])
    for act in (listing.delete, listing.restore, listing.edit):
        with pytest.raises(UserError, match="not known"):
            act("nothing-here")
    with pytest.raises(UserError, match="120"):
        listing.edit(filled["uniform"], name="x" * 121)
    for wrong in ({"order": "spec"}, {"status": "lost"}, {"text": 3}, {"tags": "a"}):
        with pytest.raises(UserError):
            Query(**wrong)
    for wrong in ({"page": -1}, {"own": "abc"}):
        with pytest.raises(UserError):
            listing.page(Query(), **wrong)


def test_a_browser_may_have_kept_so_many_runs(jobs: Jobs, filled: dict[str, str]) -> None:
    own, listing = ["x"] * MOST_OWN, Listing(jobs, "own")
    assert listing.page(Query(), own=[*own, filled["uniform"]])["total"] == 0
    assert listing.page(Query(), own=[filled["uniform"], *own])["total"] == 1


def test_on_a_shared_host_only_who_started_a_run_may_change_it(jobs: Jobs, filled: dict[str, str]) -> None:
    """Who asks the same question is given the same run, so its id alone gives no right."""
    listing, run = Listing(jobs, "own"), filled["uniform"]
    first, second = "a" * 32, "b" * 32
    listing.claim(run, first)
    listing.claim(run, second)
    listing.claim("nothing-here", first)
    listing.edit(run, first, name="Mine")
    for act in (listing.edit, listing.delete, listing.restore):
        for stranger in (second, "", "a"):
            with pytest.raises(UserError, match="another browser"):
                act(run, stranger)
    own = (run, filled["private"])
    assert {row["id"]: row["mine"] for row in listing.page(Query(), 0, own, first)["rows"]} == {
        run: True,
        filled["private"]: False,
    }
    assert not any(row["mine"] for row in listing.page(Query(), 0, own, second)["rows"])
    listing.claim(filled["private"], "short")
    assert not any(row["mine"] for row in listing.page(Query(), 0, own, "short")["rows"]), "too easy to guess"
    listing.delete(run, first)
    assert listing.page(Query(), 0, own, first)["total"] == 1
    assert Listing(jobs).page(Query())["rows"][0]["mine"], "on a machine of one's own everything is"


def test_a_kept_sweep_stands_for_its_runs(jobs: Jobs, filled: dict[str, str]) -> None:
    """Who has started the sweep may change them, unless another browser had claimed one before."""
    own, other, going = filled["searched"], filled["uniform"], filled["going"]
    jobs.store.add_run("sweep-x", "", "{}", private=False, kind="sweep")
    log = records_of([MemberFinished(0, other, "finished", True, {}), MemberStarted(1, own), MemberStarted(2, "gone")])

    def read(sweep: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        return {"sweep-x": (log, False)}[sweep]

    listing, first, second = Listing(jobs, "own", read), "a" * 32, "b" * 32
    listing.claim(other, second)
    listing.claim("sweep-x", first)
    rows = listing.page(Query(), 0, ("sweep-x", "sweep-unknown"), first)["rows"]
    assert {row["id"]: row["mine"] for row in rows} == {own: True, other: False}
    rows = listing.page(Query(), 0, ("sweep-x", going), first, without=(other,))["rows"]
    assert {row["id"] for row in rows} == {own, going}
    listing.owners.inherit(going, "sweep-x")  # a run that the sweep has started only now
    listing.owners.inherit(other, "sweep-x")
    listing.owners.inherit(filled["private"], "sweep-unknown")
    assert listing.owners.owned(filled.values(), first) == {own, going}
    assert listing.kept([going]) == (going,) and Listing(jobs).kept(["sweep-x"]) == ()


def test_the_setting_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert whose_from_environment() == "all"
    monkeypatch.setenv("NEUROAL_HISTORY", "own")
    assert whose_from_environment() == "own"
    monkeypatch.setenv("NEUROAL_HISTORY", "mine")
    with pytest.raises(ValueError, match="'mine'; it must be one of: all, own"):
        whose_from_environment()


# --- the route ------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(jobs: Jobs) -> TestClient:
    app = FastAPI()
    add_listing_route(app, Listing(jobs))
    return TestClient(app)


def test_the_route_sends_a_page_once(client: TestClient, filled: dict[str, str]) -> None:
    first = client.post(PATH, json={"do": "list"}).json()
    assert {row["id"] for row in first["rows"]} == set(filled.values())
    assert client.post(PATH, json={"do": "list", "seen": first["seen"]}).json() == {"same": True}
    assert client.post(PATH, json={"do": "edit", "id": filled["uniform"], "pinned": True}).json() == {}
    again = client.post(PATH, json={"do": "list", "seen": first["seen"]}).json()
    assert again["rows"][0]["id"] == filled["uniform"] and again["rows"][0]["pinned"]


@pytest.mark.parametrize(
    "asked", [{}, {"do": "everything"}, {"do": "list", "sql": "1"}, {"do": "edit"}, {"do": "named"}, {"do": "delete"}]
)
def test_nonsense_gets_a_sentence(client: TestClient, asked: dict[str, Any]) -> None:
    answer = client.post(PATH, json=asked)
    assert answer.status_code == 422 and answer.json()["error"].endswith("reload the page.")


def test_another_sites_page_is_refused(client: TestClient, filled: dict[str, str]) -> None:
    delete = {"do": "delete", "id": filled["uniform"]}
    for site in ("cross-site", "same-site"):
        assert client.post(PATH, json=delete, headers={"sec-fetch-site": site}).status_code == 403
    plain = client.post(PATH, content=f'{{"do":"delete","id":"{filled["uniform"]}"}}')  # needs no leave of a browser
    assert plain.status_code == 403
    assert client.post(PATH, json={"do": "named", "ids": [filled["uniform"]]}).json()["rows"]
    assert client.post(PATH, json=delete, headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_a_huge_or_broken_request_is_refused(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    for body in ("[" + "1," * MOST_BYTES + "1]", "{", "[]", ""):
        assert client.post(PATH, content=body, headers=headers).status_code == 400
