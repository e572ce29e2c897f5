"""A person's walk through the real app in a real browser: prune, watch, leave and come back, compare."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import (
    LONG,
    SHORT,
    choose,
    drawn,
    field,
    looks_at,
    open_page,
    plot,
    press_run,
    records_of,
    search_seen,
    status,
)


def test_a_recorded_run_is_shown_before_anything_is_computed(page: Page, server: Server) -> None:
    page.emulate_media(reduced_motion="no-preference")
    open_page(page, server)
    status(page, "set to zero by Wanda", SHORT)
    page.get_by_role("button", name="Show the end").click()
    drawn(page, "damage")
    assert "run=" not in page.url


def test_a_recorded_run_is_chosen_by_link_and_by_card(page: Page, server: Server) -> None:
    open_page(page, server, "?example=tiny-flat")
    title, card = page.locator(".na-example-title"), page.locator(".na-example")
    expect(title).to_have_text("A flat landscape", timeout=SHORT)
    expect(card.filter(has_text="A flat landscape")).to_have_attribute("aria-pressed", "true")
    card.filter(has_text="SparseGPT mends").click()
    expect(title).to_have_text("SparseGPT mends as it prunes", timeout=SHORT)
    assert page.url.endswith("?example=tiny-sparsegpt")
    status(page, "tiny", SHORT)
    page.reload()
    expect(title).to_have_text("SparseGPT mends as it prunes", timeout=SHORT)


def test_prune_watch_and_compare(page: Page, server: Server) -> None:
    """Steps 3, 4 and 6: a full NeuroAL search over blocks and rows, three perplexities, both models answering."""
    open_page(page, server)
    choose(page)
    expect(page.locator("#estimate")).to_contain_text("of memory", timeout=LONG)
    run = press_run(page)
    status(page, r"Finished in .*Perplexity: [\d.]+ dense, [\d.]+ uniform, [\d.]+ NeuroAL")
    heatmap = plot(page, "heatmap")
    assert len(heatmap["data"][0]["z"]) == 15 and len(heatmap["data"][0]["z"][0]) == 8  # the row step's grid
    damage = [value for trace in plot(page, "damage")["data"] for value in trace["y"]]
    records = records_of(server, run)
    measured = {r["variant"]: r["value"] for r in records if r["kind"] == "Measured"}
    assert sorted(damage) == pytest.approx(sorted(measured.values()))
    assert set(measured) == {"dense", "uniform", "chosen"}

    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Prompt", exact=True).fill("She walked to the window and")
    page.get_by_role("button", name="Generate").click()
    display = page.locator("#na-compare-display")
    expect(display).to_contain_text(re.compile(r"They part at token|Identical to the end"), timeout=LONG)
    expect(display).to_contain_text(re.compile(r"\d+ tokens, [\d.]+ tokens/s"))


def test_a_closed_tab_stops_nothing_and_the_link_leads_back(page: Page, server: Server, browser: Browser) -> None:
    """Step 5: the tab is closed in the middle; the link, opened elsewhere, shows the same run going on."""
    open_page(page, server)
    choose(page, Sparsity_ratio="0.55")
    run = press_run(page)
    search_seen(page)
    page.close()
    with browser.new_context(viewport={"width": 390, "height": 844}) as phone:
        other = phone.new_page()
        open_page(other, server, f"?run={run}")
        looks_at(other, run)
        status(other, "Finished in")
        assert other.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "scrolls sideways"


def test_two_viewers_see_one_run_and_a_reload_reattaches(page: Page, server: Server, browser: Browser) -> None:
    open_page(page, server)
    choose(page, Sparsity_ratio="0.65")
    run = press_run(page)
    with browser.new_context() as context:
        second = context.new_page()
        open_page(second, server, f"?run={run}")
        page.reload()
        for viewer in (page, second):
            looks_at(viewer, run)
            status(viewer, "Finished in")
        assert plot(page, "scores") == plot(second, "scores")


def test_cancel_then_resume(page: Page, server: Server) -> None:
    open_page(page, server)
    choose(page, Sparsity_ratio="0.7")
    page.get_by_role("button", name="Advanced").click()
    page.get_by_label("Every lambda of the paper's grid").check()
    run = press_run(page)
    search_seen(page)
    page.click("#cancel")
    status(page, "[Cc]ancelled")
    assert records_of(server, run)[-1]["kind"] == "RunCancelled"
    page.click("#resume")
    status(page, "Finished in")
    kinds = [r["kind"] for r in records_of(server, run)]
    assert kinds.count("RunResumed") == 1 and kinds[-1] == "RunFinished"
    finished = [(r["step"], r["lam"]) for r in records_of(server, run) if r["kind"] == "CandidateFinished"]
    assert len(finished) == len(set(finished)) == 29, "no candidate was scored twice, none was left out"


# What is typed, what is said of it, and what is right in its place.
WRONG = [
    ("Model", "no-such-model", "no-such-model", "tiny"),
    ("Samples", "0", "Samples is 0; it must be a whole number from 1 to 256", "8"),
    ("Samples", "2.5", "Samples is 2.5; it must be a whole number", "8"),
    ("Length", "100000", "from 16 to 8192", "64"),
    ("Length", "4096", "context of tiny is 512", "64"),
    ("Lambdas", "a lot", "not numbers", ""),
    ("Lambdas", "3", "from 0 to 1", ""),
]


def test_bad_input_gets_one_sentence_before_any_work(page: Page, server: Server) -> None:
    open_page(page, server)
    for fold in ("Calibration text and size", "Advanced"):
        page.get_by_role("button", name=fold).click()
    choose(page)
    answer = page.locator("#answer")
    for label, wrong, says, right in WRONG:
        control = field(page, label)
        control.fill(wrong)
        control.press("Tab")
        page.click("#run")
        expect(answer).to_contain_text(says, timeout=LONG)
        assert len(re.findall(r"[.;!?](\s|$)", answer.inner_text().strip())) <= 3
        assert "Traceback" not in page.content() and "run=" not in page.url
        control.fill(right)
        control.press("Tab")


def test_a_ratio_typed_beyond_the_slider_is_said_and_put_right(page: Page, server: Server) -> None:
    open_page(page, server)
    choose(page)
    number, estimate = page.get_by_label("number input for Sparsity ratio"), page.locator("#estimate")
    for wrong, right in (("-1", "0.1"), ("7", "0.9")):
        number.fill(wrong)
        expect(estimate).to_contain_text(f"Sparsity ratio is {wrong}.0; it must be a number from 0.1 to 0.9.")
        number.press("Tab")
        expect(number).to_have_value(right)
        expect(estimate).to_contain_text(re.compile(r"About .* of memory\."))
    expect(page.locator(".toast-body")).to_have_count(0)


def test_an_unknown_link_is_told_plainly(page: Page, server: Server) -> None:
    open_page(page, server, "?run=nothing-here")
    expect(page.locator("#answer")).to_contain_text("No run with this link is known here", timeout=SHORT)


def test_every_control_has_a_label(page: Page, server: Server) -> None:
    """What a screen reader needs: a name for every field and button that can be reached."""
    open_page(page, server)
    for fold, inside in (("Calibration text and size", "Length"), ("Measuring", "Perplexity"), ("Advanced", "Lambdas")):
        page.get_by_role("button", name=fold).click()
        expect(field(page, inside)).to_be_visible()
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
        open_page(page, server)
        choose(page)
        page.get_by_role("button", name="Advanced").click()
        page.get_by_label("Every lambda of the paper's grid").check()  # else it may be over before it is killed
        run = press_run(page)
        search_seen(page)
        server.kill()
        server.start()
        before = records_of(server, run)
        assert before[-1]["kind"] == "RunInterrupted"
        open_page(page, server, f"?run={run}")
        status(page, "can be resumed")
        page.click("#resume")
        status(page, "Finished in")
        assert records_of(server, run)[: len(before)] == before
        assert server.terminate() == 0
    finally:
        server.stop()


def test_a_run_can_be_started_and_cancelled_from_the_keyboard(page: Page, server: Server) -> None:
    """Tab reaches Run and Cancel in the order of the page, and Enter presses them."""
    open_page(page, server)
    page.get_by_label("Quick", exact=True).check()
    _tab_to(page, "run")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"\?run="), timeout=LONG)  # a heat map alone could be that of the recorded run
    _tab_to(page, "cancel")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text(re.compile("Asked to stop|not going"), timeout=SHORT)


def _tab_to(page: Page, element: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id || document.activeElement.parentElement.id") == element:
            return
    raise AssertionError(f"Tab never reached #{element}")
