"""The profile that all pages of a worker share: nothing of one test is seen by the next."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.e2e.conftest import forget
from tests.e2e.server import Server

STORE = """async () => {
  localStorage.kept = sessionStorage.kept = document.cookie = "kept=yes";
  await new Promise((done) => { indexedDB.open("kept").onsuccess = done; });
  await caches.open("kept");
}"""
STORED = """async () => [
  "kept" in localStorage, "kept" in sessionStorage, document.cookie.includes("kept"),
  (await indexedDB.databases()).length > 0, (await caches.keys()).length > 0,
]"""


def test_nothing_that_a_page_has_stored_is_left(page: Page, server: Server) -> None:
    address = f"{server.url}/config"
    page.goto(address)
    assert page.evaluate(STORED) == [False] * 5, "of an earlier test"
    page.evaluate(STORE)
    assert page.evaluate(STORED) == [True] * 5
    context = page.context
    forget(context, {server.url})
    assert page.is_closed() and len(context.pages) == 1
    again = context.new_page()
    again.goto(address)
    assert again.evaluate(STORED) == [False] * 5
