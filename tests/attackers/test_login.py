"""An app that asks for a login asks for it everywhere, lets in by form, by cookie and by Basic authentication."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client

from components.guard.attempts import FREE
from neuroal.errors import UserError
from tests.attackers.served import served

PASSWORD = "long-enough-to-guess"

RUN = "/gradio_api/runs/example-tiny-flat"

# Every route of ours, and what it answers to who has logged in.
OURS = [
    ("GET", f"{RUN}/events", 200), ("GET", f"{RUN}/bundle", 200), ("POST", f"{RUN}/bundle", 200),
    ("GET", f"{RUN}/repeat", 200), ("GET", f"{RUN}/export", 422), ("POST", f"{RUN}/export", 422),
    ("GET", f"{RUN}/export/sparse", 422), ("HEAD", f"{RUN}/export/sparse", 422), ("GET", f"{RUN}/matrix", 422),
    ("GET", f"{RUN}/matrix/0.x", 422), ("GET", f"{RUN}/matrix/0.x/cells?top=0&left=0&rows=1&columns=1", 422),
    ("POST", "/gradio_api/history", 200), ("POST", "/gradio_api/learn", 422), ("GET", "/gradio_api/mcp", 404),
    ("POST", "/gradio_api/mcp/", 404),
]  # fmt: skip

# Gradio's, some of which it leaves open by itself.
GRADIOS = [
    ("GET", "/config", 200), ("GET", "/openapi.json", 200), ("GET", "/gradio_api/info", 200),
    ("POST", "/gradio_api/cancel", 422), ("POST", "/gradio_api/reset", 422), ("POST", "/gradio_api/queue/join", 422),
]  # fmt: skip

BODIES = {
    "bundle": {"pictures": {}}, "export": {"form": "sparse"}, "history": {"do": "list"}, "learn": {"scene": "none"},
}  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("login")
    (folder / "who").write_text(f"ann:{PASSWORD}\nbob:{PASSWORD}2\n")
    with served(folder / "data", NEUROAL_AUTH_FILE=str(folder / "who"), NEUROAL_MCP="off") as found:
        yield found


@pytest.mark.parametrize(("method", "path", "code"), [*OURS, *GRADIOS])
def test_every_route_is_closed(url: str, method: str, path: str, code: int) -> None:
    body = {"json": BODIES.get(path.rpartition("/")[2], {})} if method == "POST" else {}
    closed = httpx.request(method, url + path, **body)
    assert closed.status_code == 401 and "login" in closed.text + "login" * (method == "HEAD")
    opened = httpx.request(method, url + path, auth=("bob", f"{PASSWORD}2"), timeout=60, **body)
    assert opened.status_code == code, opened.text[:300]


def test_no_route_of_ours_is_forgotten_here() -> None:
    """Who adds a route adds it to the table."""

    paths = set()
    for file in Path(__file__).resolve().parents[2].glob("components/*.py"):
        paths |= set(re.findall(r'^PATH = "([^"]+)"', file.read_text(encoding="utf-8"), flags=re.M))
    tried = {path.partition("?")[0].rstrip("/").replace(RUN, "/gradio_api/runs/{run_id}") for _, path, _ in OURS}
    assert paths and paths <= tried


def test_the_form_gives_a_cookie_that_opens(url: str) -> None:
    with httpx.Client(base_url=url) as http:
        assert http.post("/login", data={"username": "ann", "password": PASSWORD}).json() == {"success": True}
        assert http.get(f"{RUN}/repeat").status_code == 200
        http.get("/logout")
        assert http.get(f"{RUN}/repeat").status_code == 401


def test_a_program_logs_in(url: str) -> None:
    client = Client(url, auth=("ann", PASSWORD), verbose=False)
    assert client.predict(api_name="/list_runs")["total"] == 0


def test_who_guesses_waits(url: str) -> None:
    """Last: this address has to wait afterwards."""
    guesses = [httpx.post(f"{url}/login", data={"username": "ann", "password": f"x{n}"}) for n in range(FREE + 1)]
    assert [guess.status_code for guess in guesses] == [400] * FREE + [429]
    assert "try again in" in guesses[-1].json()["error"]
    assert httpx.get(f"{url}/config", auth=("ann", PASSWORD)).status_code == 429


def test_a_setting_that_is_none_is_told_before_the_app_starts(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="Line 1 of NEUROAL_AUTH is no account"),
        served(tmp_path, NEUROAL_AUTH="ann", NEUROAL_AUTH_FILE=""),
    ):
        pass
