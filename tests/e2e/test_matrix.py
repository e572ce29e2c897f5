"""Inside one matrix in a real browser: opened at a finished run, linked to, pointed at, and gone through by keys."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import LONG, choose, open_page, pick, press_run, status

MARKS = "(card) => document.querySelector(`.na-card-matrix-${card} .js-plotly-plot`).layout.shapes?.length ?? 0"


def marked(page: Page, card: str, what: str = "> 0") -> None:
    page.wait_for_function(f"(card) => ({MARKS})(card) {what}", arg=card)


def test_inside_one_matrix(page: Page, server: Server) -> None:
    open_page(page, server)
    panel = page.locator(".na-matrix")
    panel.locator("summary").click()
    expect(panel).to_contain_text("This is a recorded run: its charts are here, its weights are not", timeout=LONG)
    pick(page, "Top-up", "Uniform")
    choose(page)
    run = press_run(page)
    status(page, "Finished in")
    expect(panel.locator(".na-matrix-words")).to_contain_text("the largest of 56", timeout=LONG)

    open_page(page, server, f"?run={run}&matrix=2.mlp.gate_proj")
    block, linear = (panel.get_by_role("combobox", name=name) for name in ("Block", "Linear"))
    expect(block).to_have_value("2", timeout=LONG)
    expect(linear).to_have_value("2.mlp.gate_proj")
    expect(panel.locator(".na-matrix-words")).to_contain_text("352 rows (outputs) × 128 columns (inputs)")
    expect(panel.locator(".js-plotly-plot")).to_have_count(3, timeout=LONG)

    mask, readout = panel.locator(".na-mask"), panel.locator(".na-mask-readout")
    box = mask.bounding_box()
    assert box is not None
    mask.hover(position={"x": box["width"] / 2, "y": box["height"] / 2})
    expect(readout).to_have_text(re.compile(r"Row 17\d, input 6\d: (kept|pruned)"))
    for card in ("rows", "norms", "drivers"):
        marked(page, card)
    panel.locator("tr[data-input]").first.hover()
    expect(panel.locator("tr.na-marked")).to_have_count(1)
    expect(readout).to_have_text("")
    marked(page, "norms")
    marked(page, "drivers", "=== 0")

    mask.focus()
    page.keyboard.press("ArrowRight")
    before = readout.inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    expect(readout).not_to_have_text(before)
    expect(panel.locator(".na-mask-size")).to_have_text("Each square is one weight.")

    block.select_option("5")
    expect(linear).to_have_value("5.mlp.gate_proj")
    page.wait_for_url(re.compile(rf"run={run}&matrix=5\.mlp\.gate_proj"))
    panel.get_by_role("button", name="As they are").click()
    expect(panel.get_by_role("button", name="As they are")).to_have_attribute("aria-pressed", "true")
