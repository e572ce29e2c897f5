"""What the guided path asks the server, and what it keeps of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components import learn

ASKED = {"scene": "race", "settings": {"sparsity": 0.7, "pruner": "wanda"}}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """With a server that answers each question by its number, and refuses those whose number is in ``refused``."""
    opened = browser.new_page()
    opened.add_script_tag(
        content="""
        window.posts = []; window.refused = [];
        window.NeuroAL = { post: async (path, question, { signal } = {}) => {
          window.posts.push(question);
          if (window.refused.includes(window.posts.length)) throw new Error("not now");
          return question.scene === "model"
            ? { n: window.posts.length, groups: [["q"], ["o"]], shapes: { o: [4, 4] }, blocks: 2 }
            : { n: window.posts.length };
        } };"""
    )
    for name in learn.SCRIPTS[: learn.SCRIPTS.index("answers.js") + 1]:
        opened.add_script_tag(content=(learn.ASSETS / name).read_text(encoding="utf-8"))
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    return json.loads(page.evaluate(f"async args => JSON.stringify(await ({script})(...args))", list(arguments)))


def test_an_answer_is_kept_and_speed_is_measured_anew(page: Page) -> None:
    script = """async (race) => {
      const { answers } = NeuroAL, speed = { scene: "speed", settings: {} };
      const first = [await answers.get(race), await answers.get({ ...race }), await answers.get(race, undefined, true)];
      const second = [await answers.get(speed), await answers.get(speed), await answers.get(speed, undefined, true)];
      return [...first, ...second].map(({ n }) => n);
    }"""
    assert in_browser(page, script, ASKED) == [1, 1, 1, 2, 2, 3]


def test_what_is_on_its_way_is_waited_for(page: Page) -> None:
    script = """async (race) => {
      NeuroAL.answers.ahead(race); NeuroAL.answers.ahead(race);
      return [(await NeuroAL.answers.get(race)).n, window.posts];
    }"""
    assert in_browser(page, script, ASKED) == [1, [{**ASKED, "ahead": True}]]


def test_what_was_refused_ahead_is_asked_for_again(page: Page) -> None:
    script = """async (race) => {
      window.refused = [1, 2, 4];
      const early = NeuroAL.answers.ahead(race), found = [(await early) === null];
      const again = NeuroAL.answers.ahead(race);
      found.push((await NeuroAL.answers.get(race)).n, (await again) === null, (await NeuroAL.answers.get(race)).n);
      await NeuroAL.answers.get({ ...race, scene: "score" }).catch((error) => found.push(error.message));
      found.push((await NeuroAL.answers.get({ ...race, scene: "score" })).n);
      return found;
    }"""
    assert in_browser(page, script, ASKED) == [True, 3, True, 3, "not now", 5]


def test_a_link_has_all_asked_for_that_its_page_wants(page: Page) -> None:
    """The settings are those of the link where the page has none of its own; what is measured anew is left."""
    script = """async () => {
      for (const [page, count] of [["challenge-lambda", 3], ["limits", 4]]) {
        const RealURL = window.URL;
        window.URL = class extends RealURL { constructor() { super(`http://here/?learn=${page}&set=sparsity:0.8`); } };
        await NeuroAL.answers.linked();
        while (window.posts.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
        window.URL = RealURL;
      }
      return window.posts.map(({ scene, settings, ahead }) => [scene, settings.sparsity ?? null, ahead]);
    }"""
    asked = in_browser(page, script)
    assert asked == [
        ["model", None, True], ["ends", 0.65, True], ["challenge", 0.65, True], ["cost", 0.8, True],
    ]  # fmt: skip
