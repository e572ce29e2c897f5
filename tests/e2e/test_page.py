"""A person's walk through the real app in a real browser: prune, watch, leave and come back, compare."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.e2e.server import Server

LONG, SHORT = 120_000, 10_000  # milliseconds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One app for the module, without SmolLM2 being fetched: the tiny model is the one at hand."""
    folder = tmp_path_factory.mktemp("app")
    started = Server(folder / "data", folder / "log", NEUROAL_DEFAULT_MODEL="tiny")
    yield started
    started.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh profile; a request to any other host, or an error of a script, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    opened = context.new_page()
    foreign: list[str] = []
    errors: list[str] = []

    def look(request: Request) -> None:
        if not re.match(r"(http://127\.0\.0\.1:|data:|blob:)", request.url):
            foreign.append(request.url)

    context.on("request", look)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert not foreign, "the page asked another host"
    assert not errors, "a script failed"


def _open(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/{query}")
    page.wait_for_selector("#run")


def _choose(page: Page, **settings: str) -> None:
    """Fills the form as a person does: the tiny model, the Quick budget, and what else is asked."""
    model = page.get_by_label("Model", exact=True)
    model.click()
    model.fill("tiny")
    model.press("Enter")
    page.get_by_label("Quick", exact=True).check()
    for label, value in settings.items():
        page.get_by_label(label.replace("_", " "), exact=True).first.fill(value)
        page.keyboard.press("Tab")


def _run(page: Page) -> str:
    """Presses Run and returns the id that the address then carries."""
    page.click("#run")
    page.wait_for_url(re.compile(r"\?run="), timeout=LONG)
    return re.search(r"run=([\w-]+)", page.url)[1]


def _status(page: Page, says: str, timeout: int = LONG) -> None:
    expect(page.locator(".na-live").first).to_contain_text(re.compile(says), timeout=timeout)


def _plot(page: Page, card: str) -> dict[str, object]:
    """The data that a figure shows, read from Plotly itself."""
    return page.evaluate(
        "(card) => { const p = document.querySelector(`.na-card-${card} .js-plotly-plot`);"
        "return {data: p.data.map(t => ({name: t.name, y: t.y, z: t.z, x: t.x})), type: p.data[0].type}; }",
        card,
    )


def test_a_recorded_run_is_shown_before_anything_is_computed(page: Page, server: Server) -> None:
    _open(page, server)
    _status(page, "recorded run", SHORT)
    page.get_by_role("button", name="Show the end").click()
    expect(page.locator(".na-card-damage .js-plotly-plot")).to_be_visible(timeout=SHORT)
    assert "run=" not in page.url


def test_prune_watch_and_compare(page: Page, server: Server) -> None:
    """Steps 3, 4 and 6: a full NeuroAL search over blocks and rows, three perplexities, both models answering."""
    _open(page, server)
    _choose(page)
    expect(page.locator("#estimate")).to_contain_text("of memory", timeout=LONG)
    run = _run(page)
    _status(page, r"Finished in .*Perplexity: [\d.]+ dense, [\d.]+ uniform, [\d.]+ NeuroAL")
    heatmap = _plot(page, "heatmap")
    assert len(heatmap["data"][0]["z"]) == 15 and len(heatmap["data"][0]["z"][0]) == 8  # the row step's grid
    damage = [value for trace in _plot(page, "damage")["data"] for value in trace["y"]]
    records = _records(server, run)
    measured = {r["variant"]: r["value"] for r in records if r["kind"] == "Measured"}
    assert sorted(damage) == pytest.approx(sorted(measured.values()))
    assert set(measured) == {"dense", "uniform", "chosen"}

    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Prompt", exact=True).fill("She walked to the window and")
    page.get_by_role("button", name="Generate").click()
    display = page.locator("#na-compare-display")
    expect(display).to_contain_text(re.compile(r"They part at token|Identical to the end"), timeout=LONG)
    expect(display).to_contain_text(re.compile(r"\d+ tokens, [\d.]+ tokens/s"))


def _records(server: Server, run: str) -> list[dict[str, object]]:
    """The whole log over the event route."""
    body = httpx.get(f"{server.url}/gradio_api/runs/{run}/events", timeout=60).text
    return [r for line in body.splitlines() if line.startswith("data: [") for r in json.loads(line[6:])]


def test_a_closed_tab_stops_nothing_and_the_link_leads_back(page: Page, server: Server, browser: Browser) -> None:
    """Step 5: the tab is closed in the middle; the link, opened elsewhere, shows the same run going on."""
    _open(page, server)
    _choose(page, Sparsity_ratio="0.55")
    run = _run(page)
    _status(page, "lambda")
    page.close()
    with browser.new_context(viewport={"width": 390, "height": 844}) as phone:
        other = phone.new_page()
        _open(other, server, f"?run={run}")
        _status(other, "Finished in")
        assert other.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "scrolls sideways"


def test_two_viewers_see_one_run_and_a_reload_reattaches(page: Page, server: Server, browser: Browser) -> None:
    _open(page, server)
    _choose(page, Sparsity_ratio="0.65")
    run = _run(page)
    with browser.new_context() as context:
        second = context.new_page()
        _open(second, server, f"?run={run}")
        page.reload()
        for viewer in (page, second):
            _status(viewer, "Finished in")
        assert _plot(page, "scores") == _plot(second, "scores")


def test_cancel_then_resume(page: Page, server: Server) -> None:
    _open(page, server)
    _choose(page, Sparsity_ratio="0.7")
    run = _run(page)
    _status(page, "lambda")
    page.click("#cancel")
    _status(page, "[Cc]ancelled")
    assert _records(server, run)[-1]["kind"] == "RunCancelled"
    page.click("#resume")
    _status(page, "Finished in")
    kinds = [r["kind"] for r in _records(server, run)]
    assert kinds.count("RunResumed") == 1 and kinds[-1] == "RunFinished"
    finished = [(r["step"], r["lam"]) for r in _records(server, run) if r["kind"] == "CandidateFinished"]
    assert len(finished) == len(set(finished)) == 29, "no candidate was scored twice, none was left out"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"Model": "no-such-model"}, "no-such-model"),
        ({"Samples": "0"}, "Samples is 0; it must be a whole number from 1 to 256"),
        ({"Samples": "2.5"}, "whole number"),
        ({"Length": "100000"}, "from 16 to 8192"),
        ({"Length": "4096"}, "context of tiny is 512"),
        ({"Lambdas": "a lot"}, "not numbers"),
        ({"Lambdas": "3"}, "from 0 to 1"),
    ],
)
def test_bad_input_gets_one_sentence_before_any_work(
    page: Page, server: Server, settings: dict[str, str], says: str
) -> None:
    _open(page, server)
    for fold in ("Calibration text and size", "Advanced"):
        page.get_by_role("button", name=fold).click()
    _choose(page)
    for label, value in settings.items():
        control = page.get_by_label(label, exact=True).first
        control.fill(value)
        control.press("Tab")
    page.click("#run")
    answer = page.locator("#answer")
    expect(answer).to_contain_text(says, timeout=LONG)
    assert len(re.findall(r"[.;!?](\s|$)", answer.inner_text().strip())) <= 3
    assert "Traceback" not in page.content() and "run=" not in page.url


def test_an_unknown_link_is_told_plainly(page: Page, server: Server) -> None:
    _open(page, server, "?run=nothing-here")
    expect(page.locator("#answer")).to_contain_text("No run with this link is known here", timeout=SHORT)


def test_every_control_has_a_label(page: Page, server: Server) -> None:
    """What a screen reader needs: a name for every field and button that can be reached."""
    _open(page, server)
    for fold in ("Calibration text and size", "Measuring", "Advanced"):
        page.get_by_role("button", name=fold).click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('input, textarea, select, button')].filter(e => e.offsetParent).filter(
            e => !(e.labels?.length || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby')
                   || e.title || e.textContent.trim() || e.type === 'file')).map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_kill_and_resume(tmp_path: Path, page: Page) -> None:
    """kill -9 in the middle of a search: after a new start the run is shown as interrupted and can be resumed."""
    server = Server(tmp_path / "data", tmp_path / "log", NEUROAL_DEFAULT_MODEL="tiny")
    try:
        _open(page, server)
        _choose(page)
        run = _run(page)
        _status(page, "lambda")
        server.kill()
        server.start()
        before = _records(server, run)
        assert before[-1]["kind"] == "RunInterrupted"
        _open(page, server, f"?run={run}")
        _status(page, "[Ii]nterrupted")
        page.click("#resume")
        _status(page, "Finished in")
        assert _records(server, run)[: len(before)] == before
        assert server.terminate() == 0
    finally:
        server.stop()
