"""A sweep in a real browser: asked, followed live, opened, stopped, and found again by its link."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import an_app
from tests.e2e.server import Server
from tests.e2e.steps import LONG, field, open_page, status


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An app of its own: the map shows all runs that are there."""
    yield from an_app(tmp_path_factory)


def begin(page: Page, server: Server, sparsities: str) -> None:
    """Fills the tab as a person does and presses Start."""
    open_page(page, server)
    page.get_by_label("Quick", exact=True).check()
    page.get_by_role("tab", name="Trade-offs").click()
    field(page, "Sparsity ratios").fill(sparsities)
    page.keyboard.press("Tab")
    expect(page.locator("#sweep-estimate")).to_contain_text(re.compile(r"\d+ runs?.*"), timeout=LONG)
    page.click("#sweep-start")
    page.wait_for_url(re.compile(r"sweep=sweep-"), timeout=LONG)


def stands(page: Page, says: str) -> None:
    expect(page.locator(".na-map .na-sentence")).to_contain_text(re.compile(says), timeout=LONG)


def points(page: Page) -> dict[str, int]:
    """How many points each method has."""
    return page.evaluate(
        "() => Object.fromEntries((document.querySelector('.na-card-tradeoff .js-plotly-plot')?.data ?? [])"
        ".filter(t => t.mode === 'markers').map(t => [t.name, t.x.length]))"
    )


def test_a_sweep_from_the_start_to_a_run_of_it(page: Page, server: Server, tmp_path: Path) -> None:
    begin(page, server, "0.5, 0.6")
    stands(page, r"8 of 8 runs done.*Finished in")
    methods = ("Uniform", "OWL", "NeuroAL block", "NeuroAL both")
    page.wait_for_function("() => document.querySelector('.na-card-gain .js-plotly-plot')?.data[0].y.length === 3")
    assert {name: points(page)[name] for name in methods} == dict.fromkeys(methods, 2)
    expect(page.locator(".na-verdicts li")).to_have_count(3)
    expect(page.locator(".na-card-runs tbody tr")).to_have_count(8)

    with page.expect_download(timeout=LONG) as download:
        page.get_by_role("link", name="Download this sweep as a bundle").click()
    bundle = tmp_path / "sweep.zip"
    download.value.save_as(bundle)
    with zipfile.ZipFile(bundle) as files:
        assert {"charts/map.png", "charts/gain.png", "runs/7.jsonl"} <= set(files.namelist())

    page.get_by_label("Up", exact=False).last.select_option("search_seconds")
    page.wait_for_function("() => /seconds/.test(document.querySelector('.na-card-tradeoff .ytitle')?.textContent)")

    page.get_by_role("button", name=re.compile("^Open OWL at 4|^Open OWL at 5")).first.click()
    expect(page.get_by_role("tab", name="Prune")).to_have_attribute("aria-selected", "true")
    status(page, "Finished in .* OWL")

    page.get_by_role("button", name="See it on the map").click()
    expect(page.locator("#sweep-answer")).to_contain_text("your run on the map of a sweep")
    page.wait_for_function("() => document.querySelector('.na-card-tradeoff .js-plotly-plot').data"
                           ".some(t => t.name === 'this run' && t.text.length === 1)")  # fmt: skip

    page.goto(re.sub(r"&run=[^&]*", "", page.url))
    expect(page.get_by_role("tab", name="Trade-offs")).to_have_attribute("aria-selected", "true")
    stands(page, r"8 of 8 runs done")
    with page.expect_file_chooser() as chooser:
        page.click("#sweep-bundle")
    chooser.value.set_files(bundle)
    expect(page.locator("#sweep-answer")).to_contain_text("You are looking at the sweep of this bundle.", timeout=LONG)
    stands(page, r"8 of 8 runs done")


def test_it_is_paused_and_goes_on_and_knows_what_it_asked(page: Page, server: Server) -> None:
    begin(page, server, "0.3")
    stands(page, "Now: ")
    page.click("#sweep-pause")
    stands(page, "Stopped; Resume goes on")
    expect(page.locator("#sweep-answer")).to_contain_text("Pausing")
    page.click("#sweep-resume")
    stands(page, r"4 of 4 runs done.*Finished")

    page.click("#sweep-start")  # the same again: nothing is left to compute
    stands(page, r"4 of 4 runs done \(4 answered before\).*Finished")
    page.click("#sweep-cancel")
    expect(page.locator("#sweep-answer")).to_contain_text("not going")


def test_what_is_wrong_is_said_beside_the_form(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?sweep=sweep-nobody")  # the page opens this tab, so that of Prune may never be seen
    expect(page.locator("#sweep-answer")).to_contain_text("No sweep with this link is known here")
    field(page, "Sparsity ratios").fill("<b>a lot</b>")
    page.keyboard.press("Tab")
    expect(page.locator("#sweep-estimate")).to_contain_text("'<b>a lot</b>' cannot be read; write them", timeout=LONG)
    page.click("#sweep-start")
    expect(page.locator("#sweep-answer")).to_contain_text("cannot be read; write them like")
    page.click("#sweep-resume")
    expect(page.locator("#sweep-answer")).to_contain_text("No sweep is open")
