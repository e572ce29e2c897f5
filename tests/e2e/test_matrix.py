"""Inside one matrix in a real browser: opened at a finished run, linked to, pointed at, and gone through by keys.

Then the model of that run is taken away.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from neuroal.export import decode
from tests.e2e.server import Server
from tests.e2e.steps import LONG, choose, looks_at, open_page, pick, press_run, status

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
    looks_at(page, run)
    status(page, "Finished in")
    expect(page.locator(".na-card-repeat")).to_be_visible()  # the last to come above, where it moves the mask
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


def test_its_model_is_taken_away(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    panel = page.locator(".na-export")
    panel.locator("summary").click()
    expect(panel.get_by_role("alert")).to_contain_text("This is a recorded run: its charts are here", timeout=LONG)
    pick(page, "Top-up", "Uniform")
    choose(page)
    press_run(page)  # answered before, or now
    status(page, "Finished in")
    expect(panel).to_contain_text("a checkpoint is as large as before", timeout=LONG)
    make = panel.get_by_role("button", name="Make: Sparse file")
    make.focus()
    page.keyboard.press("Enter")
    link = panel.get_by_role("link", name="Download: Sparse file")
    expect(link).to_be_visible(timeout=LONG)
    expect(panel).to_contain_text("equal bit for bit. The sparse file was decoded again")
    page.reload()
    expect(panel).to_be_visible()  # its scripts are there, so that it hears the button
    page.get_by_role("button", name="Take the model away").click()
    expect(panel.locator("summary")).to_be_focused()
    with page.expect_download(timeout=LONG) as download:
        link.click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "tiny-wanda-uniform-60.sparse.zip"
    expect(panel).to_contain_text(hashlib.sha256(path.read_bytes()).hexdigest())
    assert "tiny" in (decode(path, tmp_path / "model") / "README.md").read_text()

    page.set_viewport_size({"width": 390, "height": 844})
    panel.get_by_label("Repository").fill("not a name")
    panel.get_by_label("Token that may write").fill("hf_nothing")
    panel.get_by_role("button", name="Upload").click()
    expect(panel.get_by_role("alert")).to_contain_text("is not a name for a repository", timeout=LONG)
    expect(panel.get_by_role("alert")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
