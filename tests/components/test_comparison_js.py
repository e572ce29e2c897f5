"""Runs compared: the browser's figures are those of Python, and what is told in words follows from the logs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components import history, live
from components.charts import DARK, LIGHT, fold_all
from components.comparison import comparison, plain
from components.stream import finite
from tests.components.logs import TABLE, Record, numbered, own_ratios, rated, realistic, row_only, started, uniform_only

# Runs by the names that a legend shows; one name is what a person who means harm would give.
HOSTILE = "<a href='x'>Mine</a> & yours"
SETS: dict[str, list[tuple[str, list[Record]]]] = {
    "searched and not": [("NeuroAL, 60 %", realistic(6)), ("Uniform", uniform_only()), (HOSTILE, rated())],
    "four of them": [(f"run {i}", log) for i, log in enumerate([realistic(6), realistic(4, 3), row_only(), rated()])],
    "models of different depths": [("six", realistic(6)), ("four", realistic(4, 1))],
    "nothing yet": [("a", []), ("b", TABLE["queued"])],
    "nothing measured": [("a", own_ratios()), ("b", TABLE["starting"])],
    "collapsed": [("a", TABLE["collapsed"]), ("b", uniform_only())],
    **{f"whole and {name}": [("whole", TABLE["whole"]), (name, log)] for name, log in TABLE.items()},
}


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page with the scripts of both views."""
    opened = browser.new_page()
    for folder, names in ((live.ASSETS, live.SCRIPTS), (history.ASSETS, history.SCRIPTS)):
        for name in names:
            opened.add_script_tag(content=Path(folder / name).read_text(encoding="utf-8"))
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    return json.loads(page.evaluate(f"args => JSON.stringify(({script})(...args))", [*arguments]))


def on_the_wire(records: list[Record]) -> list[Record]:
    return json.loads(json.dumps(finite(records), allow_nan=False))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", SETS)
def test_both_draw_the_same_figures(page: Page, name: str, palette: dict[str, Any]) -> None:
    runs = [(label, on_the_wire(log)) for label, log in SETS[name]]
    script = """(runs, palette) =>
        NeuroAL.comparison(runs.map(([label, log]) => [label, NeuroAL.foldAll(log)]), palette)"""
    expected = comparison([(label, fold_all(log)) for label, log in runs], palette=palette)
    assert in_browser(page, script, runs, palette) == json.loads(json.dumps(expected))


def test_figures_show_what_the_runs_did() -> None:
    runs = [(label, fold_all(log)) for label, log in SETS["searched and not"]]
    drawn = comparison(runs, palette=LIGHT)
    asked = {trace["name"]: trace["y"] for trace in drawn["allocations"]["data"]}
    assert asked["Uniform"] == [0.6] * 4
    assert asked[plain(HOSTILE)] == [0.52, 0.62, 0.6, 0.66] and "<" not in plain(HOSTILE)
    [rows] = drawn["rows"]["data"]  # of the only one whose rows differ
    assert rows["name"] == "NeuroAL, 60 %" and sum(rows["y"]) == pytest.approx(1)
    bars = {trace["name"]: trace["x"] for trace in drawn["perplexity"]["data"]}
    assert bars == {"dense": [19.73, 19.73, None], "uniform control": [92.69, None, None],
                    "this run": [80.08, 12_345.678, 90.0]}  # fmt: skip
    assert drawn["perplexity"]["layout"]["xaxis"]["type"] == "log"
    lines = [trace["line"] for trace in drawn["allocations"]["data"]]
    assert all(a["color"] != b["color"] and a["dash"] != b["dash"] for a, b in itertools.combinations(lines, 2))


def test_nothing_is_drawn_before_there_is_anything() -> None:
    assert comparison([(label, fold_all(log)) for label, log in SETS["nothing yet"]], palette=LIGHT) == {}


# --- in words -------------------------------------------------------------------------------------------------------


def differing(page: Page, *specs: dict[str, Any]) -> list[list[str]]:
    logs = [on_the_wire(numbered([started(**spec)])) for spec in specs]
    script = """(logs, settings, claimed) =>
        NeuroAL.differingSettings(logs.map((log) => NeuroAL.foldAll(log)), settings, claimed)"""
    return in_browser(page, script, logs, live.settings(), history.claimed())


def test_only_settings_that_differ_are_told(page: Page) -> None:
    assert differing(page, {}, {}) == []
    assert differing(page, {"seed": 1}, {"sparsity": 0.7}, {"reconstruct": True}) == [
        ["Sparsity ratio", "60 %", "70 %", "60 %"],
        ["Refit the kept weights", "no", "no", "yes"],
        ["Seed", "1", "0", "0"],
    ]
    assert differing(page, {"exclude": ("0", "*.down_proj")}, {}) == [["Keep dense", "0, *.down_proj", "none"]]


def test_a_setting_that_a_run_does_not_look_at_is_a_dash(page: Page) -> None:
    assert differing(page, {"step": "row"}, {"top_up": "owl", "owl_m": 7.0}) == [
        ["Top-up", "NeuroAL", "OWL"],
        ["NeuroAL step", "Rows only", "–"],
        ["OWL's M", "–", "7"],
    ]


def test_ones_own_text_is_told_by_its_digest(page: Page) -> None:
    [source, text] = differing(page, {"source": "own", "text": "Secret words."}, {})
    assert source[1] == "My own text" and "Secret" not in str(text) and len(text[1]) < 40


def measured(page: Page, script: str, *logs: list[Record]) -> Any:
    return in_browser(page, f"logs => {script}(logs.map((log) => NeuroAL.foldAll(log)))", [*map(on_the_wire, logs)])


def test_figures_side_by_side(page: Page) -> None:
    found = {label: cells for label, *cells in measured(page, "NeuroAL.measuredFigures", realistic(4), uniform_only())}
    assert found["Perplexity"] == ["80.08 ± 0.96", "12,346 ± 148.15"]
    assert found["Perplexity, uniform control"] == ["92.69 ± 1.11", "–"]
    assert found["Block lambda"][1] == "–" and "Zero-shot accuracy" not in found
    collapsed = dict(measured(page, "NeuroAL.measuredFigures", TABLE["collapsed"]))
    assert collapsed["Perplexity"] == "infinite"


def test_perplexities_of_different_texts_are_said_to_be_so(page: Page) -> None:
    other = json.loads(json.dumps(uniform_only()))
    for record in other:
        if record["kind"] == "Measured":
            record |= {"length": 128, "source": "wikitext2"}
    assert measured(page, "NeuroAL.incomparable", realistic(4), uniform_only()) == []
    assert measured(page, "NeuroAL.incomparable", realistic(4), other) == [
        "These perplexities are not on one scale: the held-out text and the window length differ."
    ]


def test_the_text_alternative_has_the_figures_numbers(page: Page) -> None:
    runs = [["a", on_the_wire(realistic(4))], ["b", on_the_wire(rated())]]
    script = """(name, runs) =>
        NeuroAL.describeCompared(name, runs.map(([label, log]) => [label, NeuroAL.foldAll(log)]))"""
    asked = in_browser(page, script, "allocations", runs)
    assert asked["head"] == ["block", "a", "b"] and [row[2] for row in asked["rows"]] == [
        "52.0 %", "62.0 %", "60.0 %", "66.0 %",
    ]  # fmt: skip
    rows = in_browser(page, script, "rows", runs)
    assert rows["head"][1:] == ["a"] and len(rows["rows"]) == 3
    assert in_browser(page, script, "perplexity", runs)["rows"][2] == ["this run", "80.08", "90.00"]


# --- what runs are called -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "labels"),
    [
        (["tiny, Wanda, OWL, 60 %", "tiny, Wanda, Uniform, 60 %"], ["OWL", "Uniform"]),
        (["tiny, Wanda, OWL", "tiny, Wanda, OWL"], ["tiny, Wanda, OWL (1)", "tiny, Wanda, OWL (2)"]),
        (["tiny, Wanda, OWL, 60 %", "tiny, Wanda, OWL, 60 %, seed 1"], ["tiny, Wanda, OWL, 60 %", "seed 1"]),
        (["tiny, Wanda, OWL, 60 %", "=Mine"], ["tiny, Wanda, OWL, 60 %", "Mine"]),
        (["=" + "long " * 30, "=short"], ["long long long long long long long long long lo…", "short"]),
    ],
)  # fmt: skip
def test_a_legend_tells_runs_apart(page: Page, runs: list[str], labels: list[str]) -> None:
    """A run is given by its title, or by the name that a person gave it, after ``=``."""
    rows = [{"title": "t", "name": r[1:]} if r[0] == "=" else {"title": r, "name": ""} for r in runs]
    assert in_browser(page, "rows => NeuroAL.labelsOf(rows)", rows) == labels


def test_figures_of_the_list_are_short(page: Page) -> None:
    script = "all => all.map(NeuroAL.figureText)"
    assert in_browser(page, script, [19.725, 999.9, 12345.678, 1.25e9, None]) == [
        "19.73", "999.90", "12,346", "1.3e9", "–",
    ]  # fmt: skip
    seconds = in_browser(page, "all => all.map(NeuroAL.took)", [0.04, 3.25, 61, None])
    assert seconds == ["0.0 s", "3.3 s", "1 min 1 s", "–"]
    now = "new Date(2026, 2, 3, 12)"
    told = f"all => all.map((t) => NeuroAL.when(t, {now}))"
    assert in_browser(page, told, ["2026-03-03T09:41:00", "2026-01-15T10:00:00", "2025-12-31T23:59:00", "soon"]) == [
        "today, 09:41", "15 Jan, 10:00", "31 Dec 2025, 23:59", "–",
    ]  # fmt: skip
