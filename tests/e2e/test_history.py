"""The History tab in the real app: runs found, named, tagged, pinned, deleted and brought back, opened and compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from tests.components.kept import keep
from tests.components.logs import realistic, uniform_only
from tests.e2e.server import Server
from tests.e2e.steps import LONG, SHORT, choose, on_a_dark_phone, open_page, plot, press_run, status

# What would run if it were taken for markup or for one of Gradio's templates.
HOSTILE = "<img src=x onerror=\"document.body.dataset.hacked='yes'\"> ${document.body.dataset.hacked='yes'} {{value}}"


@dataclass
class Kept:
    """An app, and the runs that were in its store when it started."""

    server: Server
    runs: dict[str, str] = field(default_factory=dict)


def started(folder: Path, **environment: str) -> Kept:
    """An app with four runs, the first one the oldest; two of them differ in the sparsity alone."""
    store = Store(folder / "data")
    runs = {
        "searched": keep(store, realistic(6), RunSpec()),
        "sparser": keep(store, realistic(6, seed=3, spec={"sparsity": 0.7}), RunSpec(sparsity=0.7)),
        "uniform": keep(store, uniform_only(6), RunSpec(top_up="uniform")),
        "cancelled": keep(store, realistic(6)[:50], RunSpec(seed=5)),
    }
    store.close()  # the app marks what was going as interrupted
    return Kept(Server(folder / "data", folder / "log", NEUROAL_DEFAULT_MODEL="tiny", **environment), runs)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """For a test that changes something."""
    app = started(tmp_path)
    yield app
    app.server.stop()


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """For those that only look."""
    app = started(tmp_path_factory.mktemp("looked_at"))
    yield app
    app.server.stop()


def open_history(page: Page, kept: Kept, query: str = "") -> None:
    open_page(page, kept.server, query)
    page.get_by_role("tab", name="History").click()


def row(page: Page, run: str) -> Locator:
    return page.locator(f".na-run[data-run='{run}']")


def shown(page: Page, *runs: str) -> None:
    """Waits until exactly these runs are listed, in this order."""
    page.wait_for_function(
        "ids => JSON.stringify([...document.querySelectorAll('.na-run')].map((r) => r.dataset.run)) === ids",
        arg=json.dumps(runs, separators=(",", ":")),
        timeout=SHORT,
    )


def test_runs_are_found_sorted_and_filtered(page: Page, looked_at: Kept) -> None:
    searched, sparser, uniform, cancelled = looked_at.runs.values()
    open_history(page, looked_at)
    shown(page, cancelled, uniform, sparser, searched)
    expect(row(page, searched)).to_contain_text("SmolLM2-135M-Instruct, Wanda, NeuroAL both, 60 %")
    expect(row(page, searched)).to_contain_text(re.compile("Finished.*60.0 %.*19.73 → 80.08.*uniform 92.69", re.DOTALL))
    page.get_by_role("button", name="When").click()
    shown(page, searched, sparser, uniform, cancelled)
    expect(page.get_by_role("columnheader", name="When")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Perplexity").click()
    expect(page.get_by_role("columnheader", name="Perplexity")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator(".na-run").nth(2)).to_have_attribute("data-run", uniform)  # 12,346; the cancelled one has none
    page.get_by_role("searchbox", name="Search").fill("uniform")
    shown(page, uniform)
    page.get_by_role("searchbox", name="Search").fill("no such words")
    expect(page.locator(".na-empty")).to_contain_text("No run fits")
    page.get_by_role("searchbox", name="Search").fill("")
    page.locator(".na-tools").get_by_label("Status").first.select_option("interrupted")
    shown(page, cancelled)


def test_named_tagged_and_pinned_in_place_and_it_lasts(page: Page, kept: Kept) -> None:
    searched, sparser, uniform, cancelled = kept.runs.values()
    open_history(page, kept)
    row(page, searched).get_by_role("button", name="Rename").click()
    page.keyboard.type(HOSTILE[:120])
    page.keyboard.press("Enter")
    expect(row(page, searched).locator(".na-open")).to_have_text(" ".join(HOSTILE[:120].split()))
    expect(row(page, searched)).to_contain_text("NeuroAL both, 60 %")  # the question stays to be seen
    expect(row(page, searched).get_by_role("button", name="Rename")).to_be_focused()
    row(page, sparser).get_by_role("button", name=re.compile("^Tags of")).click()
    page.keyboard.type("paper, <b>second</b>")
    page.keyboard.press("Enter")
    expect(row(page, sparser).locator(".na-tag")).to_have_text(["paper", "<b>second</b>"])
    row(page, sparser).get_by_role("button", name=re.compile("^Tags of")).click()
    page.keyboard.type("thrown away")
    page.keyboard.press("Escape")
    expect(row(page, sparser).locator(".na-tag")).to_have_text(["paper", "<b>second</b>"])
    row(page, uniform).get_by_role("button", name=re.compile("^Pin .* to the top")).click()
    shown(page, uniform, cancelled, sparser, searched)
    expect(row(page, uniform).get_by_role("button", name=re.compile("^Unpin"))).to_have_attribute(
        "aria-pressed", "true"
    )
    kept.server.kill()
    kept.server.start()
    open_history(page, kept)
    shown(page, uniform, cancelled, sparser, searched)
    row(page, sparser).get_by_role("button", name="paper").click()
    shown(page, sparser)
    page.get_by_role("button", name="show runs of every tag").click()
    shown(page, uniform, cancelled, sparser, searched)
    assert page.evaluate("document.body.dataset.hacked ?? null") is None
    assert page.locator(".na-history :is(img, b.second)").count() == 0


def test_a_deleted_run_can_be_brought_back(page: Page, kept: Kept) -> None:
    searched, sparser, uniform, cancelled = kept.runs.values()
    open_history(page, kept)
    for run in (sparser, searched):
        row(page, run).get_by_role("button", name=re.compile("^Delete")).click()
        expect(row(page, run)).to_have_count(0)
    expect(page.locator(".na-undo")).to_contain_text("2 runs deleted.")
    page.reload()  # a deleted run is gone for others too
    page.get_by_role("tab", name="History").click()
    shown(page, cancelled, uniform)
    row(page, uniform).get_by_role("button", name=re.compile("^Delete")).click()
    expect(row(page, uniform)).to_have_count(0)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    shown(page, cancelled, uniform)
    expect(page.locator(".na-undo")).to_be_hidden()


def test_a_run_is_opened_in_the_prune_tab(page: Page, looked_at: Kept) -> None:
    open_history(page, looked_at)
    row(page, looked_at.runs["sparser"]).locator(".na-open").click()
    status(page, r"Finished in .*80.08 NeuroAL", SHORT)
    expect(page.get_by_role("tab", name="Prune")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("spinbutton", name=re.compile("Sparsity ratio")).first).to_have_value("0.7")
    expect(page).to_have_url(re.compile(rf"\?run={looked_at.runs['sparser']}$"))


def test_runs_compared_by_hand_and_by_link(page: Page, looked_at: Kept) -> None:
    runs = [looked_at.runs[name] for name in ("searched", "sparser", "uniform")]
    open_history(page, looked_at)
    compare = page.get_by_role("button", name="Compare", exact=True)
    expect(compare).to_be_disabled()
    for run in runs:
        row(page, run).get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare 3 runs").click()
    comparison = page.get_by_role("region", name="Comparison")
    expect(comparison.get_by_role("table", name="Settings that differ").locator("tr")).to_have_text(
        [re.compile("^Setting"), "Top-upNeuroALNeuroALUniform", "Sparsity ratio60 %70 %60 %"]
    )
    expect(page.locator(".na-compared-perplexity .js-plotly-plot")).to_be_visible(timeout=SHORT)
    asked = drawn(page, "allocations", 3)
    assert [trace["name"] for trace in asked] == ["NeuroAL both, 60 %", "NeuroAL both, 70 %", "Uniform, 60 %"]
    assert asked[2]["y"] == [0.6] * 6
    assert len(drawn(page, "rows", 2)) == 2
    assert drawn(page, "perplexity", 3)[2]["x"] == [80.08, 80.08, 12_345.678]
    expect(comparison.get_by_role("table", name="Side by side")).to_contain_text("12,346 ± 148.15")
    link = page.url
    assert link.endswith(f"?compare={','.join(runs)}")

    other = on_a_dark_phone(page)
    other.goto(link)
    expect(other.locator(".na-compared-perplexity .js-plotly-plot")).to_be_visible(timeout=LONG)
    assert drawn(other, "allocations", 3)[0]["y"] == asked[0]["y"]
    assert other.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "scrolls sideways"
    other.get_by_role("button", name="All runs").click()
    expect(row(other, runs[0])).to_be_visible()
    assert other.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "scrolls sideways"
    assert "compare=" not in other.url


def drawn(page: Page, name: str, traces: int) -> list[dict[str, object]]:
    """The traces of a figure of the comparison, read from Plotly itself once there are so many: each run has a stream
    of its own, and what has come is drawn."""
    page.wait_for_function(
        "([name, traces]) => document.querySelector(`.na-compared-${name} .js-plotly-plot`)?.data.length === traces",
        arg=[name, traces],
        timeout=SHORT,
    )
    return page.evaluate(
        "(name) => document.querySelector(`.na-compared-${name} .js-plotly-plot`).data"
        ".map((t) => ({ name: t.name, x: t.x, y: t.y }))",
        name,
    )


def test_a_link_to_runs_that_are_gone_says_so(page: Page, looked_at: Kept) -> None:
    open_page(page, looked_at.server, f"?compare={looked_at.runs['uniform']},nothing-here")
    expect(page.locator(".na-comparison .na-problem")).to_contain_text("may have been removed", timeout=SHORT)


def test_on_a_shared_host_a_browser_sees_what_it_has_started(tmp_path: Path, page: Page, browser: Browser) -> None:
    """And the list follows the run to its end, without a reload."""
    kept = started(tmp_path, NEUROAL_HISTORY="own")
    try:
        open_history(page, kept)
        expect(page.locator(".na-empty")).to_contain_text("No run of this browser yet")
        page.get_by_role("tab", name="Prune").click()
        choose(page)
        run = press_run(page)
        page.get_by_role("tab", name="History").click()
        shown(page, run)
        expect(row(page, run)).to_contain_text("tiny, Wanda, NeuroAL both, 60 %")
        expect(row(page, run)).to_contain_text(re.compile(r"Finished.*[\d.]+ → [\d.]+", re.DOTALL), timeout=LONG)
        with browser.new_context() as context:
            stranger = context.new_page()
            open_history(stranger, kept)
            expect(stranger.locator(".na-empty")).to_contain_text("No run of this browser yet")
            assert stranger.locator(".na-run").count() == 0
            stranger.get_by_role("tab", name="Prune").click()
            choose(stranger)
            assert press_run(stranger) == run, "the question was answered before"
            stranger.get_by_role("tab", name="History").click()
            shown(stranger, run)
            expect(row(stranger, run)).to_contain_text("answered before, in another browser")
            expect(row(stranger, run).get_by_role("button", name=re.compile("^(Rename|Pin|Delete)"))).to_have_count(0)
            row(stranger, run).get_by_role("button", name=re.compile("off this list$")).click()
            expect(row(stranger, run)).to_have_count(0)
            stranger.get_by_role("button", name="Undo").click()
            shown(stranger, run)
            row(stranger, run).get_by_role("button", name=re.compile("off this list$")).click()
            expect(row(stranger, run)).to_have_count(0)
        row(page, run).get_by_role("button", name=re.compile("^Pin")).click()
        expect(row(page, run).get_by_role("button", name=re.compile("^Unpin"))).to_be_visible()
        row(page, run).locator(".na-open").click()
        status(page, "Finished in", SHORT)
        assert plot(page, "scores")["data"]
    finally:
        kept.server.stop()


def test_every_control_of_the_list_has_a_name(page: Page, looked_at: Kept) -> None:
    open_history(page, looked_at)
    expect(row(page, looked_at.runs["uniform"])).to_be_visible()
    nameless = page.locator(".na-history").evaluate(
        "host => [...host.querySelectorAll('input, select, button')].filter(e => e.offsetParent).filter("
        "e => !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).map(e => e.outerHTML)"
    )
    assert nameless == []
