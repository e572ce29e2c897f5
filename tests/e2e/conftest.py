"""A browser page that is watched for what must never happen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, Request, expect

from tests.conftest import CHROMIUM_ARGS, chromium
from tests.e2e.server import Server

# A busy machine is slow, not wrong: what is expected at once may take a while to show.
expect.set_options(timeout=30_000)


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


@pytest.fixture(scope="session")
def profile(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """One profile on disk for all pages of a worker: what Chromium has compiled of the scripts is kept there, and only
    there, and without it each page costs nearly twice the processor time. ``page`` empties it of all else.

    It asks for little motion: else the example on the first page plays for 20 s, for half of a processor.
    """
    opened = playwright.chromium.launch_persistent_context(
        tmp_path_factory.mktemp("profile"),
        executable_path=chromium(),
        args=[*CHROMIUM_ARGS, "--blink-settings=v8CacheOptions=3"],  # kept at the first look, not at the third
        viewport={"width": 1280, "height": 1000},
        reduced_motion="reduce",
    )
    yield opened
    opened.close()


def forget(profile: BrowserContext, origins: set[str]) -> None:
    """Closes all pages but the empty one that keeps the browser open, and takes away what these origins have stored;
    the copies of their files stay."""
    empty, *pages = profile.pages
    for opened in pages:
        opened.close()
    profile.clear_cookies()
    profile.clear_permissions()
    devtools = profile.new_cdp_session(empty)
    kinds = "cookies,local_storage,indexeddb,service_workers,cache_storage,file_systems"
    for origin in origins:
        devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": kinds})
    devtools.detach()


@pytest.fixture
def page(profile: BrowserContext) -> Iterator[Page]:
    """As in a fresh profile; a request to any other host, or an error of a script, fails the test."""
    opened = profile.new_page()
    asked: set[str] = set()
    errors: list[str] = []

    def look(request: Request) -> None:
        asked.add(request.url)

    profile.on("request", look)
    opened.on("pageerror", lambda error: errors.append(error.stack or str(error)))
    yield opened
    profile.remove_listener("request", look)
    own = {url for url in asked if re.match(r"(http://127\.0\.0\.1:|data:|blob:)", url)}
    forget(profile, {"://".join(urlsplit(url)[:2]) for url in own if url.startswith("http:")})
    assert not asked - own, "the page asked another host"
    assert not errors, "a script failed"
