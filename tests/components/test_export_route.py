"""Taking a model away over HTTP: who may ask for what, and files in ranges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.testclient import TestClient

from components import export_route
from components.export_route import FOREIGN, INCOMPLETE, PATH, add_export_route
from components.refusals import FAULT, UNKNOWN
from neuroal.errors import UserError
from neuroal.export.events import ExportFinished
from neuroal.export.exporter import State
from neuroal.export.shelf import Shelf

RUN = PATH.format(run_id="r")
CONTENT = bytes(range(256)) * 40
TOLD = ExportFinished("sparse", "model.sparse.zip", len(CONTENT), 3 * len(CONTENT), "ab" * 32, "Checked.", 1.5)


class Fake:
    """An exporter of one run; remembers what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.shelf, self.asked = Shelf(folder), []
        self.refusal: Exception | None = None
        (folder / "r").mkdir()
        (folder / "r" / TOLD.name).write_bytes(CONTENT)
        self.shelf.put("r", TOLD)

    def look(self, run_id: str) -> State:
        if run_id != "r":
            raise KeyError(run_id)
        if self.refusal:
            raise self.refusal
        return State(None, "", None, self.shelf.kept(run_id))

    def start(self, *asked: Any) -> None:
        self.asked.append(("start", *asked))

    def push(self, *asked: Any) -> None:
        self.asked.append(("push", *asked))

    def cancel(self, *asked: Any) -> None:
        self.asked.append(("cancel", *asked))


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


@pytest.fixture
def client(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A visitor from elsewhere."""
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "kept")
    app = FastAPI()
    add_export_route(app, fake)
    return TestClient(app, client=("203.0.113.7", 1))


def test_what_there_is(client: TestClient) -> None:
    answer = client.get(RUN)
    told = answer.json()
    assert told["going"] is None and told["failed"] == "" and told["signed_in"] is False
    assert told["kept"]["sparse"]["sha256"] == "ab" * 32 and told["kept"]["sparse"]["checked"] == "Checked."
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"form": "gguf"}, ("start", "r", "gguf")),
        ({"cancel": True}, ("cancel", "r")),
        ({"form": "hub", "repo": "a/b"}, ("push", "r", "a/b", None, True)),
        ({"form": "hub", "repo": "a/b", "private": False, "token": " t "}, ("push", "r", "a/b", "t", False)),
        ({"form": "hub", "repo": "a/b", "private": "no", "token": "t"}, ("push", "r", "a/b", "t", True)),
    ],
)
def test_what_is_asked_is_done(body: dict[str, Any], asked: tuple[Any, ...], client: TestClient, fake: Fake) -> None:
    assert client.post(RUN, json=body).status_code == 200
    assert fake.asked == [asked]


@pytest.mark.parametrize(
    "body", [{}, {"form": 5}, {"form": "hub", "repo": 5}, {"form": "hub", "token": 5}, {"cancel": 1}]
)
def test_what_makes_no_sense_is_a_sentence(body: dict[str, Any], client: TestClient, fake: Fake) -> None:
    answer = client.post(RUN, json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, INCOMPLETE)
    assert fake.asked == []


def test_other_sites_may_not_ask(client: TestClient, fake: Fake) -> None:
    for site in ("cross-site", "same-site"):
        headers = {"sec-fetch-site": site}
        for answer in (
            client.get(RUN, headers=headers),
            client.get(f"{RUN}/sparse", headers=headers),
            client.post(RUN, json={"form": "zip"}, headers=headers),
        ):
            assert (answer.status_code, answer.json()["error"]) == (403, FOREIGN)
    text = client.post(RUN, content=json.dumps({"form": "zip"}), headers={"content-type": "text/plain"})
    assert text.status_code == 403
    assert client.post(RUN, json={"form": "zip", "x": "y" * 20_000}).status_code == 403
    assert fake.asked == []


def test_refusals_and_faults_are_sentences(client: TestClient, fake: Fake) -> None:
    assert (client.get(PATH.format(run_id="s")).json()["error"]) == UNKNOWN
    fake.refusal = UserError("This run is running.")
    assert client.get(RUN).json() == {"error": "This run is running."}
    assert client.get(f"{RUN}/sparse").status_code == 422
    fake.refusal = RuntimeError("secret")
    assert (client.get(RUN).status_code, client.get(RUN).json()["error"]) == (500, FAULT)


def test_a_file_comes_whole_in_ranges_and_goes_on(client: TestClient) -> None:
    whole = client.get(f"{RUN}/sparse")
    assert whole.content == CONTENT and whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-disposition"] == 'attachment; filename="model.sparse.zip"'
    part = client.get(f"{RUN}/sparse", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    rest = client.get(f"{RUN}/sparse", headers={"Range": "bytes=10000-", "If-Range": whole.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, CONTENT[10000:])
    other = client.get(f"{RUN}/sparse", headers={"Range": "bytes=10000-", "If-Range": '"another"'})
    assert (other.status_code, len(other.content)) == (200, len(CONTENT))
    assert client.head(f"{RUN}/sparse").headers["content-length"] == str(len(CONTENT))
    assert client.get(f"{RUN}/sparse", headers={"Range": f"bytes={len(CONTENT)}-"}).status_code == 416


@pytest.mark.parametrize(
    "form", ["zip", "nothing", "%2e%2e", "..%2Fr%2Fsparse.json", "sparse.json", "model.sparse.zip"]
)
def test_only_what_is_kept_is_served(form: str, client: TestClient) -> None:
    answer = client.get(f"{RUN}/{form}")
    assert answer.status_code in (404, 422) and CONTENT not in answer.content


@pytest.mark.parametrize("run", ["..", "%2e%2e", "..%2f..%2fetc", "a%00"])
def test_an_id_leads_nowhere_else(run: str, client: TestClient) -> None:
    assert client.get(f"/gradio_api/runs/{run}/export/sparse").status_code in (404, 422)


# --- whose token ------------------------------------------------------------------------------------------------------


class Request:
    """As much of a request as is looked at."""

    def __init__(self, host: str = "203.0.113.7", session: Any = None, **headers: str) -> None:
        self.scope = {} if session is None else {"session": session}
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.client = type("Client", (), {"host": host})()


SESSION = {"oauth_info": {"access_token": "theirs", "expires_at": 4e9, "scope": "x"}}


@pytest.mark.parametrize(
    ("request_", "whose", "token"),
    [
        (Request(), "all", None),
        (Request(session=SESSION), "own", "theirs"),
        (Request(session={"oauth_info": {"access_token": "old", "expires_at": 1.0}}), "all", None),
        (Request("127.0.0.1"), "all", "kept"),
        (Request("::1"), "all", "kept"),
        (Request("127.0.0.1"), "own", None),
        (Request("127.0.0.1", x_forwarded_for="203.0.113.7"), "all", None),
        (Request("127.0.0.1", session=SESSION), "all", "theirs"),
    ],
)
def test_whose_token_it_is(request_: Request, whose: str, token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "kept")
    monkeypatch.setattr(export_route, "whose_from_environment", lambda: whose)
    assert export_route.signed_in(request_) == token


def test_the_app_s_login_guards_every_route(fake: Fake) -> None:
    app = FastAPI()

    @app.get("/gradio_api/login_check")
    def check() -> None:
        raise HTTPException(401, "log in")

    add_export_route(app, fake)
    client = TestClient(app)
    asked = [
        client.get(RUN),
        client.post(RUN, json={"form": "zip"}),
        client.get(f"{RUN}/sparse"),
        client.head(f"{RUN}/sparse"),
    ]
    assert [answer.status_code for answer in asked] == [401] * 4
    assert fake.asked == []
