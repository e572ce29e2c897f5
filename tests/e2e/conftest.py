"""A browser page that is watched for what must never happen."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.e2e.server import Server

# A busy machine is slow, not wrong: what is expected at once may take a while to show.
expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One app for all modules, without SmolLM2 being fetched: the tiny model is the one at hand. A test finds runs of
    others there, and asks what nobody has asked before."""
    yield from an_app(tmp_path_factory)


def an_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For a fixture: an app whose runs are nobody else's."""
    folder = tmp_path_factory.mktemp("app")
    started = Server(folder / "data", folder / "log", NEUROAL_DEFAULT_MODEL="tiny")
    yield started
    started.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh profile; a request to any other host, or an error of a script, fails the test.

    It asks for little motion: else the example on the first page plays for 20 s, for half of a processor.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
    opened = context.new_page()
    foreign: list[str] = []
    errors: list[str] = []

    def look(request: Request) -> None:
        if not re.match(r"(http://127\.0\.0\.1:|data:|blob:)", request.url):
            foreign.append(request.url)

    context.on("request", look)
    opened.on("pageerror", lambda error: errors.append(error.stack or str(error)))
    yield opened
    context.close()
    assert not foreign, "the page asked another host"
    assert not errors, "a script failed"
