"""Tokens and passwords: used, and found nowhere afterwards. Not in a log, an answer, a file, a bundle or an export."""

from __future__ import annotations

import io
import json
import logging
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.attackers.served import served
from tests.export.conftest import hub as hub
from tests.export.conftest import use_transport as use_transport
from tests.export.hub import FakeHub

PASTED, WRONG, SERVER = "hf_secret", "hf_pasted_but_wrong", "hf_of_the_server"
PASSWORD, GUESS = "long-enough-to-guess", "not-the-password"

SPEC = {"model": "tiny", "top_up": "uniform", "samples": 2, "length": 32, "eval_windows": 2, "eval_length": 64}

PATIENCE = 120.0


class Watched(httpx.Client):
    """A client that keeps every answer."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.answers: list[bytes] = []

    def request(self, *arguments: Any, **more: Any) -> httpx.Response:
        answer = super().request(*arguments, **more)
        self.answers += [answer.content, str(answer.headers).encode()]
        return answer

    def until(self, path: str, wanted: Callable[[Any], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not wanted(told := self.get(path).json()):
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        return told


@pytest.fixture
def client(tmp_path: Path, hub: FakeHub) -> Iterator[Watched]:
    settings = {"NEUROAL_AUTH": f"ann:{PASSWORD}", "HF_TOKEN": SERVER, "NEUROAL_HISTORY": "own"}
    with served(tmp_path / "data", **settings) as url, Watched(base_url=url, timeout=PATIENCE) as opened:
        yield opened


def everything_in(content: bytes) -> Iterator[bytes]:
    """A file, and what is packed in it."""
    yield content
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for name in packed.namelist():
                yield from everything_in(packed.read(name))


def test_secrets_are_nowhere(
    client: Watched, hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("", "neuroal", "components", "gradio", "huggingface_hub"):
        caplog.set_level(logging.DEBUG if name else logging.INFO, name)
    assert client.get("/config").status_code == 401
    assert client.post("/login", data={"username": "ann", "password": GUESS}).status_code == 400
    client.auth = ("ann", PASSWORD)

    run = json.loads(started(client))["run"]
    log = client.get(f"/gradio_api/runs/{run}/events").text
    assert "RunFinished" in log and "event: end" in log
    export = f"/gradio_api/runs/{run}/export"
    for body in ({"form": "sparse"}, {"form": "zip"}, {"form": "hub", "repo": "someone/x", "token": WRONG},
                 {"form": "hub", "repo": "someone/x", "token": PASTED}):  # fmt: skip
        assert client.post(export, json=body).status_code == 200
        told = client.until(export, lambda told: not told["going"])
        assert bool(told["failed"]) is (body.get("token") == WRONG), told
    assert hub.repositories["someone/x"]["files"], "it was uploaded, so the token was used"
    for path in (
        f"{export}/sparse",
        f"{export}/zip",
        f"/gradio_api/runs/{run}/bundle",
        f"/gradio_api/runs/{run}/repeat",
    ):
        assert client.get(path).status_code == 200, path
    client.post("/gradio_api/history", json={"do": "named", "ids": [run]})

    said = capfd.readouterr()
    files = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    places = {
        "log": [caplog.text.encode()], "output": [said.out.encode(), said.err.encode()],
        "answers": client.answers, "data": files, "uploads": hub.bodies,
    }  # fmt: skip
    assert all(any(map(len, contents)) for name, contents in places.items() if name != "output")
    for place, contents in places.items():
        for content in (part for each in contents for part in everything_in(each)):
            for secret in (PASTED, WRONG, SERVER, PASSWORD, GUESS):
                assert secret.encode() not in content, f"{secret} is in the {place}"


def started(client: Watched) -> str:
    event = client.post("/gradio_api/call/v2/start_run", json={"spec": SPEC}).json()["event_id"]
    answer = client.get(f"/gradio_api/call/v2/start_run/{event}").text
    assert "event: complete" in answer, answer
    return json.dumps(json.loads(answer.partition("data: ")[2])[0])
