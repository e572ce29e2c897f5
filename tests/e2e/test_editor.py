"""The editor of ratios in a real browser: dragged, painted, moved by keys, filled from a run, and then run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import LONG, SHORT, choose, field, open_page, pick, press_run, records_of, status

BLOCKS = 8  # of the tiny model


def open_editor(page: Page, server: Server) -> None:
    open_page(page, server)
    choose(page)
    pick(page, "Top-up", "Custom")
    expect(page.locator(".na-editor-bar")).to_have_count(BLOCKS, timeout=LONG)
    expect(field(page, "NeuroAL step")).to_be_hidden()  # it stands above the bars, which must not move any more
    holds(page, [0.6] * BLOCKS)


def ratios(page: Page) -> list[float]:
    """Of the text box."""
    return [float(part) for part in field(page, "Your ratios").input_value().split(",")]


def holds(page: Page, expected: list[float]) -> None:
    """Waits until the text box has these ratios, and the bars the same: either may be told first."""
    text = re.compile(r"^\s*" + r",\s*".join(re.escape(f"{ratio:.10g}") for ratio in expected) + r"\s*$")
    expect(field(page, "Your ratios")).to_have_value(text)
    page.wait_for_function(
        "wanted => { const bars = [...document.querySelectorAll('.na-editor-bar')].map((bar) => bar.ariaValueNow);"
        " return bars.length === wanted.length && bars.every((now, i) => Math.abs(now - 100 * wanted[i]) <= 0.006); }",
        arg=expected,
        timeout=SHORT,
    )


def says(page: Page, words: str) -> None:
    expect(page.locator(".na-editor-sentence")).to_contain_text(words)


@contextmanager
def pressed(page: Page, block: int, ratio: float) -> Iterator[None]:
    """The mouse button down, at that place of the chart."""
    page.locator(".na-editor-plot").scroll_into_view_if_needed()
    go(page, block, ratio)
    page.mouse.down()
    yield
    page.mouse.up()


def place(page: Page, block: int, ratio: float) -> tuple[float, float]:
    box = page.locator(".na-editor-plot").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * (block + 0.5) / BLOCKS, box["y"] + box["height"] * (1 - ratio)


def go(page: Page, block: int, ratio: float) -> None:
    page.mouse.move(*place(page, block, ratio), steps=4)


def test_a_bar_is_dragged_and_the_others_keep_the_mean(page: Page, server: Server) -> None:
    open_editor(page, server)
    with pressed(page, 2, 0.6):
        go(page, 2, 0.25)
    holds(page, [0.65, 0.65, 0.25, 0.65, 0.65, 0.65, 0.65, 0.65])
    says(page, "Mean 60 %, as aimed at.")

    with pressed(page, 4, 0.8):  # across three of them: what is painted stays, the five others make up for it
        go(page, 6, 0.8)
    holds(page, [0.56, 0.56, 0.16, 0.56, 0.8, 0.8, 0.8, 0.56])

    page.keyboard.press("Control+z")
    holds(page, [0.65, 0.65, 0.25, 0.65, 0.65, 0.65, 0.65, 0.65])
    page.get_by_role("button", name="Undo").click()
    holds(page, [0.6] * BLOCKS)
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.keyboard.press("Control+Shift+Z")
    page.get_by_role("button", name="Redo").click()
    holds(page, [0.56, 0.56, 0.16, 0.56, 0.8, 0.8, 0.8, 0.56])
    page.get_by_role("button", name="Reset", exact=True).click()
    holds(page, [0.6] * BLOCKS)


def test_without_the_lock_the_mean_moves_and_is_told(page: Page, server: Server) -> None:
    open_editor(page, server)
    page.get_by_label("Keep the mean at").uncheck()
    with pressed(page, 0, 0.6):
        go(page, 0, 0.2)
    holds(page, [0.2, *[0.6] * 7])
    says(page, "Mean 55 %: 5 points below the 60 % aimed at.")
    page.get_by_role("button", name="Shift all to 60 %").click()
    holds(page, [0.25, *[0.65] * 7])
    page.get_by_label("Keep the mean at").check()
    aim = page.get_by_label("Mean to keep, in per cent")
    aim.fill("50")
    aim.press("Enter")
    holds(page, [0.15, *[0.55] * 7])
    aim.fill("0")
    aim.press("Enter")
    expect(aim).to_have_value("50")


def test_keys_choose_a_block_and_move_it(page: Page, server: Server) -> None:
    open_editor(page, server)
    page.get_by_label("Keep the mean at").uncheck()
    bars = page.get_by_role("group", name="Sparsity of each block").get_by_role("slider")
    expect(bars).to_have_count(BLOCKS)
    bars.first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowUp", "ArrowUp", "Shift+ArrowUp"):
        page.keyboard.press(key)
    holds(page, [0.6, 0.67, *[0.6] * 6])
    expect(bars.nth(1)).to_be_focused()
    assert [bars.nth(1).get_attribute(f"aria-value{name}") for name in ("now", "min", "max")] == ["67", "0", "99"]
    expect(bars.nth(1)).to_have_attribute("aria-valuetext", re.compile(r"^67\s%$"))
    for key in ("End", "PageDown", "Home", *["Shift+ArrowUp"] * 9):
        page.keyboard.press(key)
    holds(page, [0.99, 0.67, *[0.6] * 5, 0.55])
    assert page.locator(".na-editor-bar[tabindex='0']").count() == 1, "one stop on the way through the page"


def test_a_rising_line_is_that_of_the_slope(page: Page, server: Server) -> None:
    open_editor(page, server)
    page.get_by_role("button", name="Rising line").click()
    holds(page, [0.5, 0.5286, 0.5571, 0.5857, 0.6143, 0.6429, 0.6714, 0.7])
    slope = page.get_by_label("Slope lambda")
    slope.focus()
    for _ in range(4):
        slope.press("ArrowRight")
    holds(page, [0.46, 0.5, 0.54, 0.58, 0.62, 0.66, 0.7, 0.74])
    page.get_by_role("button", name="Uniform", exact=True).click()
    holds(page, [0.6] * BLOCKS)


def test_what_is_typed_is_drawn(page: Page, server: Server) -> None:
    open_editor(page, server)
    text = field(page, "Your ratios")
    text.fill("0.5, 0.6, 0.7")
    says(page, "3 ratios, but this model has 8 blocks: 5 to go.")
    expect(page.locator(".na-editor-bar").first).to_have_attribute("aria-disabled", "true")
    text.fill("0.5, 0.6, half")
    says(page, "“half” is not a number")
    text.fill("0.5 0.5 0.5 0.5 0.7 0.7 0.7 0.8")
    says(page, "Mean 61.25 %: 1.25 points above the 60 % aimed at.")
    with pressed(page, 7, 0.8):
        go(page, 7, 0.9)
    holds(page, [0.4714, 0.4714, 0.4714, 0.4714, 0.6714, 0.6714, 0.6714, 0.9])

    model = page.get_by_label("Model", exact=True)
    model.click()
    model.fill("no-such-model")
    model.press("Enter")
    expect(page.locator(".na-editor")).to_contain_text("no-such-model", timeout=LONG)
    expect(page.locator(".na-editor-plot")).to_be_hidden()


def test_from_the_ratios_of_a_run_to_a_run_of_ones_own(page: Page, server: Server) -> None:
    """NeuroAL's own allocation, changed by hand and asked: the finished run was asked for just those ratios."""
    open_page(page, server)
    choose(page, Sparsity_ratio="0.5")
    pick(page, "Top-up", "OWL")
    run = press_run(page)
    status(page, "Finished in .* OWL")
    rated = next(r["sparsity"] for r in records_of(server, run) if r["kind"] == "AllocationReady")
    assert max(rated) - min(rated) > 0.01

    pick(page, "Top-up", "Custom")
    expect(page.locator(".na-editor-bar")).to_have_count(BLOCKS, timeout=LONG)
    page.get_by_role("button", name="Shown run").click()
    holds(page, [round(ratio, 4) for ratio in rated])
    says(page, "Mean 50 %, as aimed at.")
    with pressed(page, 3, rated[3]):
        go(page, 3, 0.3)
    expect(page.locator(".na-editor-bar").nth(3)).to_have_attribute("aria-valuenow", "30")
    expect(field(page, "Your ratios")).to_have_value(re.compile(r"^\s*([\d.]+,\s*){3}0\.3,"))
    asked = ratios(page)
    assert asked[3] == 0.3 and sum(asked) / BLOCKS == pytest.approx(0.5, abs=0.0005)

    page.click("#run")
    status(page, r"Finished in .*[\d.]+ custom")
    page.wait_for_url(lambda url: run not in url)
    records = records_of(server, re.search(r"run=([\w-]+)", page.url)[1])
    assert next(r["sparsity"] for r in records if r["kind"] == "AllocationReady") == pytest.approx(asked)
    pruned = {r["block"]: r["requested"] for r in records if r["kind"] == "BlockPruned" and r["variant"] == "chosen"}
    assert [pruned[block] for block in range(BLOCKS)] == pytest.approx(asked)

    page.reload()  # its link brings the ratios back, with a mean of their own to keep
    expect(page.locator(".na-editor-bar")).to_have_count(BLOCKS, timeout=LONG)
    holds(page, asked)
    says(page, "Mean 50 %, as aimed at.")


def test_a_run_of_another_model_cannot_be_taken(page: Page, server: Server) -> None:
    open_editor(page, server)
    status(page, "Finished in")  # the recorded one, of SmolLM2, is shown
    page.get_by_role("button", name="Shown run").click()
    says(page, "a model with 30 blocks, this one has 8")
    holds(page, [0.6] * BLOCKS)


def test_a_finger_moves_a_bar_and_not_the_page(browser: Browser, server: Server) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True) as phone:
        page = phone.new_page()
        open_editor(page, server)
        page.locator(".na-editor-plot").scroll_into_view_if_needed()
        before = page.evaluate("window.scrollY")
        touch = phone.new_cdp_session(page)
        for kind, ratio in (("touchStart", 0.6), ("touchMove", 0.4), ("touchMove", 0.25), ("touchEnd", None)):
            x, y = place(page, 5, ratio or 0)
            points = [] if ratio is None else [{"x": x, "y": y}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        holds(page, [0.65, 0.65, 0.65, 0.65, 0.65, 0.25, 0.65, 0.65])
        assert page.evaluate("window.scrollY") == before
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "scrolls sideways"


def test_it_is_seen_with_custom_only_and_aims_where_the_slider_is(page: Page, server: Server) -> None:
    """Uniform ratios that nobody touched follow the slider; a shape of one's own stays, and what it misses is told."""
    open_editor(page, server)

    def away_and_back(sparsity: str) -> None:
        pick(page, "Top-up", "OWL")
        expect(page.locator(".na-editor")).to_be_hidden(timeout=SHORT)
        slider = page.get_by_role("spinbutton", name=re.compile("Sparsity ratio")).first
        expect(slider).to_be_enabled(timeout=SHORT)
        slider.fill(sparsity)
        page.keyboard.press("Tab")
        pick(page, "Top-up", "Custom")
        expect(page.locator(".na-editor-bar").first).to_be_visible(timeout=LONG)

    away_and_back("0.5")
    holds(page, [0.5] * BLOCKS)
    page.get_by_role("button", name="Rising line").click()
    line = [0.4, 0.4286, 0.4571, 0.4857, 0.5143, 0.5429, 0.5714, 0.6]
    holds(page, line)
    away_and_back("0.7")
    says(page, "Mean 50 %: 20 points below the 70 % aimed at.")
    holds(page, line)


def test_nothing_can_be_done_before_it_is_told_what_the_form_holds(page: Page, server: Server) -> None:
    """The blocks are known first; what is done then would be overwritten by the form's ratios."""
    open_editor(page, server)
    inert = page.evaluate("""() => {
      const editor = new NeuroAL.RatioEditor(document.createElement("div"), { edited() {} });
      const told = [{ shown: true, blocks: 8 }, { shown: true, text: "", slider: 0.5 }];
      return told.map((value) => { editor.attach(value); return editor.body.inert; });
    }""")
    assert inert == [True, False]
