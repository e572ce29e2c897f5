"""The route that streams a run's events: order, cursor, end, refusals, login, and letting go of a client that left."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import zlib
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI

from components import stream
from components.stream import add_event_route
from neuroal.errors import UserError
from tests.components.logs import Record, numbered, realistic, started


class Memory:
    """Logs in memory, some of them over; counts how often each is read."""

    def __init__(self, logs: dict[str, list[Record]], over: set[str]) -> None:
        self.logs, self.over, self.reads = logs, over, 0

    def read(self, run_id: str, after: int) -> tuple[list[Record], bool]:
        self.reads += 1
        return self.logs[run_id][after:], run_id in self.over


def messages(body: str) -> list[tuple[int, list[Record]]]:
    """(id, records) of each message with data."""
    found = []
    for block in body.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "id" in lines:
            found.append((int(lines["id"]), json.loads(lines["data"])))
    return found


def get(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    """The whole answer to one request, without a server."""

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(path, headers=headers)

    # On a thread of its own: a browser test of the same session may keep an event loop running on this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asyncio.wait_for(ask(), 10)).result()


@pytest.fixture(scope="module")
def log() -> list[Record]:
    return realistic()


@pytest.fixture
def app(log: list[Record]) -> FastAPI:
    made = FastAPI()
    add_event_route(made, Memory({"whole": log}, {"whole"}))
    return made


def test_a_finished_log_comes_in_order_in_small_messages_and_ends(app: FastAPI, log: list[Record]) -> None:
    answer = get(app, "/gradio_api/runs/whole/events")
    parts = messages(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
    assert [record for _, records in parts for record in records] == json.loads(json.dumps(log))
    assert all(last == records[-1]["n"] for last, records in parts)
    assert len(parts) > 1
    assert all(len(part) < 1.1 * stream.MESSAGE_BYTES for part in answer.text.split("\n\n"))
    assert answer.text.endswith("event: end\ndata: {}\n\n")


def test_the_stream_is_packed_only_for_those_who_can_unpack_it(app: FastAPI) -> None:
    packed = get(app, "/gradio_api/runs/whole/events", **{"Accept-Encoding": "br, gzip"})
    plain = get(app, "/gradio_api/runs/whole/events", **{"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert {answer.headers["vary"] for answer in (packed, plain)} == {"Accept-Encoding"}
    assert packed.text == plain.text


def test_every_packed_message_can_be_read_as_it_leaves_and_resembling_ones_are_small() -> None:
    said = [f'id: {n}\ndata: [{{"kind":"BlockScored","block":{n},"score":0.25}}]\n\n' for n in range(20)]

    async def speak() -> AsyncGenerator[str, None]:
        for message in said:
            yield message

    async def pack() -> list[bytes]:
        return [part async for part in stream._compressed(speak())]

    with ThreadPoolExecutor(1) as pool:
        parts = pool.submit(asyncio.run, pack()).result()
    reader = zlib.decompressobj(wbits=stream.GZIP_BITS)
    assert [reader.decompress(part).decode() for part in parts[:-1]] == said
    reader.decompress(parts[-1])
    assert reader.eof
    assert len(parts[10]) < len(said[10]) / 2


@pytest.mark.parametrize(
    ("query", "header", "first"),
    [
        ("", None, 1),
        ("?after=7", None, 8),
        ("?after=7", "9", 10),
        ("?after=-3", None, 1),
        ("?after=seven", None, 1),
        ("?after=7", "²", 1),
        ("?after=99999999999999999999", None, 1),
    ],
)
def test_the_cursor_is_the_last_event_id_then_the_query_then_the_start(
    app: FastAPI, query: str, header: str | None, first: int
) -> None:
    headers = {"Last-Event-ID": header.encode()} if header else {}
    assert messages(get(app, f"/gradio_api/runs/whole/events{query}", **headers).text)[0][1][0]["n"] == first


def test_a_cursor_at_the_end_ends_at_once(app: FastAPI, log: list[Record]) -> None:
    assert get(app, f"/gradio_api/runs/whole/events?after={len(log)}").text == "event: end\ndata: {}\n\n"


def test_an_unknown_run_is_a_404_with_a_sentence(app: FastAPI) -> None:
    answer = get(app, "/gradio_api/runs/nowhere/events")
    assert answer.status_code == 404
    assert answer.json()["error"].endswith(".")


def test_a_store_that_cannot_be_read_is_told_in_its_own_sentence() -> None:
    class Damaged:
        def read(self, run_id: str, after: int) -> tuple[list[Record], bool]:
            raise UserError("The file with the runs is damaged; start the app again.")

    made = FastAPI()
    add_event_route(made, Damaged())
    answer = get(made, "/gradio_api/runs/a/events")
    assert answer.status_code == 503
    assert answer.json() == {"error": "The file with the runs is damaged; start the app again."}


def test_infinity_is_null_on_the_wire() -> None:
    made = FastAPI()
    records = [{"n": 1, "t": 0.0, "kind": "Measured", "value": float("inf"), "list": (float("nan"), 1.5)}]
    add_event_route(made, Memory({"a": records}, {"a"}))
    record = messages(get(made, "/gradio_api/runs/a/events").text)[0][1][0]
    assert (record["value"], record["list"]) == (None, [None, 1.5])


def test_events_are_sent_as_they_come_with_a_heartbeat_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.05)
    source = Memory({"a": numbered([started()])}, set())
    made = FastAPI()
    add_event_route(made, source)

    def go_on() -> None:
        time.sleep(0.3)
        source.logs["a"].append({"n": 2, "t": 1.0, "kind": "RunCancelled"})
        source.over.add("a")

    threading.Thread(target=go_on).start()
    text = get(made, "/gradio_api/runs/a/events").text
    assert [last for last, _ in messages(text)] == [1, 2]
    assert 2 <= text.count(": still here") <= 7


def test_a_run_that_is_removed_meanwhile_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "POLL_SECONDS", 0.01)
    source = Memory({"a": numbered([started()])}, set())
    made = FastAPI()
    add_event_route(made, source)
    threading.Timer(0.1, lambda: source.logs.clear()).start()
    assert get(made, "/gradio_api/runs/a/events").text.endswith("event: end\ndata: {}\n\n")


@pytest.fixture(scope="module")
def launched(log: list[Record]) -> Iterator[tuple[str, Memory, gr.Blocks]]:
    """A real Gradio app with a login, and a run that goes on for ever."""
    with gr.Blocks() as demo:
        gr.Markdown("Nothing here.")
    source = Memory({"whole": log, "endless": log[:3]}, {"whole"})
    app, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, auth=("ada", "secret"))
    add_event_route(app, source)
    yield url.rstrip("/"), source, demo
    demo.close(verbose=False)


@contextmanager
def logged_in(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=5) as client:
        client.post("/login", data={"username": "ada", "password": "secret"}).raise_for_status()
        yield client


def test_the_route_asks_for_the_apps_login(launched: tuple[str, Memory, gr.Blocks], log: list[Record]) -> None:
    url, _, _ = launched
    assert httpx.get(f"{url}/gradio_api/runs/whole/events").status_code == 401
    with logged_in(url) as client:
        answer = client.get("/gradio_api/runs/whole/events")
        assert messages(answer.text)[-1][0] == len(log)


def test_a_client_that_leaves_is_let_go_and_closing_the_server_ends_streams(
    launched: tuple[str, Memory, gr.Blocks],
) -> None:
    url, source, demo = launched
    with logged_in(url) as client:
        with client.stream("GET", "/gradio_api/runs/endless/events") as answer:
            assert next(answer.iter_lines()) == "id: 3"
        time.sleep(0.5)
        reads = source.reads
        time.sleep(0.5)
        assert source.reads == reads
        with client.stream("GET", "/gradio_api/runs/endless/events") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "id: 3"
            begun = time.monotonic()
            demo.close(verbose=False)
            assert time.monotonic() - begun < 2
            assert "event: end" not in list(lines)


def test_a_gradio_app_whose_check_is_not_found_gets_no_route() -> None:
    made: Any = FastAPI()
    made.auth = {"ada": "secret"}
    with pytest.raises(RuntimeError, match="login check"):
        add_event_route(made, Memory({}, set()))
