"""The real app under a table of hostile requests: each is refused in a sentence, tells nothing, and reaches nothing."""

from __future__ import annotations

import http.server
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from neuroal.runs.events import RunFinished
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from tests.attackers.hostile_requests import FILES, INNER, REQUESTS, RUN, SPECS, Case, filled
from tests.attackers.served import served
from tests.components.kept import keep
from tests.runs.helpers import records_of, started

# Of what nothing may be in an answer.
CANARY, PASSWORDS = "canary-5d1f", "root:"

# Seconds for an answer: much more than any takes, much less than a search or a download.
PATIENCE = 20.0


@dataclass
class Inner:
    """A server that only this machine reaches."""

    url: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def inner() -> Iterator[Inner]:
    found = Inner()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CANARY.encode())

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/x.zip"
    yield found
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Shared:
    """An app that strangers share, in which somebody else has finished a run."""

    url: str
    data: Path
    run: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    data = tmp_path_factory.mktemp("shared") / "data"
    store = Store(data)
    spec = RunSpec(model="tiny", top_up="uniform", source="own", text=f"{CANARY} " * 20)
    run = keep(store, records_of([started(spec), RunFinished(1.0, 2)]), spec)
    store.close()
    with served(data, NEUROAL_HISTORY="own", NEUROAL_LOCAL_FOLDERS="0") as url:
        yield Shared(url, data, run)


@pytest.fixture(scope="module")
def client(shared: Shared) -> Iterator[httpx.Client]:
    fresh = httpx.Limits(max_keepalive_connections=0)  # the server may close one just when it is to be used again
    with httpx.Client(base_url=shared.url, timeout=PATIENCE, limits=fresh) as opened:
        yield opened


def told_nothing(text: str) -> None:
    assert CANARY not in text and PASSWORDS not in text and "Traceback" not in text and "SQLite" not in text, text


def test_the_table_is_long_enough() -> None:
    assert len(REQUESTS) + len(FILES) + len(SPECS) >= 90
    assert len({case[0] for case in REQUESTS}) == len(REQUESTS)


@pytest.mark.parametrize("case", REQUESTS, ids=[case[0] for case in REQUESTS])
def test_a_request_is_refused_and_learns_nothing(
    case: Case, client: httpx.Client, shared: Shared, inner: Inner, caplog: pytest.LogCaptureFixture
) -> None:
    _, method, path, more, codes = case
    path = path.replace(INNER, inner.url).replace(RUN, shared.run).replace("DATA", str(shared.data))
    if "json" in more:
        more = {**more, "json": filled(more["json"], RUN=shared.run)}
    with caplog.at_level(logging.WARNING):
        answer = client.request(method, path, **more)
    assert answer.status_code in codes, answer.text[:500]
    told_nothing(answer.text)
    assert "evil.example" not in answer.headers.get("access-control-allow-origin", "")
    assert not [record for record in caplog.records if record.name.startswith(("components", "neuroal"))], "a fault"
    assert inner.asked == []


def test_the_app_is_as_it_was(client: httpx.Client, shared: Shared) -> None:
    """After all of that: the run is there, is nobody else's, and keeps its name."""
    assert client.post("/gradio_api/history", json={"do": "list"}).json()["rows"] == []
    row = client.post("/gradio_api/history", json={"do": "named", "ids": [shared.run]}).json()["rows"][0]
    assert (row["name"], row["mine"], row["private"]) == ("", False, True)


def upload_functions(client: httpx.Client) -> list[tuple[int, list[bool]]]:
    """Functions of the page that take a file: their index, and which of their inputs are files."""
    config = client.get("/config").json()
    takes = {part["id"] for part in config["components"] if part["type"] in ("uploadbutton", "file")}
    found = [(each["id"], [i in takes for i in each["inputs"]]) for each in config["dependencies"]]
    return [(index, inputs) for index, inputs in found if any(inputs)]


@pytest.mark.parametrize(("label", "given"), FILES, ids=[label for label, _ in FILES])
def test_what_was_not_uploaded_is_not_opened(
    label: str, given: Any, client: httpx.Client, shared: Shared, inner: Inner
) -> None:
    functions = upload_functions(client)
    assert len(functions) == 3, "two bundles and a text; who adds one looks at this test"
    given = filled(given, INNER=inner.url, DATA=str(shared.data))
    for index, inputs in functions:
        body = {"data": [given if taken else None for taken in inputs], "fn_index": index, "session_hash": "s"}
        answer = client.post("/gradio_api/run/predict", json=body)
        assert answer.status_code >= 400, answer.text
        told_nothing(answer.text)
    assert inner.asked == []


def test_an_uploaded_name_stays_in_its_folder(client: httpx.Client) -> None:
    for name in ("../../../evil.zip", "/etc/evil.zip", "..\\..\\evil.zip", "a\0b.zip", ".." * 200 + "/evil.zip"):
        answer = client.post("/gradio_api/upload", files={"files": (name, b"PK", "application/zip")})
        if answer.status_code == 200:
            path = Path(answer.json()[0])
            assert ".." not in path.parts and path.parent.parent.name == "gradio", path
            path.unlink()
        else:
            assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(("label", "spec"), SPECS, ids=[label for label, _ in SPECS])
def test_a_run_that_means_harm_is_not_started(label: str, spec: Any, client: httpx.Client, inner: Inner) -> None:
    begun = time.monotonic()
    event = client.post("/gradio_api/call/v2/start_run", json={"spec": spec}).json()["event_id"]
    answer = client.get(f"/gradio_api/call/v2/start_run/{event}").text
    assert answer.startswith("event: error"), answer
    sentence = json.loads(answer.partition("data: ")[2])["error"]
    assert 20 < len(sentence) < 1500 and "\n" not in sentence and "went wrong" not in sentence, sentence
    told_nothing(answer)
    assert inner.asked == [] and time.monotonic() - begun < PATIENCE


def test_somebody_elses_text_is_nowhere(client: httpx.Client, shared: Shared) -> None:
    """Who has the link of a run on own text sees its figures, and never the text."""
    for path in ("events", "repeat", "bundle", "export", "matrix"):
        told_nothing(client.get(f"/gradio_api/runs/{shared.run}/{path}").text)
    for name in ("run_status", "run_result"):
        event = client.post(f"/gradio_api/call/v2/{name}", json={"run": shared.run}).json()["event_id"]
        told_nothing(client.get(f"/gradio_api/call/v2/{name}/{event}").text)
    assert client.get(f"/gradio_api/runs/{shared.run}/bundle").status_code == 409
