"""A run is taken away as a bundle and opened again, as in another instance."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import LONG, open_page, status

UPLOAD = "input[type=file][accept*=zip]"


def test_a_recorded_run_goes_out_and_comes_in(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    page.get_by_role("button", name="Show the end").click()
    with page.expect_download(timeout=LONG) as download:
        page.get_by_role("link", name="Download this run as a bundle").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)

    page.set_input_files(UPLOAD, path)
    page.wait_for_url(re.compile(r"\?run="), timeout=LONG)
    expect(page.locator("#answer")).to_contain_text("You are looking at the run of this bundle.")
    status(page, "Finished in .* Perplexity")
    page.reload()
    status(page, "Finished in .* Perplexity")

    path.write_text("This is no zip file.")
    page.set_input_files(UPLOAD, path)
    expect(page.locator("#answer")).to_contain_text("This file is not a bundle of a run", timeout=LONG)
