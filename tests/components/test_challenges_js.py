"""Attempts of a challenge in the browser: what counts, which is best, and who won on which measure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components import learn, live, ratio_editor
from components.plotting import LIGHT

LESSON = {"id": "by-hand", "challenge": {"by": "hand", "goal": "share"}, "fixed": {"sparsity": 0.65, "pruner": "wanda"}}


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    shared = [live.ASSETS / name for name in ("status.js", "plotting.js", "cards.js")]
    editor = [ratio_editor.ASSETS / name for name in ratio_editor.SCRIPTS]
    for path in (*shared, *editor, *(learn.ASSETS / name for name in learn.SCRIPTS)):
        opened.add_script_tag(content=path.read_text(encoding="utf-8"))
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    return json.loads(page.evaluate(f"args => JSON.stringify(({script})(...args))", list(arguments)) or "null")


def told(perplexity: float, score: float = 1e-3, **more: Any) -> dict[str, Any]:
    ratios = more.pop("ratios", [0.6, 0.7])
    given = {"ratios": ratios, "mean": 0.65, "achieved": 0.648, "counts": True, "lam": None, **more}
    return {"perplexity": perplexity, "score": score, **given}


def scene(uniform: float = 186.3, search: float = 159.8, share: float = 168.6) -> dict[str, Any]:
    gain = max(uniform - search, 0)
    return {
        "sparsity": 0.65, "pruner": "wanda", "dense": 135.0, "uniform": told(uniform, 1.2e-3), "gain": gain,
        "search": told(search, 1e-3, lam=0.06), "goals": {"share": share, "search": search},
    }  # fmt: skip


def test_the_goal_is_said_in_figures(page: Page) -> None:
    words = "(data, goal) => NeuroAL.challenges.goalWords(data, goal).replaceAll('\u00a0', ' ')"
    assert in_browser(page, words, scene(), "share") == (
        "Keep perplexity under 168.6 at 65 % sparsity. Uniform has 186.3, the dense model 135.0. The goal is two thirds"
        " of what the search's choice gains."
    )
    assert "under 159.8" in in_browser(page, words, scene(), "search")
    nothing = in_browser(page, words, scene(144.9, 145.9, 144.9), "share")
    assert "gains nothing at these settings: it has 145.9, uniform 144.9" in nothing
    assert nothing.endswith("So the goal is to beat uniform.")


@pytest.mark.parametrize(
    ("attempts", "best", "met"),
    [
        ([], -1, []),
        ([told(170.0), told(160.0), told(165.0)], 1, [False, True, True]),
        ([told(160.0), told(160.0)], 0, [True, True]),
        ([told(150.0, counts=False), told(165.0)], 1, [None, True]),
        ([told(150.0, counts=False)], -1, [None]),
        ([told(168.55), told(168.549)], 1, [False, True]),  # what is told decides: 168.6 is not under 168.6
    ],
)
def test_what_counts_and_which_is_best(
    page: Page, attempts: list[dict[str, Any]], best: int, met: list[bool | None]
) -> None:
    assert in_browser(page, "NeuroAL.challenges.bestOf", attempts) == best
    assert in_browser(page, "(all) => all.map((one) => NeuroAL.challenges.isMet(one, 168.6))", attempts) == met


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (None, "The search's lambda 0.06 has perplexity 159.8 and score 0.001, uniform 186.3 and 0.0012. You have no"),
        (told(157.3, 9.5e-4), "You win on both: perplexity (yours 157.3, the search's 159.8) and score (9.50e−4 and"),
        (told(157.3, 2e-3), "You win on perplexity (yours 157.3, the search's 159.8); the search wins on the score"),
        (told(170.0, 9e-4), "The search wins on perplexity (yours 170.0, the search's 159.8); you win on the score"),
        (told(170.0, 2e-3), "The search's lambda 0.06 wins on both: perplexity"),
        (told(159.81, 1.0001e-3), "Equal: your best attempt is as good as the search's lambda 0.06 on both measures."),
        (told(157.3), "You win on perplexity (yours 157.3, the search's 159.8); the score (0.001 and 0.001) is the"),
        (told(159.8, 2e-3), "Equal in perplexity (yours 159.8, the search's 159.8); the search wins on the score"),
    ],
)
def test_who_won_on_which_measure(page: Page, attempt: dict[str, Any] | None, says: str) -> None:
    verdict = in_browser(page, "(data, one) => NeuroAL.challenges.verdict(data, one ?? undefined)", scene(), attempt)
    assert verdict.startswith(says) and verdict.endswith(".")


def test_the_figures_show_the_attempts_and_hide_the_search_until_it_is_asked_for(page: Page) -> None:
    def figure(name: str, revealed: bool) -> dict[str, dict[str, Any]]:
        made = [told(170.0), told(160.0, ratios=[0.5, 0.8]), told(140.0, counts=False)]
        view = {"challenge": {"attempts": made, "ratios": [0.55, 0.75], "goal": "share", "revealed": revealed}}
        script = "(name, data, palette, view) => NeuroAL.learnFigures[name](data, palette, view).data"
        return {trace["name"]: trace for trace in in_browser(page, script, name, scene(), LIGHT, view)}

    attempts = figure("attempts", False)
    assert [attempts[name]["y"] for name in ("met", "not met", "does not count")] == [[160.0], [170.0], [140.0]]
    assert attempts["goal"]["y"] == [168.6, 168.6] and "the search's choice" not in attempts
    assert figure("attempts", True)["the search's choice"]["y"] == [159.8, 159.8]
    ratios = figure("allocations", True)
    assert ratios["set now"]["y"] == [0.55, 0.75] and ratios["your best"]["y"] == [0.5, 0.8]


def test_a_panel_measures_lists_and_leads_back(page: Page) -> None:
    """Uniform first, then a block moved by key; the same again is not measured; a refusal is one sentence."""
    script = """async (lesson, data, answers) => {
      const asked = [];
      const measure = async (settings) => {
        asked.push(settings.ratios);
        const found = answers.shift();
        if (typeof found === "string") throw new Error(found);
        return { ...found, ratios: settings.ratios };
      };
      let revealed = false;
      const draw = () => panel.draw(data, null, revealed);
      const panel = new NeuroAL.ChallengePanel(lesson, 4, { changed: draw, measure });
      document.body.append(panel.node);
      draw();
      const said = [];
      const go = async () => { await panel.measure(); said.push(panel.said.textContent); };
      await go(); await go();
      panel.editor.nudge(0, -0.1);
      await go();
      panel.editor.nudge(0, -0.1);
      await go();
      const rows = () => [...panel.node.querySelectorAll("tbody tr")].map((row) => row.querySelector("th").textContent);
      const before = rows();
      revealed = true;
      draw();
      panel.node.querySelector("tbody button").click();
      const buttons = [...panel.node.querySelectorAll(".na-editor button")].map((button) => button.textContent);
      return { asked, said, before, after: rows(), ratios: panel.ratios, buttons };
    }"""
    answers = [told(170.0), told(160.0), "These ratios prune too much."]
    whole = f"async (args) => JSON.stringify(await ({script})(...args))"
    found = json.loads(page.evaluate(whole, [LESSON, scene(), answers]))
    assert found["asked"][0] == [0.65] * 4 == found["ratios"]
    assert found["asked"][1] == pytest.approx([0.55, *[0.65 + 0.1 / 3] * 3], abs=1e-4)
    assert found["said"] == [
        "Perplexity 170.0: not yet under 168.6.", "You have measured this already: it is attempt 1.",
        "Perplexity 160.0: met, it is under 168.6.", "These ratios prune too much.",
    ]  # fmt: skip
    assert found["before"] == ["1", "2, best"] and found["after"] == ["1", "2, best", "search: 0.06"]
    assert "Rising line" in found["buttons"] and "Shown run" not in found["buttons"]
