"""The guided path as a learner walks it: by link, mouse and keyboard, on a projector, by a screen reader's rules."""

from __future__ import annotations

import re
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import LONG, drawn

SERIOUS = ("serious", "critical")


def test_the_path_is_walked(page: Page, server: Server) -> None:
    page.emulate_media(reduced_motion="no-preference")
    asked: list[dict[str, Any]] = []
    page.on(
        "request", lambda sent: asked.append(sent.post_data_json) if sent.url.endswith("gradio_api/learn") else None
    )
    page.goto(f"{server.url}/?learn=alignment&set=sparsity:0.8,block:4")
    view, heading = page.locator(".na-learn"), page.locator(".na-lesson-title")
    expect(heading).to_have_text("4. What the next linear now receives")
    figure = view.locator(".js-plotly-plot")
    expect(figure).to_be_visible()
    expect(view.get_by_label("Sparsity")).to_have_value("0.8")
    early = [(one["scene"], one["ahead"]) for one in asked[:2]]
    assert early == [("model", True), ("received", True)], "asked before the tab was there"
    assert [one["scene"] for one in asked].count("received") == 1
    expect(view.get_by_role("button", name=re.compile("^Block 4"))).to_have_attribute("aria-pressed", "true")

    view.get_by_role("button", name="Show the answer").click()
    answer = view.locator(".na-answer")
    expect(answer).to_have_text(re.compile(r"^Input \d+ of mlp.gate_proj and mlp.up_proj: its share"))
    before = answer.inner_text()
    view.get_by_label("Sparsity").fill("0.4")
    expect(answer).not_to_have_text(before)
    assert "sparsity:0.4" in page.url

    heading.focus()
    page.keyboard.press("ArrowRight")
    expect(heading).to_have_text("5. Add it up: the score")
    expect(heading).to_be_focused()
    page.keyboard.press("PageDown")
    expect(heading).to_have_text("6. Lambda: the slope over the blocks")
    expect(figure).to_be_visible()

    page.keyboard.press("PageDown")
    expect(view.locator(".na-learn-race .js-plotly-plot")).to_be_visible()
    page.evaluate("""() => {
      const plot = document.querySelector(".na-learn-race .js-plotly-plot");
      window.titles = [];
      plot.on("plotly_afterplot", () => window.titles.push(plot.layout.xaxis.title.text));
    }""")
    view.get_by_role("button", name="Start").click()
    page.wait_for_function("() => /after 8 of 8/.test(window.titles[window.titles.length - 1])")
    assert any(re.search("after [1-7] of 8", title) for title in page.evaluate("window.titles"))

    view.get_by_role("button", name="Present").click()
    expect(view).to_have_class(re.compile("na-present"))
    page.evaluate("document.activeElement.blur()")  # as after a click beside everything, and as a link leaves it
    page.keyboard.press("PageUp")
    expect(heading).to_have_text("6. Lambda: the slope over the blocks")
    view.get_by_role("button", name="Leave the presentation").click()
    expect(view).not_to_have_class(re.compile("na-present"))

    page.get_by_role("tab", name="Prune").click()
    page.wait_for_function("() => !location.search.includes('learn')")


def test_a_challenge_is_taken_by_hand_and_a_run_printed(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?learn=challenge-hand")
    view, said = page.locator(".na-learn"), page.locator(".na-challenge-said")
    expect(view.locator(".na-challenge-goal")).to_have_text(
        re.compile(r"^Keep perplexity under \d+\.\d at 65\s% sparsity"), timeout=LONG
    )
    view.get_by_role("slider", name="Block 0").focus()
    page.keyboard.press("PageDown")  # the bars' key: it turns no page
    view.get_by_role("button", name="Measure this one").click()
    expect(said).to_have_text(re.compile(r"^Perplexity \d+\.\d: "))
    view.get_by_label("Keep the mean at").uncheck()
    view.get_by_role("slider", name="Block 0").focus()
    page.keyboard.press("PageDown")
    view.get_by_role("button", name="Measure this one").click()
    expect(said).to_have_text(re.compile(r"^These ratios prune 64.\d+ % of the weights"))
    view.get_by_role("button", name="Show the search's choice").click()
    expect(view.locator(".na-answer")).to_have_text(re.compile("win|Equal"))
    expect(view.locator(".na-challenge-list tbody tr")).to_have_text([re.compile("^1, best"), re.compile("^search: 0")])

    page.evaluate("window.print = () => { document.body.dataset.printed = 'yes'; }")
    page.get_by_role("tab", name="Prune").click()
    page.get_by_role("button", name="Show the end").click()
    before = drawn(page, "scores").get_attribute("style")
    page.get_by_role("button", name="Print a summary").click()
    expect(page.locator("body")).to_have_attribute("data-printed", "yes")
    page.emulate_media(media="print")
    sheet = page.locator(".na-summary")
    expect(sheet).to_contain_text(re.compile(r"Perplexity goes from .* uniform sparsity has .*Sparsity of each block"))
    expect(sheet.locator(".na-summary-plot svg text", has_text="alignment score")).to_be_visible()
    expect(page.locator("gradio-app")).to_be_hidden()
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1
    expect(sheet).to_have_count(0)
    page.emulate_media(media="screen")
    assert drawn(page, "scores").get_attribute("style") == before


def test_no_rule_of_axe_is_broken_on_any_page(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?learn=linear")
    steps, broken = page.locator(".na-page"), []
    expect(steps.nth(9)).to_be_visible()
    for n in range(steps.count()):
        steps.nth(n).click()
        expect(page.locator(".na-learn .js-plotly-plot").first).to_be_visible()
        page.locator(".na-question .na-button").click()
        page.locator(".na-details summary").click()
        found = Axe().run(page, context=".na-learn").response["violations"]
        broken += [(n + 1, v["id"], v["nodes"][0]["html"][:90]) for v in found if v["impact"] in SERIOUS]
    assert not broken
