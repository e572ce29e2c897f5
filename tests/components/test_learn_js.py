"""The guided path in the browser: every figure of every page from real scenes, what links carry, what answers say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components import learn, live
from components.foreseen import CHALLENGES
from components.plotting import DARK, LIGHT
from neuroal.learning.scenes import SCENES, Classroom

GIVEN = {"sparsity": 0.7, "lam": 0.08, "row_lam": 0.05}


@pytest.fixture(scope="module")
def scenes() -> dict[str, Any]:
    classroom = Classroom()
    return {name: classroom.answer(name, GIVEN) for name in SCENES}


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    shared = (live.ASSETS / "plotting.js", live.ASSETS / "cards.js")
    for path in (*shared, *(learn.ASSETS / name for name in learn.SCRIPTS)):
        opened.add_script_tag(content=path.read_text(encoding="utf-8"))
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    return json.loads(page.evaluate(f"args => JSON.stringify(({script})(...args))", list(arguments)) or "null")


def test_every_page_has_what_it_names(page: Page) -> None:
    lessons = in_browser(page, "() => NeuroAL.LESSONS")
    figures = in_browser(page, "() => Object.keys(NeuroAL.learnFigures)")
    said = in_browser(page, "() => Object.keys(NeuroAL.learnTexts)")
    formulas = in_browser(page, "() => Object.keys(NeuroAL.FORMULAS)")
    assert len(lessons) >= 10
    assert len({lesson["id"] for lesson in lessons}) == len(lessons)
    for lesson in lessons:
        assert set(lesson["scenes"]) <= set(SCENES), lesson["id"]
        assert set(lesson["figures"]) <= set(figures) & set(said), lesson["id"]
        assert lesson["formula"] in formulas
        assert lesson["question"].endswith("?")


def test_what_a_link_to_a_challenge_has_begun_is_what_its_page_asks(page: Page) -> None:
    script = """() => Object.fromEntries(NeuroAL.LESSONS.filter(({ challenge }) => challenge).map((lesson) =>
      [lesson.id, NeuroAL.questionOf("challenge", lesson, NeuroAL.learnSettings.DEFAULTS).settings]))"""
    assert in_browser(page, script) == CHALLENGES


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_figure_is_drawn_and_said(page: Page, scenes: dict[str, Any], palette: dict[str, Any]) -> None:
    script = """(scenes, palette, view) => Object.fromEntries(NeuroAL.LESSONS.flatMap((lesson) =>
      lesson.figures.map((name) => {
        const find = lesson.scenes.find((scene) => {
          try { return NeuroAL.learnFigures[name](scenes[scene], palette, view); } catch { return false; }
        });
        return [name, { figure: NeuroAL.learnFigures[name](scenes[find], palette, view),
          said: NeuroAL.learnTexts[name](scenes[find], view) }];
      })))"""
    challenge = {"attempts": [scenes["attempt"]], "ratios": [0.7] * 8, "goal": "share", "revealed": True}
    drawn = in_browser(page, script, scenes, palette, {"sorted": True, "challenge": challenge})
    for name, one in drawn.items():
        assert one["figure"]["data"], name
        assert "NaN" not in json.dumps(one) and "undefined" not in one["said"], name
        assert one["said"].endswith("."), name


def test_figures_show_the_scenes_own_numbers(page: Page, scenes: dict[str, Any]) -> None:
    def figure(name: str, scene: str, **view: Any) -> dict[str, Any]:
        script = "(name, scene, palette, view) => NeuroAL.learnFigures[name](scene, palette, view)"
        return in_browser(page, script, name, scenes[scene], LIGHT, view)["data"]

    assert figure("landscape", "race")[0]["y"] == scenes["race"]["scores"]
    halfway = [sum(terms[:4]) for terms in scenes["race"]["terms"]]
    assert figure("race", "race", step=4)[0]["x"] == pytest.approx(halfway)
    assert figure("slope", "score")[0]["y"] == scenes["score"]["ratios"]
    kept = figure("row", "row")
    assert [len(trace["x"]) for trace in kept] == [scenes["row"]["count"], 128 - scenes["row"]["count"]]
    assert figure("received", "received", sorted=False)[1]["y"] == scenes["received"]["pruned"]
    shown = figure("received", "received", sorted=True)[0]["y"]
    assert shown == sorted(shown, reverse=True)
    assert len(figure("choice", "choice")[0]["z"]) == scenes["choice"]["rows"]


def test_answers_are_made_of_the_scene(page: Page, scenes: dict[str, Any]) -> None:
    script = "(scenes) => Object.fromEntries(NeuroAL.LESSONS.map((l) => [l.id, l.answer(scenes, { attempts: [] })]))"
    said = in_browser(page, script, scenes)
    assert f"Input {scenes['matrix']['loudest']} is" in said["linear"]
    assert said["rows"].startswith(f"{scenes['row']['count']} of 128 weights go")
    assert said["slope"].startswith("Yes: the score is")
    assert said["race"].startswith(f"Lambda {scenes['race']['chosen']:.2f} wins")
    assert f"{scenes['result']['perplexity']['uniform']:.1f}" in said["result"]
    flat = {**scenes, "score": {**scenes["score"], "score": scenes["score"]["uniform"]["score"]}}
    assert in_browser(page, script, flat)["slope"].startswith("This is uniform")
    again = {**scenes, "received": {**scenes["received"], "again": True}}
    assert in_browser(page, script, again)["alignment"].startswith("None: the next block")


LINKS = {
    "": {},
    "sparsity:0.8,block:4": {"sparsity": 0.8, "block": 4},
    "sparsity:7,lam:-1": {"sparsity": 0.9, "lam": 0},
    "sparsity:abc,nonsense:1,:,block": {},
    "linear:mlp.up_proj,sorted:false": {"linear": "mlp.up_proj", "sorted": False},
    "block:2.6": {"block": 3},
}


@pytest.mark.parametrize("text, differs", LINKS.items(), ids=LINKS.keys())
def test_a_link_carries_what_differs(page: Page, text: str, differs: dict[str, Any]) -> None:
    defaults = in_browser(page, "() => NeuroAL.learnSettings.DEFAULTS")
    read = in_browser(page, "(text) => NeuroAL.learnSettings.unlinked(text)", text)
    assert read == {**defaults, **differs}
    script = "(settings) => NeuroAL.learnSettings.unlinked(NeuroAL.learnSettings.linked(settings))"
    assert in_browser(page, script, read) == read


def test_a_link_to_what_this_model_has_not(page: Page, scenes: dict[str, Any]) -> None:
    script = "(text, model) => NeuroAL.learnSettings.possible(NeuroAL.learnSettings.unlinked(text), model)"
    found = in_browser(page, script, "block:99,linear:lm_head,row:1000,pruner:alps", scenes["model"])
    assert {name: found[name] for name in ("block", "linear", "row", "pruner")} == {
        "block": 7, "linear": "self_attn.o_proj", "row": 127, "pruner": "wanda",
    }  # fmt: skip


NUMBERS = {0.1234: "12 %", 0.0456: "4.6 %", 0.00123: "0.12 %", 1: "100 %"}


@pytest.mark.parametrize("share, text", NUMBERS.items())
def test_shares_are_read_as_per_cent(page: Page, share: float, text: str) -> None:
    assert in_browser(page, "(x) => NeuroAL.words.percent(x)", share) == text
