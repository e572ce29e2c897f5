"""The other methods on the page: their own settings, their own charts, and what they refuse."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import LONG, SHORT, choose, drawn, field, open_page, pick, plot, press_run, records_of, status


def test_owl_rates_every_block_and_spreads_by_it(page: Page, server: Server) -> None:
    """Ratings are drawn beside the sparsity, in place of a search's heat map; the link restores all settings."""
    open_page(page, server)
    page.get_by_role("button", name="Advanced").click()
    expect(field(page, "Lambdas")).to_be_visible()
    choose(page)
    pick(page, "Top-up", "OWL")
    expect(field(page, "Lambdas")).to_be_hidden()
    expect(field(page, "NeuroAL step")).to_be_hidden()
    expect(page.locator("#estimate")).to_contain_text(re.compile(r"rating \d+ s.* of memory"), timeout=LONG)
    field(page, "OWL's lambda").fill("0.055")
    field(page, "Keep dense").fill("*.down_proj")
    page.keyboard.press("Tab")
    run = press_run(page)
    status(page, r"Finished in .*Perplexity: [\d.]+ dense, [\d.]+ uniform, [\d.]+ OWL")
    expect(page.locator(".na-card-heatmap")).to_be_hidden()
    expect(page.locator(".na-card-ratings h3")).to_have_text("Weights beyond M times the mean, %")
    records = records_of(server, run)
    rated = [r["value"] for r in records if r["kind"] == "BlockRated"]
    assert plot(page, "ratings")["type"] == "bar"
    assert plot(page, "ratings")["data"][0]["y"] == pytest.approx(rated)
    chosen = next(t["y"] for t in plot(page, "sparsity")["data"] if t["name"] == "chosen")
    assert len(chosen) == len(rated) == 8 and max(chosen) - min(chosen) > 0.01
    facts = page.locator(".na-facts li").all_inner_texts()
    assert {"Wanda + OWL, 60 % sparsity", "Keep dense: *.down_proj", "OWL's lambda: 0.055"} <= set(facts)

    open_page(page, server, f"?run={run}")
    page.get_by_role("button", name="Advanced").click()
    expect(field(page, "OWL's lambda")).to_have_value("0.055", timeout=SHORT)
    expect(field(page, "Keep dense")).to_have_value("*.down_proj")
    expect(page.get_by_label("Quick", exact=True)).to_be_checked()


def test_own_ratios_must_be_one_per_block(page: Page, server: Server) -> None:
    open_page(page, server)
    choose(page)
    expect(field(page, "Your ratios")).to_be_hidden()
    pick(page, "Top-up", "Custom")
    ratios = field(page, "Your ratios")
    expect(ratios).to_have_value(re.compile(r"0\.6"), timeout=LONG)  # the editor writes its own ones first
    ratios.fill("0.5, 0.6, 0.7")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Not used: your ratios decide it.")).to_be_visible()
    page.click("#run")
    expect(page.locator("#answer")).to_contain_text(re.compile(r"3 ratios, but .*8 blocks"), timeout=LONG)
    assert "Traceback" not in page.content()

    ratios.fill("0.5, 0.55, 0.6, 0.6, 0.65, 0.6, 0.6, 0.7")
    page.keyboard.press("Tab")
    page.click("#run")
    status(page, r"Finished in .*[\d.]+ custom")
    drawn(page, "sparsity")
    names = [trace["name"] for trace in plot(page, "sparsity")["data"]]
    assert "chosen" in names and "target" not in names


def test_a_pattern_takes_the_place_of_the_ratio(page: Page, server: Server) -> None:
    open_page(page, server)
    slider = page.get_by_role("spinbutton", name=re.compile("Sparsity ratio")).first
    expect(slider).to_be_enabled()
    page.get_by_role("button", name="Advanced").click()
    pattern = field(page, "N:M pattern")
    pattern.fill("2:4")
    expect(page.get_by_text("Not used: the N:M pattern decides it.")).to_be_visible(timeout=SHORT)
    expect(slider).to_be_disabled()
    pattern.fill("")
    expect(slider).to_be_enabled(timeout=SHORT)
