"""The damage on the page: measured with the run, and of a finished run by the button; on a dark phone too."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import LONG, SHORT, choose, drawn, on_a_dark_phone, open_page, plot, press_run, records_of, status


def tick(page: Page, *evaluations: str) -> None:
    """Opens the fold, where it is closed, and ticks."""
    if not page.get_by_label("Perplexity", exact=True).is_visible():
        page.get_by_role("button", name="Measuring").click()
        expect(page.get_by_label("Perplexity", exact=True)).to_be_visible()
    for name in evaluations:
        page.get_by_label(name, exact=True).check()


def test_a_finished_run_is_measured_by_the_button(page: Page, server: Server) -> None:
    open_page(page, server)
    choose(page, Sparsity_ratio="0.58")
    run = press_run(page)
    status(page, "Finished in")
    expect(page.locator(".na-card-divergence")).to_be_hidden()
    page.click("#measure")
    expect(page.locator("#answer")).to_contain_text("has all of these figures", timeout=SHORT)
    tick(page, "Divergence from the dense model", "Collapse probes")
    page.click("#measure")
    expect(page.locator(".na-card-probes")).to_contain_text(re.compile("healthy|degraded|collapsed"), timeout=LONG)
    status(page, "Finished in")
    assert [r["kind"] for r in records_of(server, run)].count("RunFinished") == 2

    measured = {(r["metric"], r["variant"]): r for r in records_of(server, run) if r["kind"] == "Measured"}
    kl = measured["divergence", "chosen"]
    expect(page.locator(".na-card-divergence")).to_contain_text(f"{kl['value']:.3f} ± {kl['stderr']:.3f}")
    expect(page.locator(".na-token")).to_have_count(128)
    page.locator(".na-token").nth(5).hover()
    expect(page.locator(".na-told")).to_contain_text(re.compile(r"came; KL divergence .*dense, .*pruned, ", re.DOTALL))
    card = json.loads(page.locator(".na-card-config .na-json").text_content() or "")
    assert card["spec"]["evaluations"] == ["perplexity", "divergence", "probes"]

    other = on_a_dark_phone(page)
    open_page(other, server, f"?run={run}")
    expect(other.locator(".na-card-probes")).to_be_visible(timeout=LONG)
    assert other.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "scrolls sideways"
    other.get_by_text("Read what they wrote").click()
    expect(other.locator(".na-answer")).to_have_count(8)


def test_calibrations_are_drawn_beside_their_differences(page: Page, server: Server) -> None:
    open_page(page, server)
    choose(page, Sparsity_ratio="0.56")
    tick(page, "Calibration sensitivity")
    page.get_by_role("spinbutton", name=re.compile("Further seeds")).first.fill("1")
    page.keyboard.press("Tab")
    run = press_run(page)
    status(page, "Finished in")
    told = [r for r in records_of(server, run) if r["kind"] == "Measured" and r["metric"].startswith("sensitivity/")]
    whats = [r["metric"].partition("/")[2] for r in told]
    assert whats[:4] == ["this run", "seed 1", "4 samples", "16 samples"]
    method = next(t for t in plot(page, "spread")["data"] if t["name"] == "NeuroAL")
    assert (method["y"], method["x"]) == (whats, [r["value"] for r in told])
    lower = [t for t in plot(page, "spread")["data"] if t["y"][0] in ("each", "mean", "calibration")]
    assert [len(t["x"]) for t in lower] == [len(told), 1, 2]
    alternative = page.locator(".na-card-spread .na-hidden")
    expect(alternative).to_contain_text(f"Over {len(told)} calibrations the pruned model's perplexity")

    other = on_a_dark_phone(page)
    open_page(other, server, f"?run={run}")
    expect(drawn(other, "spread", LONG).locator(".xtick").first).to_be_visible()
    assert other.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "scrolls sideways"
    outside = """() => {
      const plot = document.querySelector(".na-card-spread .na-plot").getBoundingClientRect();
      return [...document.querySelectorAll(".na-card-spread text")].filter((text) => {
        const box = text.getBoundingClientRect();
        return box.width && (box.left < plot.left - 1 || box.right > plot.right + 1);
      }).map((text) => text.textContent);
    }"""
    assert other.evaluate(outside) == [], "is cut off"


def test_tasks_are_asked_for_only_when_they_are_chosen(page: Page, server: Server) -> None:
    open_page(page, server)
    tick(page)
    expect(page.get_by_label("HellaSwag", exact=True)).to_be_hidden()
    tick(page, "Zero-shot tasks")
    expect(page.get_by_label("HellaSwag", exact=True)).to_be_visible(timeout=SHORT)
    expect(page.get_by_label("LAMBADA", exact=True)).not_to_be_checked()
    for name in ("WinoGrande", "BoolQ", "HellaSwag", "ARC-e", "ARC-c", "OpenBookQA"):
        page.get_by_label(name, exact=True).uncheck()
    page.get_by_role("spinbutton", name=re.compile("Questions")).first.fill("3")
    choose(page, Sparsity_ratio="0.57")
    press_run(page)
    status(page, "Finished in")
    row = page.locator(".na-card-zeroshot tr", has_text="RTE")
    expect(row).to_contain_text(re.compile(r"[\d.]+( ± [\d.]+)? %.*50.0 %.*3"))


def test_a_run_of_nobody_cannot_be_measured(page: Page, server: Server) -> None:
    open_page(page, server)
    tick(page, "Cost card")
    page.click("#measure")
    expect(page.locator("#answer")).to_contain_text("No run of yours is open", timeout=SHORT)
