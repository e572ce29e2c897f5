"""The app with the real package ``spaces``, whose device API is a stand-in: forks, pipes and quotas are real."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.server import Server
from tests.e2e.steps import records_of
from tests.hosting.device_api import DeviceApi, device_api

pytest.importorskip("spaces", reason="spaces is not installed: pip install spaces.")

# Fewer than a run takes, and more than each of its steps.
SECONDS = 3
QUICK = {"model": "tiny", "samples": 8, "length": 128, "eval_windows": 4, "eval_length": 128, "mode": "exact"}


def token(who: str) -> str:
    """As the proxy of Hugging Face puts it into a visitor's requests."""
    told = base64.urlsafe_b64encode(json.dumps({"user": who}).encode()).decode().rstrip("=")
    return f"e30.{told}.signature"


@pytest.fixture(scope="module")
def api() -> Iterator[DeviceApi]:
    with device_api() as answering:
        yield answering


@pytest.fixture(scope="module")
def space(api: DeviceApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("zerogpu")
    (folder / "cgroup").write_text("0::/here\n")
    (folder / "profile.json").write_text(json.dumps({"gpu_seconds": SECONDS, "history": "own"}))
    started = Server(
        folder / "data",
        folder / "log",
        program="tests/hosting/zero_app.py",
        SPACE_ID="someone/neuroal-explorer",
        SPACES_ZERO_GPU="true",
        SPACES_ZERO_DEVICE_API_URL=api.url,
        ZEROGPU_PROC_SELF_CGROUP_PATH=str(folder / "cgroup"),
        HOME=str(folder),
        NEUROAL_PROFILE=str(folder / "profile.json"),
        NEUROAL_DEFAULT_MODEL="tiny",
    )
    yield started
    helpers = psutil.Process(started.process.pid).children(recursive=True)
    ended = started.terminate()
    _, left = psutil.wait_procs(helpers, timeout=20)
    for process in left:
        process.kill()
    assert ended == 0 and not left, "processes with a GPU end with the app"


def ask(space: Server, name: str, who: str, **arguments: Any) -> dict[str, Any]:
    """One of the endpoints, asked by a visitor."""
    url, headers = f"{space.url}/gradio_api/call/v2/{name}", {"X-IP-Token": token(who)}
    event = httpx.post(url, json=arguments, headers=headers, timeout=60).raise_for_status().json()["event_id"]
    told = httpx.get(f"{url}/{event}", headers=headers, timeout=60).text
    return json.loads(told.rsplit("data: ", 1)[1])[0]


def until(space: Server, run: str, done: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
    """The log of a run, once it is as wanted."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        with httpx.stream("GET", f"{space.url}/gradio_api/runs/{run}/events", timeout=60) as answer:
            records: list[dict[str, Any]] = []
            for line in answer.iter_lines():
                if line.startswith("data: ["):
                    records += json.loads(line[6:])
                    if done(records):
                        return records
                assert time.monotonic() < deadline, records[-1:]
    raise AssertionError("what was waited for did not happen")


def over(records: list[dict[str, Any]]) -> bool:
    return records[-1]["kind"] in ("RunFinished", "RunFailed", "RunCancelled", "RunInterrupted")


def test_a_run_is_done_in_parts_on_the_visitors_quota(space: Server, api: DeviceApi) -> None:
    assert api.of("/startup-report"), "the Space was told that it has a function for a GPU"
    run = ask(space, "start_run", "Ann", spec=QUICK)["run"]
    records = until(space, run, over)
    assert records[-1]["kind"] == "RunFinished", records[-1]
    calls = api.of("/schedule")
    assert len(calls) >= 2 and {call["token"] for call in calls} == {token("Ann")}
    assert float(calls[0]["durationSeconds"]) >= SECONDS
    kinds = [record["kind"] for record in records]
    assert kinds.count("RunResumed") == len(calls) - 1
    assert len(api.of("/release")) == len(calls) and {each["fail"] for each in api.of("/release")} == {"false"}
    scored = [(r["step"], r["lam"]) for r in records if r["kind"] == "CandidateFinished"]
    assert len(scored) == len(set(scored)) == 29
    pids = {int(each["pid"]) for each in api.of("/allow")}
    assert pids and space.process.pid not in pids, "it was another process that had the GPU"
    masks = space.data / "pruned" / f"{run}.safetensors"
    assert masks.is_file(), "what it pruned came back"
    told = ask(space, "generate", "Ann", run=run, prompt="She was", max_tokens=4)
    assert told["done"] and told["run"]["tokens"], "and is asked in the app's own process"


def test_a_process_that_is_killed_ends_the_run_with_a_sentence_and_it_is_resumed(space: Server, api: DeviceApi) -> None:
    before = len(api.of("/schedule"))
    run = ask(space, "start_run", "Ben", spec={**QUICK, "seed": 1})["run"]
    until(space, run, lambda records: any(r["kind"] == "CandidateFinished" for r in records))
    workers = [p.pid for p in psutil.Process(space.process.pid).children() if p.status() != psutil.STATUS_ZOMBIE]
    assert before < len(api.of("/schedule")) and workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    last = until(space, run, over)[-1]
    assert last["message"] == (
        "The GPU could not be had: GPU task aborted. What was finished is kept; resume the run later."
    )


def test_a_quota_that_is_used_up_is_told_as_it_is(space: Server, api: DeviceApi) -> None:
    api.over = True
    try:
        run = ask(space, "start_run", "Cem", spec={**QUICK, "seed": 2})["run"]
        last = until(space, run, over)[-1]
    finally:
        api.over = False
    assert last["kind"] == "RunFailed" and "ZeroGPU quota" in last["message"]
    assert last["message"].endswith("What was finished is kept; resume the run later.")


def test_a_cancelled_run_lets_the_gpu_go(space: Server, api: DeviceApi) -> None:
    run = ask(space, "start_run", "Dea", spec={**QUICK, "seed": 3})["run"]
    until(space, run, lambda records: any(r["kind"] == "BlockScored" for r in records))
    assert ask(space, "cancel_run", "Dea", run=run)["cancelled"]
    assert until(space, run, over)[-1]["kind"] == "RunCancelled"
    asked, deadline = api.of("/schedule"), time.monotonic() + 20
    while len(api.of("/release")) < len([each for each in asked if each["token"] != token("Cem")]):
        assert time.monotonic() < deadline, "the call is still going"
        time.sleep(0.05)
    assert records_of(space, run)[-1]["kind"] == "RunCancelled"
