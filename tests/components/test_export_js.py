"""The section "Take it away" in a browser, with a server that is played: what is asked, said, and offered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from components import export_panel, live
from neuroal.export.forms import FORMS, ONNX

MADE = {
    "form": "sparse", "name": "model.sparse.zip", "bytes": 115_400_000, "dense_bytes": 269_100_000, "sha256": "ab" * 32,
    "checked": "Checked: <b>all</b> is equal.", "seconds": 1.5,
}  # fmt: skip
NOTHING = {"going": None, "failed": "", "pushed": None, "kept": {}, "signed_in": False}
GOING = {"form": "sparse", "message": "Encoding zeros as single bits, and compressing.", "done": 5, "total": 10}


class Played:
    """A server that answers with what a test sets, and remembers what it was sent."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = dict(NOTHING)
        self.status, self.sent, self.after = 200, [], None
        self.asked = 0  # how often a page wanted to know what there is
        self.once_asked: dict[str, Any] | None = None  # what there is from the first POST on

    def answer(self, route: Route) -> None:
        if "/export" not in route.request.url:
            return route.fulfill(
                status=200, content_type="text/html", body="<details class='na-live na-export'></details>"
            )
        if route.request.method == "POST":
            self.sent.append(json.loads(route.request.post_data))
            self.state, self.once_asked = self.once_asked or self.state, None
        else:
            self.asked += 1
        body = self.state
        if self.after is not None and body.get("going"):
            self.state, self.after = self.after, None
        return route.fulfill(status=self.status, content_type="application/json", body=json.dumps(body))


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def page(browser: Browser, played: Played) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    opened.route("**/*", played.answer)
    opened.goto("http://127.0.0.1:9/")
    shared = ("status.js", "plotting.js", "cards.js", "source.js", "client.js")
    own = [export_panel.ASSETS / name for name in export_panel.SCRIPTS]
    for path in (*(live.ASSETS / name for name in shared), *own):
        opened.add_script_tag(content=path.read_text(encoding="utf-8"))
    forms = [{"name": f.name, "label": f.label, "note": f.note} for f in FORMS.values() if f.suffix]
    opened.evaluate(
        "(config) => { window.view = new NeuroAL.ExportView(document.querySelector('.na-export'), config); }",
        {"forms": forms, "onnx": ONNX, "oauth": False},
    )
    yield opened
    context.close()


def attach(page: Page, run: str = "r") -> None:
    """Opened, and told what there is: that answer must not overtake the one to what a test does next."""
    page.evaluate("(run) => window.view.attach({ run })", run)
    with page.expect_response("**/export"):
        page.locator("summary").click()


def test_nothing_is_asked_before_it_is_opened(page: Page, played: Played) -> None:
    page.evaluate("() => window.view.attach({ run: 'r' })")
    expect(page.locator(".na-export-forms")).to_be_hidden()
    page.locator("summary").click()
    expect(page.get_by_label("Download: Sparse file")).to_be_hidden()  # as soon as it is answered
    expect(page.get_by_role("button", name="Make: Sparse file")).to_be_enabled()
    expect(page.locator(".na-export-plainly")).to_contain_text("as large as before")
    assert played.asked == 1


def test_a_file_is_made_watched_and_offered(page: Page, played: Played) -> None:
    attach(page)
    expect(page.get_by_role("button", name="Make: Sparse file")).to_be_enabled()
    played.once_asked = {**NOTHING, "going": GOING}
    page.get_by_role("button", name="Make: Sparse file").click()
    expect(page.locator(".na-export-sentence")).to_have_text(
        "Encoding zeros as single bits, and compressing: 50\u00a0%."
    )
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")
    expect(page.get_by_role("button", name="Make: GGUF (llama.cpp)")).to_be_disabled()
    expect(page.get_by_role("button", name="Cancel the export")).to_be_focused()
    played.after = {**NOTHING, "kept": {"sparse": MADE}}
    link = page.get_by_role("link", name="Download: Sparse file")
    expect(link).to_have_attribute("href", "http://127.0.0.1:9/gradio_api/runs/r/export/sparse")
    expect(page.locator(".na-export-made").nth(1)).to_have_text(
        "model.sparse.zip · 115.4\u00a0MB · 57\u00a0% smaller than the plain safetensors (269.1\u00a0MB)"
    )
    expect(page.locator(".na-export-sum").nth(1)).to_have_text(f"SHA-256 {'ab' * 32}")
    expect(page.get_by_text("Checked: <b>all</b> is equal.")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Done.")
    expect(link).to_be_focused()
    assert played.sent == [{"form": "sparse"}]


def test_an_answer_that_was_overtaken_is_left_out(page: Page, played: Played) -> None:
    attach(page)
    expect(page.get_by_role("button", name="Make: Sparse file")).to_be_enabled()  # else the look below overtakes it
    slow: list[Route] = []
    page.route("**/export", lambda route: slow.append(route) if not slow else route.fallback())
    with page.expect_request("**/export"):
        page.evaluate("() => { window.view.look(); }")
    played.once_asked = {**NOTHING, "going": GOING}
    page.get_by_role("button", name="Make: Sparse file").click()
    sentence = page.locator(".na-export-sentence")
    expect(sentence).to_contain_text("50")
    with page.expect_response("**/export"):
        slow[0].fulfill(status=200, content_type="application/json", body=json.dumps(NOTHING))
    expect(sentence).to_be_visible()
    played.after = {**NOTHING, "kept": {"sparse": MADE}}
    expect(page.get_by_role("link", name="Download: Sparse file")).to_be_visible()


def test_a_zip_is_told_by_what_comes_out_of_it(page: Page, played: Played) -> None:
    played.state = {**NOTHING, "kept": {"zip": {**MADE, "form": "zip", "name": "model.zip"}}}
    attach(page)
    expect(page.locator(".na-export-made").first).to_have_text(
        "model.zip · 115.4\u00a0MB · the checkpoint in it is as large as before (269.1\u00a0MB)"
    )


def test_cancel_and_failure(page: Page, played: Played) -> None:
    played.state = {**NOTHING, "going": {**GOING, "total": 0}}
    attach(page)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("button", name="Cancel the export").click()
    played.after = {**NOTHING, "failed": "The disk is full."}
    expect(page.get_by_role("alert")).to_have_text("The disk is full.")
    assert played.sent == [{"cancel": True}]


def test_a_run_without_weights_says_why(page: Page, played: Played) -> None:
    played.status, played.state = 422, {"error": "This is a recorded run."}
    attach(page)
    expect(page.get_by_role("alert")).to_have_text("This is a recorded run.")
    expect(page.locator(".na-export-forms")).to_be_hidden()
    played.status, played.state = 200, dict(NOTHING)
    page.evaluate("() => window.view.attach({ run: 'other' })")
    expect(page.locator(".na-export-forms")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_an_upload_sends_the_token_once(page: Page, played: Played) -> None:
    attach(page)
    page.get_by_label("Repository").fill(" me/mine ")
    page.get_by_label("Token that may write").fill("hf_secret")
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_label("Token that may write").press("Enter")
        expect(page.get_by_label("Token that may write")).to_have_value("")
    assert played.sent == [{"form": "hub", "repo": "me/mine", "private": True, "token": "hf_secret"}]
    pushed = {
        "repo_id": "me/mine",
        "url": "https://huggingface.co/me/mine",
        "private": True,
        "bytes": 1,
        "seconds": 1.0,
    }
    played.state = {**NOTHING, "pushed": pushed, "signed_in": True}
    page.get_by_label("Private: only you see it").uncheck()
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".na-export-pushed")).to_have_text("Uploaded to me/mine (private).")
    expect(page.locator(".na-export-pushed a")).to_have_attribute("href", "https://huggingface.co/me/mine")
    expect(page.get_by_label("Token that may write")).to_be_hidden()
    assert played.sent[-1]["private"] is False


def test_an_address_that_is_none_is_no_link(page: Page, played: Played) -> None:
    pushed = {"repo_id": "me/mine", "url": "javascript:alert(1)", "private": False, "bytes": 1, "seconds": 1.0}
    played.state = {**NOTHING, "pushed": pushed}
    attach(page)
    expect(page.locator(".na-export-pushed")).to_have_text("Uploaded to me/mine (public).")
    assert page.locator(".na-export-pushed a").get_attribute("href") is None
