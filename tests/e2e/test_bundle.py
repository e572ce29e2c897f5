"""A run is taken away as a bundle and opened again, as in another instance."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import LONG, looks_at, open_page, status

UPLOAD = "input[type=file][accept*=zip]"


def size_of(png: bytes) -> tuple[int, int]:
    """Dots of a picture, across and down."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def test_a_recorded_run_goes_out_and_comes_in(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    page.get_by_role("button", name="Show the end").click()
    with page.expect_download(timeout=LONG) as download:
        page.get_by_role("link", name="Download this run as a bundle").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    with zipfile.ZipFile(path) as files:
        charts = [name for name in files.namelist() if name.endswith(".html")]
        assert charts and all(size_of(files.read(name.replace(".html", ".png")))[0] == 1800 for name in charts)

    with page.expect_download(timeout=LONG) as download:
        page.locator(".na-card-damage").get_by_role("button", name="PNG").click()
    assert re.fullmatch(r"neuroal-smollm2.*-wanda-neuroal-60-damage.png", download.value.suggested_filename)
    width, height = size_of(Path(download.value.path()).read_bytes())
    assert width >= 1280 and height > 2 * 380

    page.set_input_files(UPLOAD, path)
    page.wait_for_url(re.compile(r"\?run="), timeout=LONG)
    expect(page.locator("#answer")).to_contain_text("You are looking at the run of this bundle.")
    run = re.search(r"run=([\w-]+)", page.url)[1]
    looks_at(page, run)
    status(page, "Finished in .* Perplexity")
    page.reload()
    looks_at(page, run)
    status(page, "Finished in .* Perplexity")

    path.write_text("This is no zip file.")
    page.set_input_files(UPLOAD, path)
    expect(page.locator("#answer")).to_contain_text("This file is not a bundle of a run", timeout=LONG)
