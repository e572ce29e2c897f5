"""The page in a browser that obeys its policy: all of it works, nothing from elsewhere does, texts stay texts."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from neuroal.runs.examples import load_examples
from tests.attackers.served import served
from tests.e2e.steps import LONG, choose, drawn, press_run

PASSWORD = "long-enough-to-guess"

# What a tab shows last, once its scripts and the server have answered.
SHOWN = {
    "Learn": ".na-learn .js-plotly-plot:visible", "Compare": ".na-compare:visible",
    "Trade-offs": ".na-map .js-plotly-plot:visible", "History": ".na-history tbody tr:visible",
    "Prune": ".na-live .js-plotly-plot:visible",
}  # fmt: skip

# Tells what the policy has stopped, and whether a text has run.
WATCH = """
window.stopped = [];
document.addEventListener("securitypolicyviolation", (e) => window.stopped.push(e.violatedDirective));
"""

HARM = "window.harm = (window.harm ?? 0) + 1"
TEXT = (
    f"<img src=x onerror='{HARM}'><script>{HARM}</script>${{{HARM}}}{{{{{HARM}}}}}"
    "![x](https://evil.example/a.png)<a href='https://evil.example/'>b</a><svg onload=1>"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("browser") / "data", NEUROAL_AUTH=f"ann:{PASSWORD}") as found:
        yield found


@pytest.fixture
def errors() -> list[str]:
    """What went wrong in a script, or was stopped by the policy."""
    return []


@pytest.fixture
def page(browser: Browser, url: str, errors: list[str]) -> Iterator[Page]:
    """A fresh profile that has logged in by the form; fails the test where the policy stops something of the page's."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 1000}, color_scheme="dark", reduced_motion="reduce"
    )
    context.add_init_script(WATCH)
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(error.stack or str(error)))
    opened.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    opened.goto(url)
    for password in ("wrong password", PASSWORD):
        opened.locator("input[type=text]").first.fill("ann")
        opened.locator("input[type=password]").fill(password)
        opened.get_by_role("button", name="Login").click()
        if password != PASSWORD:
            expect(opened.get_by_text("Incorrect")).to_be_visible(timeout=LONG)
    opened.wait_for_selector("#run", timeout=LONG)
    yield opened
    context.close()
    assert not errors


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).first.click()
    expect(page.locator(SHOWN[name]).first).to_be_visible(timeout=LONG)


def test_a_run_its_charts_and_what_is_taken_away(page: Page) -> None:
    choose(page)
    press_run(page)
    expect(page.locator(".na-live").first).to_contain_text(re.compile("Finished in"), timeout=LONG)
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.locator(".na-matrix summary").first.click()
    expect(page.locator(".na-matrix canvas").first).to_be_visible(timeout=60_000)
    with page.expect_download(timeout=LONG) as download:
        page.get_by_role("link", name="Download this run as a bundle").click()
    with zipfile.ZipFile(download.value.path()) as files:
        assert any(name.endswith(".png") for name in files.namelist()), "pictures are drawn in the browser"
    for tab in ("Learn", "Compare", "Trade-offs", "History"):
        open_tab(page, tab)
    for theme in ("light", "dark"):
        page.goto(re.sub(r"&__theme=\w+", "", page.url) + f"&__theme={theme}")
        page.wait_for_selector(".js-plotly-plot", timeout=LONG)
        assert page.evaluate("document.body.classList.contains('dark')") is (theme == "dark")


def spoilt(value: Any) -> Any:
    """Every free text of a record, with harm in it."""
    if isinstance(value, dict):
        kept = ("kind", "step", "variant", "metric", "pruner", "top_up", "mode", "source", "gqa", "dtype", "pattern",
                "eval_source", "text", "eval_text", "evaluations", "tasks", "key", "started")  # fmt: skip
        return {name: item if name in kept else spoilt(item) for name, item in value.items()}
    if isinstance(value, list):
        return [spoilt(item) for item in value]
    return TEXT if isinstance(value, str) else value


def test_a_bundle_of_hostile_texts_is_drawn_as_text(page: Page, tmp_path: Path) -> None:
    """Model, versions, machine, notices, tokens and labels of a stranger's run."""
    records = spoilt(next(iter(load_examples().values())).records)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("run.json", json.dumps({"format": 1, "kind": "run"}))
        out.writestr("events.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    path = tmp_path / "x.zip"
    path.write_bytes(target.getvalue())
    foreign: list[str] = []
    page.context.on("request", lambda asked: foreign.append(asked.url) if "evil" in asked.url else None)
    page.set_input_files("#bundle input[type=file], input[type=file][accept*=zip]", path)
    page.wait_for_url(re.compile(r"\?run="), timeout=LONG)
    run = re.search(r"run=([\w-]+)", page.url)[1]
    page.wait_for_function("run => window.NeuroAL?.shownRun === run", arg=run)  # no longer the example
    live = page.locator(".na-live").first
    expect(live).to_contain_text(re.compile("Finished in"), timeout=LONG)
    expect(live).to_contain_text("onerror=", timeout=LONG)  # it is there, to be read
    for card in ("heatmap", "scores", "sparsity", "rows", "damage"):
        drawn(page, card, LONG)
    for tab in ("Compare", "Trade-offs", "History", "Prune"):
        open_tab(page, tab)
    expect(page.locator(".na-history tbody")).to_contain_text("<svg onload=1>")
    expect(live).to_contain_text("onerror=")
    foul = "img[src='x'], img[src*=evil], a[href*=evil], svg[onload], iframe, script[src*=evil]"
    assert page.locator(foul).count() == 0
    assert page.evaluate("window.harm ?? 0") == 0 and not foreign


def test_what_comes_from_elsewhere_is_stopped(page: Page, errors: list[str]) -> None:
    """Should a text be drawn for once, the browser asks no other host for it."""
    kinds = {"img-src", "connect-src", "script-src-elem", "frame-src"}
    with page.expect_console_message(lambda _: all(kind in str(errors) for kind in kinds), timeout=LONG):
        page.evaluate(
            """() => {
              new Image().src = "https://evil.example/a.png";
              fetch("https://evil.example/", { mode: "no-cors" }).catch(() => {});
              const script = document.createElement("script"); script.src = "https://evil.example/a.js";
              const frame = document.createElement("iframe"); frame.src = "https://evil.example/";
              document.body.append(script, frame);
            }"""
        )
    page.wait_for_function("new Set(window.stopped).size >= 4", timeout=LONG)  # one kind may be told of several times
    assert set(page.evaluate("window.stopped")) == kinds
    assert len(errors) >= 4 and all("evil.example" in error for error in errors), "this is how a violation would show"
    page.goto("about:blank")  # so that no more of it is told after this
    errors.clear()
