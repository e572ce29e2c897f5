"""Charts as PNGs: the text around them, their names, and a picture of a chart as its bytes."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components.charts import LIGHT, figures, fold_all
from components.live import ASSETS, PLOTLY_JS, SCRIPTS, settings
from tests.components.logs import realistic

MAP_TEXT = ASSETS.parent / "map" / "text.js"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page with the scripts of the live view and Plotly."""
    opened = browser.new_page()
    for path in (PLOTLY_JS, *(ASSETS / name for name in SCRIPTS), MAP_TEXT):
        opened.add_script_tag(content=Path(path).read_text(encoding="utf-8"))
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    return page.evaluate(f"args => ({script})(...args)", list(arguments))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("one two", ["one two"]),
        ("one two three four", ["one two", "three four"]),
        ("  one \n two  ", ["one two"]),
        ("abcdefghijklmnopqrstuvwxyz", ["abcdefghij", "klmnopqrst", "uvwxyz"]),
        ("a abcdefghijkl b", ["a", "abcdefghij", "kl b"]),
        ("exactly 10 exactly 10", ["exactly 10", "exactly 10"]),
    ],
)
def test_text_is_wrapped_and_a_long_word_is_cut(page: Page, text: str, lines: list[str]) -> None:
    assert in_browser(page, "text => NeuroAL.wrapped(text, 10, (part) => part.length)", text) == lines


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (
            ["SmolLM2-135M-Instruct", "wanda", "owl", 60, "damage"],
            "neuroal-smollm2-135m-instruct-wanda-owl-60-damage.png",
        ),
        (["../../etc/passwd", "", None, "2:4"], "neuroal-etc-passwd-2-4.png"),
        (["<b>Ünï</b>", "x" * 500], f"neuroal-b-uni-b-{'x' * 104}.png"),
        ([], "neuroal.png"),
    ],
)
def test_names_of_files(page: Page, parts: list[Any], name: str) -> None:
    assert in_browser(page, "NeuroAL.fileName", parts) == name


def test_the_config_card_in_words(page: Page) -> None:
    script = "(records, settings) => NeuroAL.cardLines(NeuroAL.foldAll(records), settings, 'r-1')"
    asked, made = in_browser(page, script, realistic(6), json.loads(json.dumps(settings())))
    assert asked.startswith("SmolLM2-135M-Instruct") and "Wanda + NeuroAL, 60 % sparsity" in asked
    assert "Seed: 0" in asked and "% zeros" in asked and "measured on" in asked
    assert made.endswith("run r-1") and "UTC" in made and "torch" in made
    names = in_browser(page, "records => NeuroAL.nameParts(NeuroAL.foldAll(records), 'rows')", realistic(6))
    assert names == ["SmolLM2-135M-Instruct", "wanda", "neuroal", 60, "rows"]


def test_the_card_of_a_sweep(page: Page) -> None:
    state = {
        "spec": {"base": {"length": 64}, "axes": [[{"model": "tiny"}], [{"top_up": "neuroal", "step": "row"}]]},
        "members": [{"summary": {"model": "a/tiny", "eval_tokens": 80, "eval_source": "prose", "eval_length": 16}}],
        "started_at": "2026-01-15T10:00:00.1+00:00",
    }  # fmt: skip
    told = in_browser(page, "(...a) => NeuroAL.mapText.sweepCard(...a)", state, json.loads(json.dumps(settings())), "s")
    assert told == [
        "Model: tiny · Top-up, NeuroAL step: neuroal row", "Length: 64",
        "measured on 80 tokens of prose, windows of 16 · 2026-01-15 10:00 UTC · s",
    ]  # fmt: skip


def test_a_picture_has_the_chart_and_room_for_its_card(page: Page) -> None:
    """Twice as many dots as pixels; a longer card makes it higher, and only that."""
    script = """async (card) => {
      const figure = { data: [{ y: [1, 3, 2] }], layout: { height: 200 } };
      const look = { background: "white", quiet: "#777", text: "#000", font: "sans-serif" };
      const blob = await NeuroAL.picture(Plotly, { figure, title: "What it costs", card, width: 700, look });
      const bytes = new Uint8Array(await blob.arrayBuffer());
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    }"""
    sizes = []
    for card in (["Short."], ["Short.", "One word after the other. " * 20]):
        content = base64.b64decode(in_browser(page, script, card))
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        sizes.append(struct.unpack(">II", content[16:24]))
    assert sizes[0] == (1400, 2 * (20 + 24 + 10 + 200 + 10 + 16 + 20))
    assert sizes[1][0] == 1400 and sizes[1][1] - sizes[0][1] in range(2 * 16 * 3, 2 * 16 * 8, 2 * 16)


def test_pictures_in_a_bundle_show_what_its_pages_show(page: Page) -> None:
    """The very figures, so the same numbers; each with its heading and card."""
    script = """(records, palette, settings) => {
      const card = new NeuroAL.ConfigCard({ palettes: { light: palette }, settings });
      card.drawn = { state: NeuroAL.foldAll(records), run: "r-1" };
      return JSON.stringify(card.about().charts);
    }"""
    drawn = json.loads(in_browser(page, script, realistic(6), LIGHT, json.loads(json.dumps(settings()))))
    expected = figures(fold_all(realistic(6)), palette=LIGHT)
    assert {one["name"]: one["figure"] for one in drawn} == json.loads(json.dumps(expected))
    assert len(drawn) > 3 and all(one["title"] and len(one["card"]) == 2 for one in drawn)
