"""The tables and the text of what was measured, as the browser makes them from a log, and as it shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components.live import ASSETS, SCRIPTS
from neuroal.evaluation.card import cards
from neuroal.evaluation.kinds import EVALUATIONS
from tests.components.logs import TABLE, everything_measured

PAGE = "<div id='host' class='na-live'></div>"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page with the scripts of the live view."""
    opened = browser.new_page()
    opened.set_content(PAGE)
    opened.add_style_tag(content=Path(ASSETS / "live.css").read_text(encoding="utf-8"))
    for name in SCRIPTS:
        opened.add_script_tag(content=Path(ASSETS / name).read_text(encoding="utf-8"))
    yield opened
    opened.close()


def table(page: Page, name: str, records: list[dict[str, Any]]) -> Any:
    script = "([name, records]) => JSON.stringify(NeuroAL.tableOf(name, NeuroAL.foldAll(records)))"
    return json.loads(page.evaluate(script, [name, records]))


def test_every_evaluation_but_the_perplexity_has_a_table(page: Page) -> None:
    names = {each.name for each in EVALUATIONS.entries} - {"perplexity"}
    assert set(page.evaluate("NeuroAL.TABLES")) == names


@pytest.mark.parametrize("log", TABLE)
def test_a_log_without_a_measurement_has_no_table(page: Page, log: str) -> None:
    expected = "measure" in log and log not in ("nothing measured",)
    assert (table(page, "divergence", TABLE[log]) is not None) == expected


def test_the_alignment_beside_the_control(page: Page) -> None:
    found = table(page, "alignment", everything_measured())
    assert found["head"] == ["", "Uniform", "OWL"]
    assert found["rows"] == [
        ["alignment score", "0.006250", "0.005000"],
        ["the block that drifts most", "0 (0.00625)", "1 (0.00400)"],
    ]


def test_the_divergence_beside_the_control(page: Page) -> None:
    found = table(page, "divergence", everything_measured())
    assert found["head"] == ["", "Uniform", "OWL"]
    assert found["rows"] == [
        ["KL divergence, nats", "0.750", "0.500 ± 0.050"],
        ["half of the tokens are below", "0.250", "0.250"],
        ["one token in twenty is above", "2.000", "2.000"],
        ["the same likeliest token", "62.5 ± 1.0 %", "75.0 ± 1.0 %"],
        ["shared of the five likeliest", "50.0 ± 2.0 %", "50.0 ± 2.0 %"],
        ["loss added, nats", "0.125 ± 0.010", "0.125 ± 0.010"],
    ]
    assert "1,016 tokens" in found["explain"]


def test_tasks_with_what_guessing_gives(page: Page) -> None:
    found = table(page, "zeroshot", everything_measured())
    assert found["head"] == ["", "Dense", "OWL", "guessing", "questions"]
    assert found["rows"] == [
        ["RTE", "75.0 ± 12.5 %", "50.0 ± 12.5 %", "50.0 %", "8"],
        ["Mean", "75.0 ± 12.5 %", "50.0 ± 12.5 %", "50.0 %", "8"],
    ]
    assert found["notes"] == ["RTE: Few."]


def test_the_verdict_with_its_reasons_and_texts(page: Page) -> None:
    found = table(page, "probes", everything_measured())
    assert found["rows"][0] == ["verdict", "–", "degraded"]
    assert ["words not in the dictionary", "–", "–"] in found["rows"]
    assert found["notes"] == ["It repeats itself."]
    assert found["texts"] == [["Once", "", " upon <b>a</b>"]]


def test_the_cost_card(page: Page) -> None:
    rows = {row[0]: row[1:] for row in table(page, "cost", everything_measured())["rows"]}
    assert rows["weights other than zero"] == ["2,000", "1,500"]
    assert rows["bitmask and zstd"] == ["–", "3.0 MB"]
    assert rows["reading 128 tokens, tokens/s"] == ["200 (100 to 1,234)"] * 2


def shown(page: Page) -> None:
    """Both kinds of cards on the page, drawn from the log."""
    page.evaluate(
        """(records) => {
          const state = NeuroAL.foldAll(records), host = document.querySelector("#host");
          const cards = [new NeuroAL.TextCard(), ...NeuroAL.TABLES.map((name) => new NeuroAL.TableCard(name))];
          host.replaceChildren(...cards.map((card) => card.node));
          for (const card of cards) { card.draw(null, state); card.draw(null, state); }
          window.cards = cards;
        }""",
        everything_measured(),
    )


def test_what_a_model_wrote_is_shown_as_text(page: Page) -> None:
    shown(page)
    page.locator("summary").click()
    assert page.locator(".na-answer").inner_text().splitlines()[-1].endswith("upon <b>a</b>")
    assert page.locator(".na-answer b").all_inner_texts() == ["dense: ", "pruned: "]
    assert "(nothing)" in page.locator(".na-answer").inner_text()


def test_tokens_are_coloured_by_their_divergence_and_told_by_pointer_and_key(page: Page) -> None:
    shown(page)
    tokens = page.locator(".na-token")
    assert tokens.all_inner_texts() == ["One", " two", "\n"], "drawn once, though the card was drawn twice"
    colours = tokens.evaluate_all("all => all.map((token) => token.style.getPropertyValue('--na-kl'))")
    assert colours == ["0.000", "0.250", "0.500"]
    told = page.locator(".na-told")
    assert "“⏎” came; KL divergence 2.00 nats." in told.inner_text(), "the token they disagree on most is told first"
    tokens.nth(1).hover()
    assert "“ two” came; KL divergence 1.00 nats." in told.inner_text()
    assert "dense, 50 %:" in told.inner_text() and "pruned, 5.0 %:" in told.inner_text()
    page.locator(".na-tokens").focus()
    page.keyboard.press("ArrowLeft")
    assert "no prediction" in told.inner_text()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    assert "“ two”" in told.inner_text()


def test_the_config_card_is_what_the_figures_depend_on(page: Page) -> None:
    records = json.loads(json.dumps(TABLE["whole"]))
    found = json.loads(page.evaluate("r => JSON.stringify(NeuroAL.configOf(NeuroAL.foldAll(r)))", records))
    card = cards(records)[-1]
    for name in ("spec", "key", "versions", "hardware"):
        assert found[name] == card[name]
    assert found["calibration"]["digest"] == card["calibration"]
    assert found["achieved"][card["variant"]] == card["achieved"]
    assert found["started_at"] == card["date"]


def test_a_replay_that_begins_again_shows_no_old_token(page: Page) -> None:
    shown(page)
    page.evaluate("window.cards[0].draw(null, NeuroAL.emptyState())")
    assert page.locator(".na-card-text").is_hidden()
    assert page.locator(".na-token").count() == 0
