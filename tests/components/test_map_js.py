"""The map in the browser is that of Python: every log folded and drawn by both; and the figures say what is so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components import live
from components.plotting import DARK, LIGHT
from components.tradeoff_map import SCRIPTS
from components.tradeoffs import AXES, gain, tradeoff, verdicts
from neuroal.folding.sweep_fold import counts, fold_sweep_all
from neuroal.runs.examples import SWEEPS, load_examples
from tests.components.sweep_logs import TABLE

MAP = live.ASSETS.parent / "map"


def beside(run: str, perplexity: float | None, **more: Any) -> dict[str, Any]:
    known = {"label": f"<b>{run}</b>", "sparsity": 0.6, "custom": False, "own": False, "focus": False}
    return {"run": run, "summary": {"perplexity": perplexity, "achieved": 0.6004}, **known, **more}


OTHERS = [beside("a", 70.0), beside("b", 60.0, custom=True), beside("c", 90.0, focus=True), beside("d", None)]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    for path in (*(live.ASSETS / name for name in ("status.js", "plotting.js")), *(MAP / name for name in SCRIPTS[:3])):
        opened.add_script_tag(content=Path(path).read_text(encoding="utf-8"))
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    whole = f"args => JSON.stringify(({script})(...args))"
    return json.loads(page.evaluate(whole, list(arguments)) or "null")


FOLD = "records.reduce(NeuroAL.foldSweep, NeuroAL.emptySweep())"


@pytest.mark.parametrize("name", TABLE)
def test_both_folds_give_the_same_state(page: Page, name: str) -> None:
    state = fold_sweep_all(TABLE[name])
    assert in_browser(page, f"records => {FOLD}", TABLE[name]) == state
    assert in_browser(page, f"records => NeuroAL.sweepCounts({FOLD})", TABLE[name]) == counts(state)
    assert in_browser(page, f"records => NeuroAL.verdicts({FOLD})", TABLE[name]) == verdicts(state)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", TABLE)
def test_both_draw_the_same_figures(page: Page, name: str, palette: dict[str, Any]) -> None:
    state = fold_sweep_all(TABLE[name])
    script = f"(records, palette) => NeuroAL.gain({FOLD}, palette)"
    assert in_browser(page, script, TABLE[name], palette) == json.loads(json.dumps(gain(state, palette)))
    for x, y in (("sparsity", "perplexity"), ("search_seconds", "kl"), ("encoded", "zeroshot"), ("kl", "sparsity")):
        script = f"(records, palette, x, y) => NeuroAL.tradeoff({FOLD}, palette, x, y)"
        drawn = in_browser(page, script, TABLE[name], palette, x, y)
        assert drawn == json.loads(json.dumps(tradeoff(state, palette, x, y)))


@pytest.mark.parametrize("others", [OTHERS, OTHERS[:1], OTHERS * 5], ids=["three", "one", "many"])
@pytest.mark.parametrize("name", ["whole", "nothing"])
def test_both_draw_the_same_runs_beside_it(page: Page, name: str, others: list[dict[str, Any]]) -> None:
    script = f"(records, palette, others) => NeuroAL.tradeoff({FOLD}, palette, 'sparsity', 'perplexity', others)"
    drawn = tradeoff(fold_sweep_all(TABLE[name]), LIGHT, others=others)
    assert in_browser(page, script, TABLE[name], LIGHT, others) == json.loads(json.dumps(drawn))


def test_both_know_the_same_axes(page: Page) -> None:
    assert in_browser(page, "() => NeuroAL.AXES") == AXES


# --- what the figures say -------------------------------------------------------------------------------------------


def traces(name: str, x: str = "sparsity", y: str = "perplexity") -> dict[str, dict[str, Any]]:
    figure = tradeoff(fold_sweep_all(TABLE[name]), LIGHT, x, y)
    return {trace["name"]: trace for trace in figure["data"] if trace["mode"] == "markers"}


def test_a_line_per_method_the_control_dashed_and_dense_as_a_line() -> None:
    figure = tradeoff(fold_sweep_all(TABLE["whole"]), LIGHT)
    paths = {t["name"]: t["line"]["dash"] for t in figure["data"] if t["mode"] == "lines"}
    assert paths == {"Uniform": "dash", "OWL": "solid", "NeuroAL both": "solid"}
    assert [(s["y0"], s["y1"]) for s in figure["layout"]["shapes"]] == [(20.0, 20.0)]
    assert figure["layout"]["yaxis"]["type"] == "log"
    assert traces("whole")["NeuroAL both"]["customdata"] == ["run-4", "run-5"]


def test_the_controls_of_two_pruners_are_told_apart(page: Page) -> None:
    (recorded,) = load_examples(SWEEPS).values()
    figure = tradeoff(fold_sweep_all(recorded.records), LIGHT)
    script = f"(records, palette) => NeuroAL.tradeoff({FOLD}, palette)"
    assert in_browser(page, script, recorded.records, LIGHT) == json.loads(json.dumps(figure))
    marks = {t["name"]: t["marker"] for t in figure["data"] if t["mode"] == "markers" and "Uniform" in t["name"]}
    assert marks == {
        "Wanda, Uniform": {"color": LIGHT["uniform"], "size": 9, "symbol": "diamond"},
        "Magnitude, Uniform": {"color": LIGHT["uniform"], "size": 9, "symbol": "diamond-open"},
    }


def test_a_phone_has_room_for_the_plots(page: Page) -> None:
    """Names over two lines, the legend in a column of its own below; the figures are the same."""
    (recorded,) = load_examples(SWEEPS).values()
    both = f"""(records, palette, width) => ["Tradeoff", "Gain"].map((name) => NeuroAL["narrow" + name](
        {{ clientWidth: width }}, NeuroAL[name.toLowerCase()]({FOLD}, palette)))"""
    wide, narrow = (in_browser(page, both, recorded.records, LIGHT, width) for width in (900, 300))
    state = fold_sweep_all(recorded.records)
    assert wide == json.loads(json.dumps([tradeoff(state, LIGHT), gain(state, LIGHT)]))
    assert narrow[0]["data"] == wide[0]["data"]
    assert narrow[0]["layout"]["height"] == 320 + 29 * 11, "ten methods and the ring"
    (few,), (many,) = narrow[1]["data"], wide[1]["data"]
    assert few["z"] == many["z"] and few["y"][0] == "Wanda,<br>OWL" and not few["showscale"]


def test_a_ring_around_what_is_not_beaten() -> None:
    """NeuroAL has the lowest perplexity at both sparsities; uniform at 60.04 % is beaten by nothing as sparse."""
    ring = traces("whole")["not beaten in both"]
    assert list(zip(ring["x"], ring["y"], strict=True)) == [(0.5, 34.0), (0.6, 64.0), (0.6004, 80.0)]
    by_time = traces("whole", "search_seconds", "perplexity")["not beaten in both"]
    assert by_time["x"] == [3.0, 30.0] and by_time["y"] == [36.0, 34.0]


def test_runs_beside_it_have_marks_and_names_of_their_own_and_can_beat_it() -> None:
    figure = tradeoff(fold_sweep_all(TABLE["whole"]), LIGHT, others=OTHERS)
    drawn = {t["name"]: t for t in figure["data"] if t["mode"] == "markers+text"}
    assert {name: (t["customdata"], t["marker"]["symbol"]) for name, t in drawn.items()} == {
        "other runs": (["a"], "square-open"), "own ratios": (["b"], "star-diamond"), "this run": (["c"], "star"),
    }  # fmt: skip
    assert drawn["this run"]["text"] == ["&lt;b&gt;c&lt;/b&gt;"]
    assert 60.0 in figure["data"][-1]["y"] and 80.0 not in figure["data"][-1]["y"]
    many = {t["name"]: t["mode"] for t in tradeoff(fold_sweep_all([]), LIGHT, others=OTHERS * 5)["data"]}
    assert many["other runs"] == "markers" and many["this run"] == "markers+text"


def test_repetitions_are_points_and_the_line_goes_through_their_mean() -> None:
    figure = tradeoff(fold_sweep_all(TABLE["repeated"]), LIGHT)
    path, marks = figure["data"][:2]
    assert path["y"] == [30.5, 32.5] and path["x"] == pytest.approx([0.505, 0.525])
    assert marks["y"] == [30.0, 31.0, 32.0, 33.0]


def test_the_gain_is_the_share_below_the_control() -> None:
    heat = gain(fold_sweep_all(TABLE["whole"]), LIGHT)["data"][0]
    assert heat["x"] == ["50 %", "60 %"] and heat["y"] == ["OWL", "NeuroAL both"]
    assert heat["z"] == [pytest.approx([0.1, -0.125]), pytest.approx([0.15, 0.2])]


def test_did_it_help_by_how_much_at_what_cost() -> None:
    best, other = verdicts(fold_sweep_all(TABLE["whole"]))
    assert best == {"label": "NeuroAL both", "runs": 2, "better": 2, "gain": pytest.approx(0.175), "seconds": 32.0}
    assert other == {"label": "OWL", "runs": 2, "better": 1, "gain": pytest.approx(-0.0125), "seconds": 4.0}


def test_nothing_is_drawn_of_nothing() -> None:
    for name in ("nothing", "waiting", "just started", "an index that is not there"):
        state = fold_sweep_all(TABLE[name])
        assert tradeoff(state, LIGHT) is None and gain(state, LIGHT) is None and verdicts(state) == []


def test_two_dense_models_are_two_lines_without_a_name() -> None:
    figure = tradeoff(fold_sweep_all(TABLE["two models"]), LIGHT)
    assert [s["y0"] for s in figure["layout"]["shapes"]] == [12.0, 20.0] and not figure["layout"]["annotations"]


def test_counts() -> None:
    assert counts(fold_sweep_all(TABLE["a run failed"])) == {"runs": 6, "finished": 5, "failed": 1, "reused": 1}
