"""The Compare tab in a real browser: a small Gradio app, the tiny model, and scripted answers where that is sharper."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from components.compare import NO_RUN, build_compare, wire_compare
from neuroal import generation
from neuroal.errors import UserError
from neuroal.generation import Pair, Side
from neuroal.models.loading import LanguageModel
from neuroal.runs.pace import Pace
from neuroal.runs.turns import Turns
from neuroal.twin import sparse_twin
from tests.runs.helpers import eventually

# What would run if any of it were taken for markup or for one of Gradio's templates.
HOSTILE = (
    "<img src=x onerror=\"document.body.dataset.hacked='markup'\">"
    "<script>document.body.dataset.hacked='script'</script>"
    "${document.body.dataset.hacked='literal'} {{value.phase}} {{{value.phase}}} `"
)

Script = Callable[..., Iterator[Pair]]


@dataclass
class Shop:
    """A workshop with one finished run, whose pruned model has lost most of its weights at random."""

    lm: LanguageModel
    twin: Any
    answering: Turns = field(default_factory=lambda: Turns(2))
    answered: Pace = field(default_factory=Pace)

    def pair(self, run_id: str) -> tuple[Any, Any]:
        if run_id != "done":
            raise UserError("This run is running; the pruned model can be asked once it has finished.")
        return self.lm, self.twin


@dataclass
class Answers:
    """Scripted answers that go on until they are released; ``open`` counts those going on."""

    released: threading.Event = field(default_factory=threading.Event)
    open: list[int] = field(default_factory=list)

    def __call__(self, *_: Any, **__: Any) -> Iterator[Pair]:
        self.open.append(1)
        try:
            count = 0
            while not self.released.is_set():
                count += 1
                yield Pair(said(f"word {count}", done=False), said(f"word {count}", done=False), None)
                time.sleep(0.05)
            yield Pair(said("all"), said("all"), None)
        finally:
            self.open.pop()


def said(before: str, at: str = "", after: str = "", done: bool = True) -> Side:
    return Side((1, 2, 3), before, at, after, seconds=1.0, done=done)


@pytest.fixture(scope="module")
def url(tiny: LanguageModel) -> Iterator[str]:
    """An app whose run is that of its address, ``?run=...``."""
    random = torch.Generator().manual_seed(0)
    twin = sparse_twin(tiny.model, [linear.path for linear in tiny.stack.all_linears()])
    for linear in tiny.stack.all_linears():
        weight = twin.get_submodule(linear.path).weight
        weight.data[torch.rand(weight.shape, generator=random) < 0.7] = 0
    with gr.Blocks() as demo:
        run = gr.State("")
        compare = build_compare()
        other = gr.Button("Look at another run")
        wire_compare(compare, Shop(tiny, twin), run)
        demo.load(_run_of_address, None, run, api_visibility="private")
        other.click(lambda: "other", None, run, api_visibility="private")
    _, local, _ = demo.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    yield local
    demo.close(verbose=False)


def _run_of_address(request: gr.Request) -> str:
    return request.query_params.get("run", "")


@pytest.fixture
def open_page(browser: Browser, url: str) -> Iterator[Callable[..., Page]]:
    """Opens the app; a page that logged an error, or reached for anything outside, fails the test."""
    pages: list[Page] = []
    faults: list[str] = []

    def opened(run: str = "done", width: int = 1280) -> Page:
        # Each in a context of its own: a browser opens six connections to a server, and every page holds two of them.
        page = browser.new_page(viewport={"width": width, "height": 844})
        pages.append(page)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(url) else faults.append(request.url))
        page.goto(f"{url}?run={run}")
        expect(page.locator(".na-compare[data-phase]")).to_be_visible()
        if run:
            expect(page.locator(".na-note")).to_be_hidden()
        return page

    yield opened
    for page in pages:
        page.close()
    assert not [fault for fault in faults if not fault.startswith(("data:", "blob:"))]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    scripted = Answers()
    monkeypatch.setattr(generation, "generate_pair", scripted)
    yield scripted
    scripted.released.set()


def ask(page: Page, prompt: str = "Once upon a time") -> None:
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_label("Prompt").press("Enter")


def phase(page: Page, name: str) -> None:
    expect(page.locator(".na-compare")).to_have_attribute("data-phase", name)


def test_both_models_answer_and_part(open_page: Callable[..., Page]) -> None:
    page = open_page()
    ask(page)
    phase(page, "finished")
    expect(page.locator(".na-verdict")).to_have_text(re.compile(r"^They part at token \d+: the dense model "))
    for side in ("dense", "pruned"):
        pane = page.locator(f"[data-side={side}]")
        expect(pane.locator(".na-stats")).to_have_text(re.compile(r"^\d+ tokens, [\d.]+ tokens/s$"))
        assert "≠" in pane.locator("mark").evaluate("node => getComputedStyle(node, '::before').content")
    spoken = page.locator(".na-compare [aria-live]")
    expect(spoken).to_have_count(1)
    expect(spoken).to_contain_text("They part at token")


def test_what_a_model_writes_is_text(open_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch) -> None:
    def hostile(*_: Any, **__: Any) -> Iterator[Pair]:
        failed = Side((1,), HOSTILE, HOSTILE, HOSTILE, 1.0, True, error=HOSTILE)
        yield Pair(said(HOSTILE, HOSTILE, HOSTILE), failed, 1)

    monkeypatch.setattr(generation, "generate_pair", hostile)
    page = open_page()
    ask(page, HOSTILE)
    phase(page, "finished")
    assert page.locator("[data-side=dense] .na-text").text_content() == HOSTILE * 3
    assert page.locator("[data-side=pruned] .na-error").text_content() == HOSTILE
    assert HOSTILE in (page.locator(".na-verdict").text_content() or "")
    page.wait_for_timeout(200)  # an image that cannot be loaded would say so by now
    assert page.evaluate("document.body.dataset.hacked ?? null") is None
    assert page.locator(".na-compare img, .na-compare script").count() == 0


def test_stop_ends_an_answer_and_keeps_it(open_page: Callable[..., Page], answers: Answers) -> None:
    page = open_page()
    ask(page)
    expect(page.locator("[data-side=dense] .na-text")).to_contain_text(re.compile(r"word \d"))
    with page.expect_response(re.compile("/reset$")):  # the queue has let go of it
        page.get_by_role("button", name="Stop").click()
    phase(page, "stopped")
    expect(page.locator(".na-note")).to_have_text("Stopped.")
    expect(page.locator(".na-verdict")).to_have_text("Identical so far.")
    kept = page.locator("[data-side=dense] .na-text").inner_text()
    eventually(lambda: not answers.open)
    page.wait_for_timeout(300)
    assert page.locator("[data-side=dense] .na-text").inner_text() == kept
    answers.released.set()
    ask(page)  # and another may follow
    expect(page.locator(".na-verdict")).to_have_text("Identical to the end.")


def test_what_arrives_after_stop_changes_nothing(open_page: Callable[..., Page], answers: Answers) -> None:
    """A busy server may send a piece of the answer after it has said that it stopped: here it goes on sending."""
    page = open_page()
    ask(page)
    text = page.locator("[data-side=dense] .na-text")
    expect(text).to_contain_text(re.compile(r"word \d"))
    kept = page.evaluate(
        "() => { document.dispatchEvent(new Event('na-stopped'));"
        " return document.querySelector('[data-side=dense] .na-text').textContent; }"
    )
    page.wait_for_timeout(500)  # ten more pieces
    assert text.text_content() == kept
    answers.released.set()
    phase(page, "finished")


def test_the_third_waits_says_so_and_may_leave_the_line(open_page: Callable[..., Page], answers: Answers) -> None:
    first, second, third = (open_page() for _ in range(3))
    for page in (first, second):
        ask(page)
        phase(page, "answering")
    ask(third)
    expect(third.locator(".na-note")).to_have_text("Waiting: 1 question of others before yours.")
    with third.expect_response(re.compile("/reset$")):  # the queue has let go of it
        third.get_by_role("button", name="Stop").click()
    expect(third.locator(".na-note")).to_have_text("Stopped.")
    ask(third)
    expect(third.locator(".na-note")).to_have_text("Waiting: 1 question of others before yours.")
    assert len(answers.open) == 2
    first.get_by_role("button", name="Stop").click()
    phase(third, "answering")
    answers.released.set()
    phase(third, "finished")
    expect(third.locator(".na-note")).not_to_contain_text("Waiting")


def test_without_a_finished_run_it_says_what_to_do(open_page: Callable[..., Page]) -> None:
    page = open_page(run="")
    expect(page.locator(".na-note")).to_have_text(NO_RUN)
    ask(page)
    phase(page, "refused")
    expect(page.locator(".na-compare [aria-live]")).to_have_text(NO_RUN)


def test_a_seed_that_is_none_is_refused_in_a_sentence(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("button", name="How to answer").click()
    page.get_by_label("Sampled").check()
    seed, note = page.get_by_label("Seed"), page.locator(".na-note")
    for wrong, shown in (("-1", "-1"), ("2.5", "2.5"), ("1e99", "9999999999.*")):
        seed.fill(wrong)
        ask(page)
        expect(note).to_have_text(re.compile(rf"^Seed is {shown}; it must be a whole number from 0 to 2147483647\.$"))
        phase(page, "refused")
    seed.fill("3")
    ask(page)
    phase(page, "finished")
    expect(page.locator(".toast-body")).to_have_count(0)


def test_another_run_clears_and_stops_the_old_answer(open_page: Callable[..., Page], answers: Answers) -> None:
    page = open_page()
    ask(page)
    expect(page.locator("[data-side=dense] .na-text")).to_contain_text(re.compile(r"word \d"))
    with page.expect_response(re.compile("/reset$")):
        page.get_by_role("button", name="Look at another run").click()
    phase(page, "idle")
    eventually(lambda: not answers.open)
    expect(page.locator("[data-side=dense] .na-text")).to_have_text("")
    ask(page)
    expect(page.locator(".na-note")).to_contain_text("This run is running")


def test_on_a_phone_by_keyboard(open_page: Callable[..., Page]) -> None:
    page = open_page(width=390)
    page.get_by_role("button", name="Roses are red").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Prompt")).to_have_value("Roses are red, violets are blue,")
    page.get_by_role("button", name="How to answer").press("Enter")
    expect(page.get_by_label("Temperature").first).to_be_hidden()
    page.get_by_label("Sampled").press(" ")
    expect(page.get_by_label("Temperature").first).to_be_visible()
    page.get_by_role("button", name="Generate").press("Enter")
    phase(page, "finished")
    dense, pruned = (page.locator(f"[data-side={side}]").bounding_box() for side in ("dense", "pruned"))
    assert dense and pruned and dense["y"] + dense["height"] <= pruned["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
