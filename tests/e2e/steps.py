"""What a person does on the page, step by step, and what they then see."""

from __future__ import annotations

import json
import re

import httpx
from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.e2e.server import Server

# Milliseconds. Short is longer than the app waits for a browser to hear the end of a stream (components/last_word.py).
LONG, SHORT = 240_000, 30_000


def open_page(page: Page, server: Server, query: str = "") -> None:
    """Until the form is there; a link may at once lead away from it, to another tab, so it need not be seen."""
    page.goto(f"{server.url}/{query}")
    page.wait_for_selector("#run", state="attached")


def on_a_dark_phone(page: Page) -> Page:
    """Another page of the same browser, small and dark."""
    phone = page.context.new_page()
    phone.set_viewport_size({"width": 390, "height": 844})
    phone.emulate_media(color_scheme="dark", reduced_motion="reduce")
    return phone


def choose(page: Page, **settings: str) -> None:
    """Fills the form as a person does: the tiny model, the Quick budget, and what else is asked."""
    model = page.get_by_label("Model", exact=True)
    model.click()
    model.fill("tiny")
    model.press("Enter")
    page.get_by_label("Quick", exact=True).check()
    length = field(page, "Length")
    if length.count():  # the fold is open: what follows must not be typed into a value that is just being set
        expect(length).to_have_value("64")
    for label, value in settings.items():
        page.get_by_role("spinbutton", name=re.compile(label.replace("_", " "))).first.fill(value)
        page.keyboard.press("Tab")


def pick(page: Page, label: str, option: str) -> None:
    """Picks the option of a menu that begins so."""
    page.get_by_label(label, exact=True).first.click()
    page.get_by_role("option", name=re.compile(rf"^{option}")).first.click()


def field(page: Page, label: str) -> Locator:
    """The control of a setting; what explains a setting is part of its accessible name."""
    return page.get_by_label(re.compile(rf"^\s*{label}\b")).first


def press_run(page: Page) -> str:
    """Presses Run and returns the id that the address then carries."""
    page.click("#run")
    try:
        page.wait_for_url(re.compile(r"\?run="), timeout=LONG)
    except TimeoutError as error:
        raise AssertionError(f"No run was started; the page says: {page.inner_text('#answer')}") from error
    run = re.search(r"run=([\w-]+)", page.url)[1]
    looks_at(page, run)
    return run


def looks_at(page: Page, run: str) -> None:
    """Waits until the live view shows this run, and no longer the example, which may have come to its end by then."""
    page.wait_for_function("run => window.NeuroAL?.shownRun === run", arg=run)


def status(page: Page, says: str, timeout: int = LONG) -> None:
    expect(page.locator(".na-live").first).to_contain_text(re.compile(says), timeout=timeout)


def search_seen(page: Page) -> None:
    """Waits until the first scores are drawn: the search is going."""
    drawn(page, "heatmap", LONG)


def drawn(page: Page, card: str, timeout: int = SHORT) -> Locator:
    """Scrolls to a figure of the live view, which is drawn when it is near, and waits for it."""
    node = page.locator(f".na-card-{card}").first
    node.scroll_into_view_if_needed(timeout=timeout)
    expect(node.locator(".js-plotly-plot:not([aria-busy])")).to_be_visible(timeout=timeout)
    return node.locator(".js-plotly-plot")


def plot(page: Page, card: str) -> dict[str, object]:
    """The data that a figure shows, read from Plotly itself."""
    drawn(page, card)
    return page.evaluate(
        "(card) => { const p = document.querySelector(`.na-card-${card} .js-plotly-plot`);"
        "return {data: p.data.map(t => ({name: t.name, y: t.y, z: t.z, x: t.x})), type: p.data[0].type}; }",
        card,
    )


def records_of(server: Server, run: str) -> list[dict[str, object]]:
    """The whole log over the event route."""
    answer = httpx.get(f"{server.url}/gradio_api/runs/{run}/events", timeout=60).raise_for_status()
    return [r for line in answer.text.splitlines() if line.startswith("data: [") for r in json.loads(line[6:])]
