"""The browser's fold and figures are those of Python: every log of the table, folded by both, compared as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components.charts import DARK, LIGHT, figures, fold_all, progress, sentence
from components.live import ASSETS, settings
from components.stream import finite
from neuroal.folding.status import duration_text, fixed, lambda_text
from neuroal.runs.examples import load_examples
from neuroal.runs.packing import Row, as_records, pack
from tests.components.logs import TABLE, Record, numbered, realistic, started

TWINS = ("fold.js", "status.js", "plotting.js", "heatmaps.js", "spread.js", "figures.js")
ALONE = ("facts.js", "narrate.js", "stops.js", "player.js")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page with the scripts that have a twin in Python, and those that need no page."""
    opened = browser.new_page()
    for name in (*TWINS, *ALONE):
        opened.add_script_tag(content=Path(ASSETS / name).read_text(encoding="utf-8"))
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    """What the script gives, through JSON: a value that JSON drops (undefined) would be seen as missing."""
    return json.loads(page.evaluate(f"args => JSON.stringify(({script})(...args))", list(arguments)))


@pytest.mark.parametrize("name", TABLE)
def test_both_folds_give_the_same_state(page: Page, name: str) -> None:
    records = _on_the_wire(TABLE[name])
    assert in_browser(page, "records => NeuroAL.foldAll(records)", records) == fold_all(records)


@pytest.mark.parametrize("name", TABLE)
def test_a_record_straight_from_the_engine_folds_as_one_from_the_wire(name: str) -> None:
    assert fold_all(TABLE[name]) == fold_all(_on_the_wire(TABLE[name]))


@pytest.mark.parametrize("name", [name for name in TABLE if TABLE[name]])
def test_a_log_that_the_store_has_packed_folds_to_the_same_state(page: Page, name: str) -> None:
    """It has the same records, so the replay of an old run is the one of the day on which it was made."""
    rows = [Row(r["n"], r["t"], json.dumps({k: v for k, v in r.items() if k not in ("n", "t")})) for r in TABLE[name]]
    records = as_records([pack(rows)])
    assert fold_all(records) == fold_all(TABLE[name])
    wire = _on_the_wire(records)
    assert wire == _on_the_wire(TABLE[name])
    assert in_browser(page, "records => NeuroAL.foldAll(records)", wire) == fold_all(TABLE[name])


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", TABLE)
def test_both_draw_the_same_figures(page: Page, name: str, palette: dict[str, Any]) -> None:
    records = _on_the_wire(TABLE[name])
    script = "(records, palette, step) => NeuroAL.figures(NeuroAL.foldAll(records), palette, step)"
    for step in (None, "block"):
        drawn = in_browser(page, script, records, palette, step)
        assert drawn == json.loads(json.dumps(figures(fold_all(records), palette=palette, step=step)))


@pytest.mark.parametrize("name", TABLE)
def test_both_say_the_same_after_every_record(page: Page, name: str) -> None:
    script = """records => {
        const state = NeuroAL.emptyState();
        return records.map((record) => {
            NeuroAL.fold(state, record);
            return [NeuroAL.sentence(state), NeuroAL.progress(state)];
        });
    }"""
    records = _on_the_wire(TABLE[name])
    said = []
    for count in range(1, len(records) + 1):
        state = fold_all(records[:count])
        said.append([sentence(state), list(progress(state))])
    assert in_browser(page, script, records) == said


def test_both_write_numbers_alike(page: Page) -> None:
    numbers = [
        0,
        0.005,
        0.015,
        0.025,
        0.125,
        0.1,
        0.285,
        1.005,
        2.5,
        19.725,
        59.5,
        61,
        3599.5,
        3600,
        86399.4,
        12345.678,
    ]
    script = """numbers => numbers.map((x) =>
        [NeuroAL.fixed(x, 0), NeuroAL.fixed(x, 2), NeuroAL.lambdaText(x), NeuroAL.durationText(x)])"""
    assert in_browser(page, script, numbers) == [
        [fixed(x, 0), fixed(x, 2), lambda_text(x), duration_text(x)] for x in numbers
    ]


def test_a_replay_takes_twenty_seconds_with_long_gaps_cut(page: Page) -> None:
    records = [{"t": t} for t in (0, 1, 2, 3, 103, 104)]  # the gap of 100 s counts as ten typical ones
    times = in_browser(page, "records => NeuroAL.replaySchedule(records)", records)
    assert times == pytest.approx([20_000 * t / 14 for t in (0, 1, 2, 3, 13, 14)])
    assert in_browser(page, "records => NeuroAL.replaySchedule(records)", [{"t": 5}, {"t": 5}]) == [0, 0]


@pytest.mark.parametrize(
    ("spec", "facts"),
    [
        ({}, ["Wanda + NeuroAL, 60 % sparsity"]),
        ({"step": "row", "seed": 4}, ["Wanda + NeuroAL, 60 % sparsity", "NeuroAL step: Rows only", "Seed: 4"]),
        (
            {"pruner": "magnitude", "top_up": "owl", "pattern": "3:8", "owl_m": 7.0, "reconstruct": True},
            ["Magnitude + OWL, 62.5 % sparsity", "N:M pattern: 3:8", "Refit the kept weights", "OWL's M: 7"],
        ),
        (
            {"top_up": "custom", "block_sparsity": tuple(i / 10 for i in range(8)), "exclude": ("*.down_proj", "0")},
            [
                "Wanda + Custom",
                "Keep dense: *.down_proj, 0",
                "Your ratios: 0, 0.1, 0.2, 0.3, 0.4, 0.5, … (8 in all)",
            ],
        ),
    ],
)
def test_the_card_tells_what_was_changed_and_nothing_else(page: Page, spec: dict[str, Any], facts: list[str]) -> None:
    records = _on_the_wire(numbered([started(**spec)]))
    assert _facts(page, records)[1:] == facts


def test_the_card_of_a_whole_run_is_short(page: Page) -> None:
    assert _facts(page, _on_the_wire(realistic(blocks=6))) == [
        "SmolLM2-135M-Instruct",
        "6 blocks, 135 M parameters",
        "float32 on cpu",
        "Wanda + NeuroAL, 60 % sparsity",
        "8 × 256 tokens of prose",
    ]


@pytest.mark.parametrize("example", load_examples().values(), ids=lambda example: example.id)
def test_a_recorded_run_replays_though_settings_were_added_since(page: Page, example: Any) -> None:
    records = _on_the_wire(example.records)
    assert in_browser(page, "records => NeuroAL.foldAll(records)", records) == fold_all(records)
    assert not any("undefined" in fact for fact in _facts(page, records))
    assert {"sparsity", "damage"} <= set(figures(fold_all(records), palette=LIGHT))


def _facts(page: Page, records: list[Record]) -> list[str]:
    script = "(records, settings) => NeuroAL.factsOf(NeuroAL.foldAll(records), settings)"
    return in_browser(page, script, records, settings())


def _on_the_wire(records: list[Record]) -> list[Record]:
    """As the browser gets them."""
    return json.loads(json.dumps(finite(records), allow_nan=False))
