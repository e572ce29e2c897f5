"""The chart of calibration sensitivity: what is drawn of given figures, and what the card says of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components.charts import DARK, LIGHT, figures, fold_all
from components.live import ASSETS, SCRIPTS
from components.spread import ALONE, EACH, MEAN, calibrations
from neuroal.evaluation.spread import spread
from neuroal.runs.events import Event
from tests.components.calibrations import measured_on, summary, told
from tests.components.logs import Record, numbered, started

METHOD, UNIFORM = [60.0, 64.0, 61.0, 63.5], [65.5, 68.0, 66.5, 68.0]


def drawn(*events: Event, palette: dict[str, Any] = LIGHT, **spec: Any) -> dict[str, Any]:
    return figures(fold_all(numbered([started(**spec), *events])), palette=palette)["spread"]


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    """By its name, or in the lower plot by its row."""
    return next(t for t in figure["data"] if t.get("name") == name or name in t["y"][:1])


def test_a_dumbbell_for_each_calibration_in_their_order() -> None:
    figure = drawn(*measured_on(METHOD, UNIFORM))
    method, control = trace(figure, "NeuroAL"), trace(figure, "Uniform")
    assert method["y"] == control["y"] == ["this run", "seed 1", "seed 2", "4 samples"]
    assert (method["x"], control["x"]) == (METHOD, UNIFORM)
    assert (method["error_x"]["array"], control["error_x"]["array"]) == ([0.5] * 4, [0.25] * 4)
    assert figure["data"][0]["x"][:6] == [65.5, 60.0, None, 68.0, 64.0, None]
    assert figure["layout"]["yaxis"]["categoryarray"] == method["y"]
    assert figure["layout"]["yaxis"]["range"] == [3.5, -0.5], "the first on top"


def test_bands_are_the_means_and_deviations() -> None:
    figure, found = drawn(*measured_on(METHOD, UNIFORM)), spread(METHOD, UNIFORM)
    assert found is not None and found.uniform is not None
    bands = [s for s in figure["layout"]["shapes"] if s["type"] == "rect" and "xref" not in s]
    assert [(b["x0"], b["x1"], b["fillcolor"]) for b in bands] == [
        (f.mean - f.deviation, f.mean + f.deviation, LIGHT[v])
        for v, f in (("uniform", found.uniform), ("chosen", found.method))
    ]
    means = [s["x0"] for s in figure["layout"]["shapes"] if s["type"] == "line"]
    assert means == [found.uniform.mean, found.method.mean]


def test_differences_stand_beside_zero_and_what_calibration_does() -> None:
    figure, found = drawn(*measured_on(METHOD, UNIFORM)), spread(METHOD, UNIFORM)
    assert found is not None and found.difference is not None
    assert trace(figure, EACH)["x"] == [-5.5, -4.0, -5.5, -4.5]
    mean, alone = trace(figure, MEAN), trace(figure, ALONE)
    assert mean["x"] == [found.difference.mean]
    assert mean["error_x"]["array"] == [found.difference.high - found.difference.mean]
    assert alone["x"] == [-found.apart, found.apart]
    (band,) = [s for s in figure["layout"]["shapes"] if s.get("xref") == "x2"]
    assert (band["x0"], band["x1"]) == (-found.apart, found.apart)
    assert figure["layout"]["xaxis2"]["zeroline"] and figure["layout"]["xaxis2"]["rangemode"] == "tozero"


@pytest.mark.parametrize(
    ("method", "uniform", "colour"),
    [(METHOD, UNIFORM, "chosen"), (UNIFORM, METHOD, "uniform"), (METHOD, METHOD[::-1], "muted"),
     (METHOD[:2], UNIFORM[:2], "muted"), (METHOD, METHOD, "muted")],
    ids=["better", "worse", "open", "few", "same"],
)  # fmt: skip
def test_the_mean_has_the_colour_of_whom_it_speaks_for(method: list[float], uniform: list[float], colour: str) -> None:
    assert trace(drawn(*measured_on(method, uniform), palette=DARK), MEAN)["marker"]["color"] == DARK[colour]


def test_before_the_summary_there_are_dots_only() -> None:
    figure = drawn(told("this run", (0.1, None), 60.0, 65.5))
    assert [t["x"] for t in figure["data"]] == [[65.5, 60.0, None], [65.5], [60.0], [-5.5]]
    assert figure["layout"]["shapes"] == []
    later = drawn(*measured_on(METHOD, UNIFORM))["layout"]
    assert later["height"] == figure["layout"]["height"] + 3 * 28
    assert later["yaxis2"]["range"] == figure["layout"]["yaxis2"]["range"], "a summary has its place from the start"


def test_a_run_that_is_its_own_control_has_the_upper_plot_only() -> None:
    figure = drawn(*measured_on(METHOD, None), top_up="uniform")
    assert [t["name"] for t in figure["data"]] == ["Uniform"]
    assert "xaxis2" not in figure["layout"] and len(figure["layout"]["shapes"]) == 2


def test_orders_of_magnitude_take_a_log_axis_on_which_no_band_begins_below_zero() -> None:
    figure = drawn(*measured_on([60.0, 2e5, 1e7], [65.5, 1e304, 9e6]))
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert {s["x0"] for s in figure["layout"]["shapes"] if s["type"] == "rect" and "xref" not in s} == {60.0}
    assert figure["layout"]["xaxis2"].get("type") is None, "differences have a sign"
    assert drawn(*measured_on(METHOD, UNIFORM))["layout"]["xaxis"]["type"] == "linear"
    json.dumps(figure, allow_nan=False)


def test_what_has_no_figure_is_left_out() -> None:
    events = (told("this run", (0.1, None), 60.0, 65.5), told("seed 1", (0.1, None), math.inf, 3.0))
    assert trace(drawn(*events), "NeuroAL")["y"] == ["this run"]
    assert "spread" not in figures(fold_all(numbered([started(), events[1]])), palette=LIGHT)


def test_a_log_without_the_controls_error_is_drawn_without_it() -> None:
    record = numbered([told("this run", (0.1, None), 60.0, 65.5)])[0]
    del record["details"]["uniform_stderr"]
    (found,) = calibrations(fold_all([record]))
    assert (found["uniform"], found["uniform_stderr"]) == (65.5, None)


# --- the card -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    opened.set_content("<div id='host' class='na-live'></div>")
    for name in SCRIPTS:
        opened.add_script_tag(content=Path(ASSETS / name).read_text(encoding="utf-8"))
    yield opened
    opened.close()


def card(page: Page, records: list[Record]) -> tuple[str, list[str]]:
    """The explanation, and the text alternative line by line."""
    script = """records => {
        const state = NeuroAL.foldAll(records), card = new NeuroAL.Card("spread", () => {});
        document.querySelector("#host").replaceChildren(card.node);
        card.draw({ react: () => {} }, state, %s, "run");
        card.describe(state);
        const cells = (node) => [...node.children].map((cell) => cell.textContent).join(" | ");
        const told = [...card.alternative.querySelectorAll("p, tr")].map((node) => cells(node) || node.textContent);
        return [card.explain.textContent, told];
    }"""
    explained, lines = page.evaluate(script % json.dumps(LIGHT), json.loads(json.dumps(records)))
    return explained, lines


def test_the_text_alternative_has_the_figures_and_the_sentence(page: Page) -> None:
    events = measured_on(METHOD, UNIFORM)
    _, lines = card(page, numbered([started(), *events]))
    assert lines[0] == events[-1].details["sentence"]
    assert lines[1] == "calibration | NeuroAL | standard error | Uniform | standard error | difference"
    assert lines[2] == "this run | 60.00 | 0.5000 | 65.50 | 0.2500 | -5.500"
    _, alone = card(page, numbered([started(top_up="uniform"), told("this run", (None, None), 60.0, None)]))
    assert alone == ["Perplexity by calibration, lower is better.", "calibration | Uniform | standard error",
                     "this run | 60.00 | 0.5000"]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "uniform", "says"),
    [
        (METHOD, [value + 20 for value in UNIFORM], "NeuroAL is better than Uniform, beyond chance. Pale"),
        (METHOD, UNIFORM, "is better than Uniform, beyond chance. Another calibration changes more than that"),
        (UNIFORM, METHOD, "NeuroAL is worse than Uniform, beyond chance"),
        (METHOD, METHOD[::-1], "differ by no more than chance"),
        (METHOD[:2], UNIFORM[:2], "Too few calibrations to tell"),
        (METHOD, METHOD, "have the same perplexity each time"),
    ],
)
def test_the_card_says_what_the_difference_means(
    page: Page, method: list[float], uniform: list[float], says: str
) -> None:
    explained, _ = card(page, numbered([started(), *measured_on(method, uniform)]))
    assert says in explained


def test_while_nothing_is_summed_up_nothing_is_said_of_it(page: Page) -> None:
    """Nor where the summary is of a version that gave no verdict."""
    first = told("this run", (0.1, None), 60.0, 65.5)
    assert card(page, numbered([started(), first]))[0].startswith("Pale lines")
    older = summary(METHOD, UNIFORM).to_dict()
    del older["details"]["verdict"]
    records = [*numbered([started(), first]), {"n": 3, "t": 3.0, **older}]
    assert card(page, records)[0].startswith("Pale lines")
