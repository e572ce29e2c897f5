"""The printed summary of a run: what it says of every kind of log, and that it is one page whatever it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components.live import ASSETS, SCRIPTS, settings
from components.plotting import LIGHT
from components.stream import finite
from tests.components.logs import TABLE, Record, realistic

LINK = "http://127.0.0.1/?run=abc"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    opened.add_init_script("window.print = () => {}")
    opened.goto("about:blank")
    opened.evaluate("window.gradio_config = { root: 'http://127.0.0.1/' }")
    for name in SCRIPTS:
        opened.add_script_tag(content=(ASSETS / name).read_text(encoding="utf-8"))
    opened.add_style_tag(content=(ASSETS / "live.css").read_text(encoding="utf-8"))
    yield opened
    opened.close()


def summary(page: Page, records: list[Record]) -> dict[str, Any]:
    script = "([records, settings, link]) => NeuroAL.summaryOf(NeuroAL.foldAll(records), settings, link)"
    found = page.evaluate(script, [wire(records), settings(), LINK])
    return json.loads(json.dumps(found, ensure_ascii=False).replace("\u00a0", " "))


def wire(records: list[Record]) -> list[Record]:
    return json.loads(json.dumps(finite(records), default=list))


def test_a_search_its_choice_and_what_it_cost(page: Page) -> None:
    run = realistic(blocks=6)
    chosen = {r["step"]: r for r in run if r["kind"] == "LambdaChosen"}
    ratios = next(r["sparsity"] for r in run if r["kind"] == "AllocationReady")
    said = summary(page, run)
    assert said["title"] == "SmolLM2-135M-Instruct: Wanda + NeuroAL, 60 % sparsity"
    assert said["question"] == ["6 blocks, 135 M parameters", "float32 on cpu", "8 × 256 tokens of prose", "Seed: 0"]
    lambdas = [(chosen[step]["lam"], where) for step, where in (("block", "blocks"), ("row", "rows"))]
    assert [one.split(" (")[0] for one in said["lambdas"]] == [f"{lam:.2f} over the {where}" for lam, where in lambdas]
    search, damage = said["happened"]
    assert search.startswith("The search scored 14 lambdas over the blocks and 15 lambdas over the rows; others within")
    low, high = (f"{100 * ratios[block]:.1f}".removesuffix(".0") for block in (0, 5))
    assert search.endswith(f"The blocks lose from {low} % (block 0) to {high} % (block 5).")
    found = {r["variant"]: r["value"] for r in run if r["kind"] == "Measured"}
    dense, uniform, pruned = (found[variant] for variant in ("dense", "uniform", "chosen"))
    assert damage.startswith(f"Perplexity goes from {dense:.2f} to {pruned:.2f} ({pruned / dense:.2f} times);")
    assert damage.endswith(
        f"uniform sparsity has {uniform:.2f}, so NeuroAL is {100 * (1 - pruned / uniform):.1f} % lower."
    )
    perplexities = {row[0]: row[1:] for row in said["rows"]}["perplexity"]
    assert [cell.split(" ")[0] for cell in perplexities] == [f"{value:.2f}" for value in (dense, uniform, pruned)]
    assert said["head"] == ["", "Dense", "Uniform", "NeuroAL"]
    assert said["card"][0].startswith("Started 2026-01-15 10:00 UTC · took ") and "question" in said["card"][0]
    assert said["card"][1] == "neuroal 1.0.0, torch 2.13.0, transformers 5.1.0" and said["card"][-1] == LINK


def test_without_a_search_the_ratios_are_told(page: Page) -> None:
    said = summary(page, TABLE["rated"])
    assert said["lambdas"] == []
    assert said["happened"][0] == "The blocks lose from 52 % (block 0) to 66 % (block 3)."
    assert said["happened"][1] == "OWL has a perplexity of 90.00; uniform sparsity, the control, was not measured."


def test_uniform_is_its_own_control(page: Page) -> None:
    said = summary(page, TABLE["uniform only"])
    assert said["happened"] == [
        "Every block loses 60 %.", "Perplexity goes from 19.73 to 12345.7 (625.73 times).",
    ]  # fmt: skip
    assert said["head"] == ["", "Dense", "Uniform"]


def test_everything_that_was_measured_is_in_the_table(page: Page) -> None:
    said = summary(page, TABLE["everything measured"])
    assert said["rows"] == [
        ["KL divergence from dense, nats", "–", "0.750", "0.500 ± 0.050"],
        ["the same likeliest token", "–", "62.5 %", "75 %"],
        ["alignment score", "–", "0.006250", "0.005000"],
        ["zero-shot tasks, mean", "75 % ± 12.5 %", "–", "50 % ± 12.5 %"],
        ["how it writes", "–", "–", "degraded"],
        ["bitmask and zstd, MB", "7.0", "–", "3.0"],
    ]


def test_other_calibrations_have_a_word(page: Page) -> None:
    run = realistic(blocks=6)
    others = [r for r in TABLE["calibrations"] if r.get("metric") == "sensitivity"]
    said = summary(page, [*run, *({**r, "n": run[-1]["n"] + i} for i, r in enumerate(others, 1))])
    assert said["happened"][1].endswith(others[0]["details"]["sentence"])


@pytest.mark.parametrize("name", TABLE)
def test_every_log_can_be_told(page: Page, name: str) -> None:
    said = json.dumps(summary(page, TABLE[name]), ensure_ascii=False)
    assert not re.search("NaN|undefined|null|Infinity", said)


def test_whatever_it_says_it_is_one_page_and_the_page_is_as_before(page: Page) -> None:
    """The longest: every figure measured, many settings changed, other calibrations; then nothing but a model."""
    long = [*realistic(blocks=6, spec={"exclude": ["*.down_proj", "*.up_proj"], "gqa": "base", "text": "own " * 50})]
    for record in (r for name in ("everything measured", "calibrations") for r in TABLE[name]):
        if record["kind"] == "Measured":
            long.append({**record, "n": long[-1]["n"] + 1})
    for records in (long, TABLE["starting"]):
        script = """async ([records, settings, palette]) => {
          const state = NeuroAL.foldAll(records), stub = { newPlot: async () => {} };
          const options = { plotly: Promise.resolve(stub), settings, palettes: { light: palette } };
          const view = { state, value: { run: "a run" }, options, say: () => {} };
          document.body.append(NeuroAL.make("main", "", "the page ".repeat(4000)));
          const button = NeuroAL.summaryButton(view);
          await button.onclick();
          await button.onclick(); // of a browser that does not tell when it has printed
          return document.querySelector(".na-summary").offsetHeight;
        }"""
        assert page.evaluate(script, [wire(records), settings(), LIGHT]) <= 955
        sheet = page.pdf(prefer_css_page_size=True)  # which ends as printing does
        assert len(re.findall(rb"/Type\s*/Page\b", sheet)) == 1
        assert page.evaluate("document.querySelectorAll('.na-summary, .na-printing').length") == 0


def test_a_run_that_fails_to_be_told_says_so(page: Page) -> None:
    script = """async () => {
      const said = [], broken = { plotly: Promise.reject(new Error("offline")) };
      const view = { state: {}, value: { run: "" }, options: broken, say: (text) => said.push(text) };
      const button = NeuroAL.summaryButton(view);
      await button.onclick();
      return [said, button.disabled];
    }"""
    assert page.evaluate(script) == [["The summary could not be made. Reload the page to try again."], False]
