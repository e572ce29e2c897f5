"""Any two finished runs answer side by side, not only the dense and the pruned model of one."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import LONG, SHORT, choose, open_page, pick, press_run, status


def test_two_runs_answer_side_by_side(page: Page, server: Server) -> None:
    open_page(page, server)
    pick(page, "Top-up", "Uniform")
    choose(page, Sparsity_ratio="0.8")
    press_run(page)
    status(page, "Finished in")
    choose(page, Sparsity_ratio="0.3")
    page.click("#run")
    expect(page.locator(".na-facts").first).to_contain_text("30 % sparsity", timeout=LONG)
    expect(page.locator(".na-sentence").first).to_contain_text("Finished in", timeout=LONG)  # no more of the first run
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("[data-side=dense] h3")).to_have_text("Dense")
    page.get_by_label("Left", exact=True).click()
    option = page.get_by_role("option", name=re.compile("tiny, Wanda, Uniform, 80 %"))
    expect(option).to_have_count(1, timeout=SHORT)
    option.click()
    expect(page.locator("[data-side=dense] h3")).to_have_text("tiny, Wanda, Uniform, 80 %")
    page.get_by_label("Prompt", exact=True).fill("She walked to the window and")
    page.get_by_role("button", name="Generate").click()
    verdict = page.locator(".na-verdict")
    expect(verdict).to_contain_text(
        re.compile(r"They part at token \d+: the left one .*, the right one "), timeout=LONG
    )
    expect(page.locator("[data-side=dense] .na-stats")).to_contain_text("tokens/s")
    expect(page.locator("[data-side=pruned] h3")).to_have_text("Pruned")
