"""The route of the guided path: what it answers, and how it refuses."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from components.learn_route import PATH, Lessons, add_learn_route


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    add_learn_route(app, Lessons())
    return TestClient(app)


def test_a_scene_is_answered(client: TestClient) -> None:
    found = client.post(PATH, json={"scene": "model", "settings": {}}).json()
    assert (found["name"], found["blocks"]) == ("tiny", 8)


@pytest.mark.parametrize(
    "asked, status, says",
    [
        ({"scene": "matrx"}, 422, "did you mean 'matrix'"),
        ({"scene": "matrix", "settings": {"block": 99}}, 422, "blocks 0 to 7"),
        ({"scene": ["matrix"]}, 422, "reload the page"),
        ({"scene": "matrix", "settings": 5}, 422, "reload the page"),
        ({}, 422, "reload the page"),
        ([], 400, "JSON object"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(client: TestClient, asked: object, status: int, says: str) -> None:
    answer = client.post(PATH, json=asked)
    assert (answer.status_code, says.lower() in answer.json()["error"].lower()) == (status, True), answer.text


def test_another_sites_page_may_not_ask(client: TestClient) -> None:
    answer = client.post(PATH, json={"scene": "model"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
