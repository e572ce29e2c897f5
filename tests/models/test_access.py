"""Whose token asks the Hub, and that nobody gets through this host what the Hub would not give them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import gradio as gr
import pytest
from starlette.requests import Request

from components.visitors import oauth_token, visiting
from neuroal.background import in_background
from neuroal.errors import UserError
from neuroal.hosting.limits import Limits
from neuroal.hosting.profile import Profile, current
from neuroal.models import access, hub, locate
from neuroal.models.access import acting_for, require, token_for
from neuroal.models.menu import MENU
from neuroal.runs.spec import RunSpec

SHARED = current({"NEUROAL_PROFILE": "space-cpu"})
GATED_ON_MENU = next(entry for entry in MENU if entry.gated)
OWNERS, ANNS = "Bearer hf_owner", "Bearer hf_ann"

# Who may have what: an open model, one that is gated, one that its owner alone can see.
MAY = {"them/open": None, "them/gated": {ANNS, OWNERS}, "owner/private": {OWNERS}}


@pytest.fixture(autouse=True)
def _a_shared_host_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_host", SHARED)
    monkeypatch.setattr(access, "_public", set())
    monkeypatch.setenv("HF_TOKEN", "hf_owner")


@pytest.fixture
def asked(use_transport: Callable[..., Any]) -> Iterator[list[tuple[str, str | None]]]:
    """A Hub that knows who may have what; what it was asked, and by whom."""
    seen: list[tuple[str, str | None]] = []

    def answer(request: Any) -> Any:
        path, who = unquote(request.url.path), request.headers.get("authorization")
        if path == "/":
            return http.Response(200)
        seen.append((path, who))
        name = next((name for name in MAY if f"/{name}" in path), None)
        allowed = name is not None and (MAY[name] is None or who in MAY[name])
        if name is None or (name == "owner/private" and not allowed):
            return http.Response(404 if who else 401, headers={"X-Error-Code": "RepoNotFound"})
        if path.endswith("/auth-check") or "/resolve/" in path:
            error = {"X-Error-Code": "GatedRepo"}
            return http.Response(200, json={}) if allowed else http.Response(403 if who else 401, headers=error)
        gated, private = "manual" if name == "them/gated" else False, name == "owner/private"
        return http.Response(
            200, json={"id": name, "sha": "a" * 40, "gated": gated, "private": private, "siblings": []}
        )

    http = use_transport(answer)
    hub.forget_unreachable()
    yield seen


def test_on_a_machine_of_ones_own_everything_goes_with_ones_own_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_host", Profile())
    assert token_for("owner/private") is None and not access.is_restricted()
    require("owner/private")  # nobody is asked


def test_the_hosts_token_is_for_what_the_host_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert token_for("HuggingFaceTB/SmolLM2-135M-Instruct") is None
    assert token_for("owner/private") is False, "nobody's"
    assert token_for(GATED_ON_MENU.repo_id) is False, "its licence was given to the owner alone"
    assert token_for("owner/private", "hf_given") == "hf_given"
    monkeypatch.setattr(access, "_host", Profile(token="menu", models=("owner/private", GATED_ON_MENU.name)))
    assert token_for("owner/private") is None and token_for(GATED_ON_MENU.repo_id) is None
    monkeypatch.setattr(access, "_host", Profile(token="none"))
    assert token_for("HuggingFaceTB/SmolLM2-135M-Instruct") is False


def test_a_visitors_token_is_theirs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with acting_for("hf_ann"):
        assert token_for("them/gated") == "hf_ann"
        assert token_for("HuggingFaceTB/SmolLM2-135M-Instruct") is None
        with (
            closing(in_background("x", lambda say, stop: token_for("them/gated"))) as work,
            pytest.raises(StopIteration) as end,
        ):
            while True:
                next(work)
        assert end.value.value == "hf_ann", "also in the thread that downloads"
    assert token_for("them/gated") is False


@pytest.mark.parametrize("name", ["owner/private", "them/gated"])
def test_a_stranger_does_not_get_what_only_the_owner_may_have(asked: list[Any], name: str) -> None:
    with pytest.raises(UserError) as refusal:
        Limits(SHARED).refuse(RunSpec(model=name))
    assert name in str(refusal.value) and "sign in with Hugging Face on this page" in str(refusal.value)
    assert {who for _, who in asked} == {None}, "the owner's token was not shown"


def test_a_stranger_may_have_what_is_open_and_it_is_asked_once(asked: list[Any]) -> None:
    require("them/open")
    count = len(asked)
    require("them/open")
    assert len(asked) == count > 0 and {who for _, who in asked} == {None}


def test_who_has_signed_in_gets_what_they_may_have_and_no_more(asked: list[Any]) -> None:
    with acting_for("hf_ann"):
        require("them/gated")
        with pytest.raises(UserError, match="There is no model 'owner/private'"):
            require("owner/private")
    with pytest.raises(UserError, match="them/gated is gated"):
        require("them/gated")  # although it is here by now, someone else may not have it
    assert {who for _, who in asked} == {None, ANNS}


def test_what_is_in_the_cache_is_not_for_everyone(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "cached_config", lambda *_: Path("config.json"))
    assert locate.locate_config("owner/private").config == Path("config.json")
    with pytest.raises(UserError, match="There is no model 'owner/private'"):
        Limits(SHARED).refuse(RunSpec(model="owner/private"))


def test_without_the_hub_only_what_the_host_offers_can_be_had(no_hub: list[str]) -> None:
    hub.forget_unreachable()
    require("tiny")
    require("SmolLM2-135M-Instruct")
    with pytest.raises(UserError, match="the Hugging Face Hub cannot be reached"):
        require("them/open")


def test_who_has_signed_in_is_known_by_the_session() -> None:
    def request(**info: Any) -> Any:
        return SimpleNamespace(scope={"session": {"oauth_info": info}})

    later, before = time.time() + 60, time.time() - 60
    assert oauth_token(request(access_token="hf_ann", expires_at=later)) == "hf_ann"
    assert oauth_token(request(access_token="hf_ann", expires_at=before)) is None
    assert oauth_token(SimpleNamespace(scope={})) is None and oauth_token(SimpleNamespace()) is None
    session = {"oauth_info": {"access_token": "hf_ann", "expires_at": later}}
    gradios = gr.Request(Request({"type": "http", "headers": [], "session": session}))
    with visiting(gradios):
        assert token_for("them/gated") == "hf_ann"
    assert oauth_token(gr.Request()) is None
