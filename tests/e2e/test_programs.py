"""Other programs and the running app: gradio_client, curl and an MCP client, by what the README tells them to do."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from components.mcp_tools import MISSING
from tests.e2e.server import Server

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("\n## From other programs\n")[1].split("\n## ")[0]
ADDRESS = "http://127.0.0.1:7860"

# Some seconds of search, to be cancelled.
LONG = {"model": "tiny", "mode": "exact", "samples": 64, "length": 256, "seed": 3}


def told_by_the_readme(language: str, server: Server) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", SECTION, flags=re.S)
    assert ADDRESS in block
    return block.replace(ADDRESS, server.url)


def run(command: list[str], text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readmes_python_program(server: Server) -> None:
    said = run([sys.executable, "-c", told_by_the_readme("py", server)])
    assert "Finished in" in said and re.search(r"perplexity [\d.]+ \(dense [\d.]+\)", said), said


def test_the_readmes_curl(server: Server) -> None:
    said = run(["bash", "-eu"], told_by_the_readme("sh", server))
    answers = [json.loads(line.removeprefix("data: "))[0] for line in said.splitlines() if line.startswith("data: [")]
    assert answers[0]["run"] == answers[-1]["run"] and answers[-1]["events"][0]["n"] == 1


def test_a_client_cancels_and_compares(server: Server) -> None:
    app = Client(server.url, verbose=False)
    run = app.predict(json.dumps(LONG), api_name="/start_run")["run"]
    told = until(app, run, lambda told: told["status"] == "running" and told["state"]["steps"])
    assert told["progress"] < 1
    assert app.predict(run, api_name="/cancel_run")["cancelled"]
    assert until(app, run, lambda told: told["done"])["status"] == "cancelled"
    listed = app.predict(status="finished", api_name="/list_runs")
    finished = [row["id"] for row in listed["rows"]][:1]
    assert finished, "of the test before"
    compared = app.predict([*finished, "example-tiny-flat"], api_name="/compare")
    assert compared["settings"] and compared["figures"].keys() >= {"allocations", "perplexity"}
    answering = app.submit(run=finished[0], prompt="She was", max_tokens=450, api_name="/generate")
    next(iter(answering))
    assert answering.cancel()
    with pytest.raises(AppError, match=r"^Sparsity ratio is 7; it must be a number from 0\.1 to 0\.9\.$"):
        app.predict({"model": "tiny", "sparsity": 7}, api_name="/start_run")
    log = server.log.read_text()
    assert "Traceback" not in log, log


def until(app: Client, run: str, wanted: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while not wanted(told := app.predict(run, api_name="/run_status")):
        assert time.monotonic() < deadline, told["sentence"]
        time.sleep(0.1)
    return told


# --- MCP ------------------------------------------------------------------------------------------------------------

WITH_MCP = importlib.util.find_spec("mcp") is not None


@pytest.mark.skipif(WITH_MCP, reason="MCP is installed here, so the next test asks it.")
def test_without_the_extra_mcp_is_a_sentence(server: Server) -> None:
    answer = httpx.post(f"{server.url}/gradio_api/mcp/", json={})
    assert (answer.status_code, answer.json()) == (404, {"error": MISSING})


@pytest.mark.skipif(not WITH_MCP, reason='MCP is not installed: pip install "gradio[mcp]".')
def test_an_mcp_client(server: Server) -> None:
    asyncio.run(converse(f"{server.url}/gradio_api/mcp/"))


async def converse(url: str) -> None:
    """Lists the tools, runs a search, reads its result, cancels another one, and asks for what is not allowed."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()

        async def ask(name: str, **arguments: Any) -> Any:
            answer = await session.call_tool(name, arguments)
            assert not answer.isError, answer.content
            return json.loads(answer.content[0].text)

        async def followed(run: str) -> dict[str, Any]:
            deadline = time.monotonic() + 120
            while not (told := await ask("run_status", run=run, events=False, state=False))["done"]:
                assert time.monotonic() < deadline, told["sentence"]
                await asyncio.sleep(0.1)
            return told

        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert sorted(tools) == [
            "cancel_run", "compare", "generate", "list_runs", "run_result", "run_status", "start_run"
        ]  # fmt: skip
        assert (
            tools["start_run"].description.startswith("Starts a run") and "Returns:" in tools["start_run"].description
        )
        assert tools["run_status"].inputSchema["properties"]["after"]["description"].startswith("Number of the last")

        run = (await ask("start_run", spec={"model": "tiny", "samples": 4, "length": 64, "seed": 5}))["run"]
        assert (await followed(run))["status"] == "finished"
        result = await ask("run_result", run=run)
        assert result["summary"]["perplexity"] > result["summary"]["perplexity_dense"] > 1
        answered = await ask("generate", run=run, prompt="She was", max_tokens=8)
        assert answered["done"] and len(answered["run"]["tokens"]) == 8
        other = (await ask("start_run", spec=json.dumps(LONG | {"seed": 6})))["run"]
        assert (await ask("cancel_run", run=other))["cancelled"]
        assert (await followed(other))["status"] == "cancelled"

        for name, arguments, sentence in (
            ("start_run", {"spec": {"sparsity": 7}}, "Sparsity ratio is 7; it must be a number from 0.1 to 0.9."),
            ("generate", {"run": "nothing", "prompt": "Hello"}, "No run has this id; start a run"),
        ):
            refused = await session.call_tool(name, arguments)
            assert refused.isError and refused.content[0].text.startswith(sentence), refused.content
