"""What other programs may ask, without a server: each endpoint is called as Gradio calls it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.state_holder import StateHolder
from gradio.utils import get_function_description, get_function_params
from starlette.requests import Request

from components.endpoints import Endpoints
from components.endpoints_callers import KEPT_SESSIONS, Refused
from components.endpoints_docs import unfolded
from components.listing import Listing
from components.mcp_tools import as_json
from components.page import Records
from neuroal.runs.events import BlockScored, RunFinished, SearchStarted
from neuroal.runs.pace import Pace
from neuroal.runs.queue import WAITING_EACH
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from tests.components.kept import keep
from tests.components.logs import numbered, started
from tests.runs.helpers import PATIENCE, Script, wait_for

TINY = {
    "model": "tiny", "step": "block", "lambdas": [0.02, 0.2], "samples": 2, "length": 32, "eval_windows": 2,
    "eval_length": 64,
}  # fmt: skip

NAMES = ["start_run", "run_status", "cancel_run", "run_result", "list_runs", "compare", "generate"]


def request(host: str = "10.0.0.1", **headers: str) -> Request:
    """As it comes over MCP; Gradio's own passes on to one of these."""
    sent = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    encoded = [(name.encode(), value.encode()) for name, value in sent.items()]
    return Request({"type": "http", "headers": encoded, "client": (host, 1)})


ME = request()


def over(workshop: Workshop, whose: str = "all") -> Endpoints:
    records = Records(workshop)
    return Endpoints(workshop, records.read, Listing(workshop.jobs, whose, records.read))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    opened = Workshop(tmp_path_factory.mktemp("runs"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def endpoints(workshop: Workshop) -> Endpoints:
    return over(workshop)


@pytest.fixture(scope="module")
def finished(endpoints: Endpoints) -> str:
    """A run on the tiny model that has finished, asked as an object."""
    begun = endpoints.start_run(ME, TINY)
    assert begun["how"] == "started" and begun["link"] == f"?run={begun['run']}"
    assert wait_for(endpoints.workshop.jobs, begun["run"]) == "finished"
    return begun["run"]


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[tuple[Endpoints, Script]]:
    """Endpoints over runs that do nothing, and wait where the script holds them."""
    opened, script = Workshop(tmp_path), Script()
    opened.jobs.engine = script
    yield over(opened), script
    script.release()
    opened.close()


# --- a run from its start to its result -----------------------------------------------------------------------------


def test_a_run_is_followed_by_a_cursor_to_its_end(endpoints: Endpoints) -> None:
    run = endpoints.start_run(ME, json.dumps({**TINY, "seed": 1}))["run"]
    seen, deadline = [], time.monotonic() + 3 * PATIENCE
    while True:
        told = endpoints.run_status(ME, run, after=seen[-1]["n"] if seen else 0, state=False)
        seen += told["events"]
        assert "state" not in told and told["last"] == (seen[-1]["n"] if seen else 0)
        if told["done"]:
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [event["n"] for event in seen] == list(range(1, len(seen) + 1))
    assert (told["status"], told["progress"], told["seconds_left"]) == ("finished", 1.0, None)
    assert told["sentence"].startswith("Finished in ")
    glance = endpoints.run_status(ME, run, events=False, state=False)
    assert len(as_json(glance)) < 400 and glance["sentence"] == told["sentence"]
    again = endpoints.run_status(ME, run, after=told["last"])
    assert again["events"] == [] and again["state"]["measured"]["perplexity"].keys() == {"dense", "uniform", "chosen"}


def test_the_result_has_every_figure_of_the_log(endpoints: Endpoints, finished: str) -> None:
    told = endpoints.run_result(ME, finished)
    state = endpoints.run_status(ME, finished)["state"]
    assert told["measured"] == state["measured"] and told["allocation"] == state["allocation"]
    block = told["searched"]["block"]
    assert block["lambdas"] == TINY["lambdas"] and all(score > 0 for score in block["scores"])
    assert block["chosen"]["score"] == min(block["scores"]) and told["summary"]["block_lambda"] in TINY["lambdas"]
    assert told["pruned"]["chosen"]["overall"] == pytest.approx(0.6, abs=0.02)
    assert told["title"] == "tiny, Wanda, NeuroAL block, 60 %"
    assert RunSpec.from_dict(told["spec"]).key() == told["key"], "the card asks the same question again"


def test_a_question_is_not_asked_twice(endpoints: Endpoints, finished: str) -> None:
    again = endpoints.start_run(request("10.0.0.9"), json.dumps(TINY))
    assert (again["run"], again["how"]) == (finished, "answered")


def test_runs_are_compared(endpoints: Endpoints, finished: str) -> None:
    other = endpoints.start_run(ME, {**TINY, "top_up": "uniform", "eval_length": 128})["run"]
    wait_for(endpoints.workshop.jobs, other)
    told = endpoints.compare(ME, [finished, other])
    assert [run["run"] for run in told["runs"]] == [finished, other]
    assert told["settings"]["top_up"] == ["neuroal", "uniform"] and told["settings"]["eval_length"] == [64, 128]
    assert "model" not in told["settings"]
    assert "The window length differs: 64 and 128." in told["not_comparable"]
    assert {trace["name"] for trace in told["figures"]["allocations"]["data"]} == {r["title"] for r in told["runs"]}


def test_two_models_answer(endpoints: Endpoints, finished: str) -> None:
    *earlier, last = endpoints.generate(ME, finished, "She was", max_tokens=12)
    assert last["done"] and not any(told["done"] for told in earlier)
    assert len(last["run"]["tokens"]) == len(last["against"]["tokens"]) == 12
    assert (
        last["parted_at"] is None
        or last["run"]["tokens"][: last["parted_at"]] == (last["against"]["tokens"][: last["parted_at"]])
    )
    assert (
        last["verdict"] and last["note"] == "This model has no chat template, so the prompt is continued as plain text."
    )
    *_, same = endpoints.generate(ME, finished, "She was", against=finished, max_tokens=12)
    assert same["verdict"] == "Identical to the end."


def test_closing_an_answer_ends_it(endpoints: Endpoints, finished: str) -> None:
    answers = endpoints.generate(ME, finished, "She was", max_tokens=400)
    next(answers)
    answers.close()


def test_a_run_is_cancelled(scripted: tuple[Endpoints, Script]) -> None:
    endpoints, script = scripted
    script.hold("tiny")
    run = endpoints.start_run(ME, TINY)["run"]
    script.wait_inside("tiny")
    told = endpoints.cancel_run(ME, run)
    assert told["cancelled"] and told["sentence"].startswith("Cancelling")
    script.release()
    assert wait_for(endpoints.workshop.jobs, run) == "cancelled"
    assert endpoints.cancel_run(ME, run) == {
        "run": run, "cancelled": False, "status": "cancelled",
        "sentence": "This run is not going, so there is nothing to cancel.",
    }  # fmt: skip
    with pytest.raises(Refused, match=r"^This run is cancelled, so it has no result yet\. Cancelled\."):
        endpoints.run_result(ME, run)


def test_a_recorded_run_can_be_read_as_any_other(endpoints: Endpoints) -> None:
    told = endpoints.run_result(ME, "example-tiny-flat")
    assert told["summary"]["model"] == "tiny"
    assert endpoints.run_status(ME, "example-tiny-flat", after=10**6)["events"] == []


# --- who may do what ------------------------------------------------------------------------------------------------


def test_each_caller_has_as_many_runs_waiting_as_a_visitor_of_the_page(scripted: tuple[Endpoints, Script]) -> None:
    endpoints, script = scripted
    script.hold("tiny")
    seeds = iter(range(100))

    def ask(who: Any) -> str:
        return endpoints.start_run(who, {**TINY, "seed": next(seeds)})["how"]

    assert ask(ME) == "started"
    script.wait_inside("tiny")
    assert [ask(ME) for _ in range(WAITING_EACH)] == ["started"] * WAITING_EACH
    with pytest.raises(Refused, match=rf"^You already have {WAITING_EACH} runs waiting; let one finish"):
        ask(gr.Request(ME, session_hash="another one"))
    assert ask(request("10.0.0.2")) == "started"
    assert ask(request(x_forwarded_for="10.0.0.3, 10.0.0.1")) == "started", "behind a proxy"
    assert ask(gr.Request(ME, username="someone")) == "started", "who has logged in"


def test_whoever_starts_without_end_is_told_to_wait(scripted: tuple[Endpoints, Script]) -> None:
    endpoints, _ = scripted
    endpoints.workshop.pace = Pace(most=2)
    for _ in range(2):
        endpoints.start_run(ME, TINY)
    with pytest.raises(Refused, match=r"^You have asked for 2 runs within 60 seconds, as many as one may; wait \d+ s"):
        endpoints.start_run(gr.Request(ME, session_hash="another one"), TINY)
    assert endpoints.start_run(request("10.0.0.2"), TINY)["run"]


def test_callers_without_a_session_leave_nothing_behind(endpoints: Endpoints, finished: str) -> None:
    """Gradio gives each call of theirs a session, whose state it would keep."""
    holder = StateHolder()
    for i in range(KEPT_SESSIONS + 5):
        asking = Request({**ME.scope, "app": SimpleNamespace(state_holder=holder)})
        holder.session_data[f"s{i}"], holder.time_last_used[f"s{i}"] = None, None
        endpoints.run_status(gr.Request(asking, session_hash=f"s{i}"), finished)
    assert list(holder.session_data) == list(holder.time_last_used) == [f"s{i}" for i in range(5, KEPT_SESSIONS + 5)]


def test_where_strangers_share_a_server_only_known_ids_are_listed(endpoints: Endpoints, finished: str) -> None:
    listed = endpoints.list_runs(ME, text="neuroal")
    assert finished in [row["id"] for row in listed["rows"]] and listed["whose"] == "all"
    assert listed["rows"][0]["perplexity"] > 1
    shared = over(endpoints.workshop, "own")
    assert shared.list_runs(ME)["rows"] == []
    assert [row["id"] for row in shared.list_runs(ME, own=[finished])["rows"]] == [finished]


def test_a_page_of_another_site_is_refused(endpoints: Endpoints) -> None:
    with pytest.raises(Refused, match="A page of another site"):
        endpoints.list_runs(request(sec_fetch_site="cross-site"))
    with pytest.raises(Refused, match="A page of another site"):
        next(endpoints.generate(request(content_type="text/plain"), "any", "Hello"))


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({**TINY, "sparsity": 2}, "Sparsity ratio is 2; it must be a number from 0.1 to 0.9."),
        ({**TINY, "sparsity": math.nan}, "Sparsity ratio is nan; it must be a number from 0.1 to 0.9."),
        ({**TINY, "prunr": "wanda"}, "Setting 'prunr' is not known. Did you mean 'pruner'?"),
        ({**TINY, "length": 8000}, "Length is 8000, but the context of tiny is"),
        ({**TINY, "top_up": "dsnot", "pruner": "sparsegpt"}, "DSnoT"),
        ("{", "The settings of this run cannot be read: they are not JSON."),
        ("[1]", "Settings must be a JSON object"),
        (7, "Settings must be a JSON object"),
        ({**TINY, "source": "own", "text": "a" * 2_000_001}, "A text of your own may have 2,000,000 characters"),
        ("[" * 100_000, "The settings of this run cannot be read: they are not JSON."),
    ],
)
def test_a_spec_that_cannot_work_is_one_sentence(endpoints: Endpoints, spec: Any, sentence: str) -> None:
    with pytest.raises(Refused) as refusal:
        endpoints.start_run(ME, spec)
    assert str(refusal.value).startswith(sentence), str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("run_status", ("nothing",), "No run has the id 'nothing' here; start_run gives one"),
        ("run_status", (7,), "The argument run must be a text, not int."),
        ("run_status", ("example-tiny-flat", -1), "The argument after must be a whole number from 0 on."),
        ("run_status", ("sweep-abc",), "This is the id of a sweep"),
        ("cancel_run", ("nothing",), "No run has the id"),
        ("run_result", ("nothing",), "No run has the id"),
        ("list_runs", ("", "gone"), "No run can be 'gone'; choose one of:"),
        ("list_runs", ("", "", "size"), "Runs cannot be sorted by 'size'."),
        ("list_runs", ("", "", "created", True, -1), "The argument page must be a whole number"),
        ("compare", (["example-tiny-flat"],), "Two to 4 runs can be compared"),
        ("compare", ("ab",), "Two to 4 runs can be compared"),
        ("compare", (["example-tiny-flat", "nothing"],), "No run has the id"),
        ("generate", ("nothing", "Hello"), "No run has this id"),
        ("generate", ("nothing", "Hello", "dense", 5000), "Max tokens is 5000; it must be"),
    ],
)
def test_what_is_not_known_or_allowed_is_one_sentence(
    endpoints: Endpoints, name: str, arguments: tuple[Any, ...], sentence: str
) -> None:
    with pytest.raises(Refused) as refusal:
        answer = getattr(endpoints, name)(ME, *arguments)
        next(iter(answer))
    assert str(refusal.value).startswith(sentence), str(refusal.value)


def test_what_is_not_finite_is_null(workshop: Workshop, endpoints: Endpoints) -> None:
    log = numbered(
        [
            started(),
            SearchStarted("block", (0.1,), 1, 0.6),
            BlockScored("block", 0, 0.1, 0, math.inf),
            RunFinished(1, 1),
        ]
    )
    run = keep(workshop.jobs.store, log, RunSpec(model="tiny", seed=77))
    told = endpoints.run_status(ME, run)
    assert told["events"][2]["score"] is None and told["state"]["steps"]["block"]["scores"] == [[None]]
    assert json.loads(as_json(told)) == told


# --- how it is described --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_api_page_says_what_every_argument_is(endpoints: Endpoints, name: str) -> None:
    function = getattr(endpoints, name)
    description, arguments, returns = get_function_description(function)
    asked = [parameter for parameter, *_ in get_function_params(function)]
    assert description.endswith(".") and len(returns) == 1 and returns[0].startswith("An object: ")
    assert all(arguments[parameter].endswith(".") for parameter in asked), arguments


def test_docstrings_are_unfolded() -> None:
    text = "Does.\nMore.\n\nArgs:\n    a: One\n        two.\n    b: Three.\n\nReturns:\n    An object\n    of four."
    assert unfolded(text) == (
        "Does.\nMore.\n\nArgs:\n    a: One two.\n    b: Three.\n\nReturns:\n    An object of four."
    )
