"""The table of calibration sensitivity, as the browser writes it from a folded log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components.live import ASSETS
from tests.components.calibrations import summary, told
from tests.components.logs import Record, numbered, started

SCRIPTS = ("fold.js", "status.js", "tables.js")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    for name in SCRIPTS:
        opened.add_script_tag(content=Path(ASSETS / name).read_text(encoding="utf-8"))
    yield opened
    opened.close()


def table(page: Page, name: str, records: list[Record]) -> Any:
    """The table of that name after these records, through JSON."""
    script = "([name, records]) => JSON.stringify(NeuroAL.tableOf(name, NeuroAL.foldAll(records)))"
    return json.loads(page.evaluate(script, [name, json.loads(json.dumps(records))]))


def test_there_is_no_table_before_the_first_figure(page: Page) -> None:
    assert table(page, "sensitivity", numbered([started()])) is None


def test_a_row_for_each_calibration_as_it_comes(page: Page) -> None:
    first = told("this run", (0.1, 0.05), 60.0, 65.5)
    written = table(page, "sensitivity", numbered([started(), first]))
    assert written["head"] == ["calibration", "block lambda", "row lambda", "NeuroAL", "Uniform", "difference"]
    assert written["rows"] == [["this run", "0.10", "0.05", "60", "65.5", "−5.50"]]
    assert written["notes"] == []


def test_mean_and_deviation_come_last_with_the_sentence(page: Page) -> None:
    """60, 64, 68 and 65.5, 64, 66.5: differences -5.5, 0, 1.5."""
    each = [told("this run", (0.1, 0.05), 60.0, 65.5), told("seed 1", (0.125, 0.0), 64.0, 64.0),
            told("4 samples", (0.1, None), 68.0, 66.5)]  # fmt: skip
    last = summary([60.0, 64.0, 68.0], [65.5, 64.0, 66.5])
    written = table(page, "sensitivity", numbered([started(), *each, last]))
    assert written["rows"][1:] == [
        ["seed 1", "0.125", "0.00", "64", "64", "+0"],
        ["4 samples", "0.10", "–", "68", "66.5", "+1.50"],
        ["mean", "", "", "64", "65.3", "−1.33"],
        ["standard deviation", "", "", "4", "1.26", "3.69"],
    ]
    assert written["notes"] == [last.details["sentence"]]
    assert "in favour of the method" in written["explain"]


def test_a_uniform_run_has_neither_lambdas_nor_a_control(page: Page) -> None:
    each = [told("this run", (None, None), 60.0, None), told("seed 1", (None, None), 2400.0, None)]
    written = table(page, "sensitivity", numbered([started(), *each, summary([60.0, 2400.0], None)]))
    assert len(written["head"]) == 2
    assert written["rows"] == [
        ["this run", "60"], ["seed 1", "2,400"], ["mean", "1,230"], ["standard deviation", "1,655"],
    ]  # fmt: skip
    assert "difference" not in written["explain"]
