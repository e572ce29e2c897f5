"""The numbers and words of the editor of ratios, by table; its rising line is the engine's, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components import live, ratio_editor
from components.ratios import DIGITS
from neuroal.schedules import block_schedule


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    own = (ratio_editor.ASSETS / name for name in ("ratios.js", "text.js", "history.js"))
    for path in (live.ASSETS / "status.js", *own):
        opened.add_script_tag(content=path.read_text(encoding="utf-8"))
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    whole = f"args => JSON.stringify(({script})(...args))"
    return json.loads(page.evaluate(whole, list(arguments)) or "null")


# --- keeping the mean -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratios", "target", "held", "becomes"),
    [
        pytest.param([0.75, 0.5, 0.5, 0.25], 0.5, [0], [0.75, 0.5, 0.5, 0.25], id="kept already"),
        pytest.param([0.75, 0.5, 0.5, 0.5], 0.5, [0], [0.75, 5 / 12, 5 / 12, 5 / 12], id="the others shift"),
        pytest.param([0.75, 0.5, 0.5, 0.75], 0.5, [0, 3], [0.75, 0.25, 0.25, 0.75], id="two are held"),
        pytest.param([0.75, 0.125, 0.5, 0.75], 0.4375, [0, 3], [0.75, 0, 0.25, 0.75], id="one gets to its limit"),
        pytest.param([0.5, 0, 0.5, 0.25], 0.25, [0], [0.5, 0, 0.375, 0.125], id="who is at a limit stays there"),
        pytest.param([0, 0, 0.5, 0.5], 0.375, [2, 3], [0.25, 0.25, 0.5, 0.5], id="at limits too, where nobody else is"),
        pytest.param([0.75, 0, 0], 0.2, [0], [0.6, 0, 0], id="the held one at last"),
        pytest.param([0.25, 0.5], 0.5, [0, 1], [0.375, 0.625], id="all are held: the shape stays"),
        pytest.param([0.5, 0.5], 0.99, [], [0.99, 0.99], id="as high as it goes"),
        pytest.param([0.995, 0.5, 0.5], 0.5, [], [0.995, 0.2525, 0.2525], id="typed above the limit"),
        pytest.param([], 0.5, [], [], id="no blocks"),
    ],
)
def test_the_others_make_up_for_what_is_set(
    page: Page, ratios: list[float], target: float, held: list[int], becomes: list[float]
) -> None:
    found = in_browser(page, "NeuroAL.ratios.keepMean", ratios, target, held)
    assert found == pytest.approx(becomes, abs=1e-12)
    assert not ratios or sum(found) == pytest.approx(target * len(found), abs=1e-12)


def test_the_mean_is_kept_to_the_last_digits_in_any_order_of_changes(page: Page) -> None:
    """Forty changes one after the other, in 30 blocks, some to a limit: nothing adds up."""
    steps = [[(7 * i) % 30, round(((13 * i) % 100) / 100, 2)] for i in range(40)]
    script = """(steps) => steps.reduce(({ ratios, means }, [block, ratio]) => {
      const next = NeuroAL.ratios.changed(ratios, new Map([[block, ratio]]), 0.6);
      return { ratios: next, means: [...means, NeuroAL.ratios.mean(next)] };
    }, { ratios: NeuroAL.ratios.uniform(0.6, 30), means: [] })"""
    found = in_browser(page, script, steps)
    assert found["means"] == pytest.approx([0.6] * 40, abs=1e-12)
    assert all(0 <= ratio <= 0.99 for ratio in found["ratios"]) and len(set(found["ratios"])) > 5


def test_without_a_mean_to_keep_the_others_stay(page: Page) -> None:
    script = "(base) => NeuroAL.ratios.changed(base, new Map([[1, 0.9]]), null)"
    assert in_browser(page, script, [0.5, 0.5, 0.7]) == [0.5, 0.9, 0.7]


@pytest.mark.parametrize(
    ("start", "end", "sets"),
    [
        ((3, 0.5), (3, 0.618), [[3, 0.62]]),
        ((3, 0.5), (4, 0.6), [[4, 0.6]]),
        ((2, 0.2), (6, 0.6), [[3, 0.3], [4, 0.4], [5, 0.5], [6, 0.6]]),
        ((6, 0.9), (4, 0.9), [[5, 0.9], [4, 0.9]]),
        ((0, 0.5), (1, 1.3), [[1, 0.99]]),
        ((0, 0.5), (0, -0.1), [[0, 0]]),
    ],
)
def test_a_stroke_leaves_no_block_out(page: Page, start: Any, end: Any, sets: list[list[float]]) -> None:
    script = """(from, to) => [...NeuroAL.ratios.stroke(
      { block: from[0], ratio: from[1] }, { block: to[0], ratio: to[1] })]"""
    assert in_browser(page, script, start, end) == sets


# --- where to start from --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [1, 2, 7, 8, 9, 30, 48, 127, 128, 129, 400])
@pytest.mark.parametrize(("sparsity", "slope"), [(0.6, 0.1), (0.6, 0.0), (0.75, 0.25), (0.1, 0.25), (0.9, 0.15)])
def test_the_rising_line_is_that_of_the_search(page: Page, blocks: int, sparsity: float, slope: float) -> None:
    """Exact, also where the last bit decides whether a ratio is replaced (0.75 with 0.25)."""
    line, _ = block_schedule(sparsity, slope, blocks)
    assert in_browser(page, "NeuroAL.ratios.risingLine", sparsity, slope, blocks) == line


def test_rounding_keeps_the_mean_well_within_what_the_engine_tells(page: Page) -> None:
    exact = [1 / 3, 2 / 3, 0.49995, 0.6, 0.6000499]
    assert in_browser(page, "NeuroAL.ratios.rounded", exact) == [round(ratio + 1e-12, DIGITS) for ratio in exact]
    assert in_browser(page, "() => NeuroAL.ratios.TOLERANCE") / 5 > 0.5 * 10**-DIGITS


@pytest.mark.parametrize(("ratios", "answer"), [([0.6, 0.6], True), ([0.6, 0.61], False), ([0.6], False), ([], False)])
def test_uniform_is_told_from_a_first_number(page: Page, ratios: list[float], answer: bool) -> None:
    assert in_browser(page, "NeuroAL.ratios.isUniform", ratios) is answer


# --- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ratios", "says"),
    [
        ("0.5, 0.55,0.6", [0.5, 0.55, 0.6], ""),
        (" .5\n0.25;0 5e-1 ", [0.5, 0.25, 0, 0.5], ""),
        ("", [], ""),
        ("0.5, half, 0.6", [0.5], "“half” is not a number"),
        ("0.5, 0x1", [0.5], "“0x1” is not a number"),
        ("0.5, 60", [0.5], "60 is no ratio; each is from 0 to below 1."),
        ("1", [], "1 is no ratio"),
        ("-0.1", [], "-0.1 is no ratio"),
        (f"{'long' * 20}", [], "“longlonglonglongl...” is not a number"),
    ],
)
def test_text_is_read_as_the_form_reads_it(page: Page, text: str, ratios: list[float], says: str) -> None:
    found = in_browser(page, "NeuroAL.ratioText.parse", text)
    assert found["ratios"] == ratios
    assert found["problem"].startswith(says) if says else not found["problem"]


def test_what_is_written_is_read_again(page: Page) -> None:
    script = "(ratios) => NeuroAL.ratioText.parse(NeuroAL.ratioText.write(ratios)).ratios"
    assert in_browser(page, script, [0.5, 0.0001, 0.99, 0]) == [0.5, 0.0001, 0.99, 0]


@pytest.mark.parametrize(
    ("count", "says"),
    [
        (8, ""),
        (0, "No ratios yet, and this model has 8 blocks: start from one of these, or type them."),
        (1, "1 ratio, but this model has 8 blocks: 7 to go."),
        (30, "30 ratios, but this model has 8 blocks: 22 too many."),
    ],
)
def test_how_many_are_missing(page: Page, count: int, says: str) -> None:
    assert in_browser(page, "NeuroAL.ratioText.countWords", count, 8) == says


@pytest.mark.parametrize(
    ("ratios", "target", "says"),
    [
        ([0.5, 0.7], 0.6, "Mean 60 %, as aimed at."),
        ([0.5, 0.7008], 0.6, "Mean 60 %, as aimed at."),
        ([0.5, 0.7012], 0.6, "Mean 60.06 %: 0.06 points above the 60 % aimed at."),
        ([0.5, 0.68], 0.6, "Mean 59 %: 1 point below the 60 % aimed at."),
    ],
)
def test_where_the_mean_is_in_plain_words(page: Page, ratios: list[float], target: float, says: str) -> None:
    assert in_browser(page, "NeuroAL.ratioText.meanWords", ratios, target).replace("\u00a0", " ") == says


# --- the way back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "seen"),
    [
        ("+a +b undo undo", "a b a a"),
        ("+a redo +b undo redo redo", "a a b a b b"),
        ("+a +b undo +c redo undo", "a b a c c a"),
        ("+a +b* +c* undo redo", "a b c a c"),
        ("+a +b* close +c* undo undo", "a b b c b a"),
        ("+a +b +b undo", "a b b a"),
    ],
)
def test_undo_and_redo(page: Page, steps: str, seen: str) -> None:
    """``+a`` is a new state, ``*`` a step of one gesture; what is seen after each step."""
    script = """(steps) => {
      const history = new NeuroAL.History();
      return steps.map((step) => {
        if (step[0] === "+") history.push(step[1], step[2] ? "gesture" : ""); else history[step]();
        return history.states[history.at].state;
      });
    }"""
    assert in_browser(page, script, steps.split()) == seen.split()
