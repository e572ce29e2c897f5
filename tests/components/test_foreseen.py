"""The goal of a challenge is looked for when a link to it is opened, once, and in nobody's way."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from components.foreseen import Foreseen
from tests.runs.helpers import PATIENCE

GOAL = {"scene": "challenge", "settings": {"sparsity": 0.65, "pruner": "wanda"}, "ahead": True}


class Asked:
    """Stands for the lessons; fails where it is told to."""

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.heard, self.threads = fails, SimpleQueue(), []

    def answer(self, asked: dict[str, Any]) -> None:
        self.threads.append(threading.current_thread())
        self.heard.put(asked)
        if self.fails:
            raise RuntimeError("no model")


def layer(lessons: Asked) -> Foreseen:
    app = FastAPI()
    app.get("/")(lambda: "the page")
    app.post("/")(lambda: "something else")
    app.get("/history")(lambda: "another page")
    return Foreseen(app, lessons.answer)


@pytest.mark.parametrize("root_path", ["", "/proxy/one"])
def test_a_link_has_its_goal_looked_for_once(root_path: str) -> None:
    lessons = Asked()
    page = TestClient(layer(lessons), root_path=root_path)
    assert [page.get("/?learn=challenge-lambda&set=lam:0.1").json() for _ in range(3)] == ["the page"] * 3
    assert lessons.heard.get(timeout=PATIENCE) == GOAL
    page.get("/?learn=challenge-hard")
    assert lessons.heard.get(timeout=PATIENCE)["settings"] == {"sparsity": 0.8, "pruner": "magnitude"}
    with pytest.raises(Empty):
        lessons.heard.get_nowait()


@pytest.mark.parametrize("address", ["/", "/?learn=race", "/?learn=", "/?run=challenge-lambda", "/?learn=%ff%00"])
def test_other_pages_ask_for_nothing(address: str) -> None:
    lessons = Asked()
    foreseen = layer(lessons)
    page = TestClient(foreseen)
    assert page.get(address).json() == "the page"
    assert page.post("/?learn=challenge-lambda").json() == "something else"
    assert page.get("/history?learn=challenge-lambda").json() == "another page"
    assert not foreseen._begun


def test_a_failure_is_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    lessons = Asked(fails=True)
    assert TestClient(layer(lessons)).get("/?learn=challenge-lambda").json() == "the page"
    lessons.heard.get(timeout=PATIENCE)
    lessons.threads[0].join(PATIENCE)
    assert "challenge-lambda could not be found ahead" in caplog.text
