"""The player over a log: where it steps to, that back is the fold up to there, what each step says, the time line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from components.live import ASSETS
from components.stream import finite
from neuroal.runs import events as ev
from neuroal.runs.examples import load_examples
from tests.components.logs import (
    TABLE,
    Record,
    everything_measured,
    numbered,
    realistic,
    row_only,
    started,
    uniform_only,
)

SCRIPTS = ("fold.js", "status.js", "narrate.js", "stops.js", "player.js")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page with the scripts that need none, and a player of which ``seen`` tells what it passed."""
    opened = browser.new_page()
    for name in SCRIPTS:
        opened.add_script_tag(content=(ASSETS / name).read_text(encoding="utf-8"))
    opened.evaluate("""() => {
        window.playerOf = (records, ended = true) => {
            window.seen = [];
            const player = new NeuroAL.Player({
                moved: (passed) => seen.push(...passed.map((r) => r.n)), changed: () => {},
            });
            player.following = !ended;
            player.append(records);
            if (ended) player.close();
            return player;
        };
    }""")
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    return json.loads(page.evaluate(f"args => JSON.stringify(({script})(...args))", finite(list(arguments))))


# --- where steps end ------------------------------------------------------------------------------------------------


def steps(page: Page, records: list[Record], unit: str, direction: int) -> list[int]:
    """Where the cursor stands after each step, from one end to the other."""
    script = """(records, unit, direction) => {
        const player = playerOf(records), found = [];
        if (direction < 0) player.go(records.length);
        for (let i = 0; i <= records.length; i += 1) {
            player.step(direction, unit);
            if (player.at === found.at(-1)) break;
            found.push(player.at);
        }
        return found;
    }"""
    return in_browser(page, script, records, unit, direction)


def test_a_step_by_candidate_ends_where_a_candidate_or_a_stage_does(page: Page) -> None:
    log = realistic(blocks=3)
    ends = [log[at - 1]["kind"] for at in steps(page, log, "candidate", 1)]
    search = ["CandidateFinished"] * 14 + ["LambdaChosen"] + ["CandidateFinished"] * 15 + ["LambdaChosen"]
    rest = ["AllocationReady", "PruningFinished", "Measured", "Measured", "PruningFinished", "Measured", "RunFinished"]
    assert ends == ["ModelReady", "CalibrationReady", *search, *rest]


def test_a_step_by_block_leaves_nothing_out_that_has_something_to_say(page: Page) -> None:
    log = realistic(blocks=3)
    silent = {"Queued", "RunPlanned"}
    assert steps(page, log, "block", 1) == [i for i, r in enumerate(log, 1) if r["kind"] not in silent]


@pytest.mark.parametrize("unit", ["block", "candidate"])
def test_back_goes_the_same_way_to_the_start(page: Page, unit: str) -> None:
    log = realistic(blocks=3)
    assert steps(page, log, unit, -1) == [*reversed(steps(page, log, unit, 1)[:-1]), 0]


# --- the cursor -----------------------------------------------------------------------------------------------------


def test_wherever_the_cursor_goes_the_state_is_the_fold_up_to_there(page: Page) -> None:
    script = """(records, places) => places.map((to) => {
        const player = window.walker ??= playerOf(records);
        const from = player.at;
        window.seen.length = 0;
        player.go(to);
        const passed = records.slice(Math.min(from, to), Math.max(from, to)).map((r) => r.n);
        return [JSON.stringify(player.state) === JSON.stringify(NeuroAL.foldAll(records.slice(0, to))),
                JSON.stringify(passed) === JSON.stringify(seen), player.at];
    })"""
    places = [40, 41, 40, 300, 12, 0, 5, 700, 699, 650]
    assert in_browser(page, script, realistic(blocks=24), places) == [[True, True, place] for place in places]


def test_a_log_that_grows_moves_the_cursor_only_of_who_follows(page: Page) -> None:
    script = """(records) => {
        const player = playerOf(records.slice(0, 20), false), places = [player.at];
        player.append(records.slice(20, 30));
        places.push(player.at);
        player.step(-1, "block");
        player.append(records.slice(30, 60));
        places.push(player.at, player.last, player.final.last);
        player.play();
        player.tick(performance.now() + 1e9);
        places.push(player.playing, player.following);
        player.follow();
        player.append(records.slice(60));
        return [...places, player.at, player.playing, player.following];
    }"""
    log = realistic(blocks=3)
    assert in_browser(page, script, log) == [20, 30, 29, 60, 60, True, False, len(log), False, True]


def test_playing_ends_at_the_end_or_follows_on(page: Page) -> None:
    script = """(records, ended) => {
        const player = playerOf(records, ended);
        player.go(0);
        player.speed = 8;
        player.play();
        player.before = 0;
        for (let now = 100; now <= 2400; now += 100) player.tick(now);
        const almost = [player.atEnd, player.playing];
        for (let now = 2500; now <= 2600; now += 100) player.tick(now);
        return [...almost, player.atEnd, player.playing, player.following];
    }"""
    log = realistic(blocks=3)
    assert in_browser(page, script, log, True) == [False, True, True, False, False]  # 20 s, eight times as fast
    assert in_browser(page, script, log, False) == [False, True, True, False, True]


def test_in_step_mode_each_step_has_its_time(page: Page) -> None:
    log = [{"kind": kind, "t": 0} for kind in ("Queued", "RunStarted", "RunPlanned", "StageStarted", "BlockScored")]
    assert in_browser(page, "NeuroAL.stepSchedule", log) == [0, 1500, 1500, 3000, 4500]


def test_the_time_line_names_stretches_and_knows_where_candidates_begin(page: Page) -> None:
    log = realistic(blocks=3)
    found = in_browser(page, "NeuroAL.timeMarks", log)
    names = ["Load", "Read", "Search blocks", "Search rows", "Prune", "Measure", "Prune", "Measure"]
    assert [stretch["name"] for stretch in found["stretches"]] == names
    begins = {name: log[stretch["from"]] for name, stretch in zip(names, found["stretches"], strict=True)}
    assert begins["Search rows"]["kind"] == "SearchStarted" and begins["Search rows"]["step"] == "row"
    assert found["candidates"] == [i for i, r in enumerate(log) if r["kind"] == "CandidateStarted"]


# --- what a step says -----------------------------------------------------------------------------------------------


def said(page: Page, records: list[Record]) -> list[str]:
    script = """(records) => {
        const player = playerOf(records), found = [];
        for (const record of records) {
            player.hand(player.at + 1);
            if (NeuroAL.isStop(record)) found.push(NeuroAL.narrate(player.state, player.current));
        }
        return found;
    }"""
    return in_browser(page, script, records)


def candidate(index: int, lam: float, *scores: float, step: str = "block") -> list[ev.Event]:
    blocks = [ev.BlockScored(step, index, lam, block, score) for block, score in enumerate(scores)]
    return [
        ev.CandidateStarted(step, index, lam, (0.6 - lam, 0.6 + lam)),
        *blocks,
        ev.CandidateFinished(step, index, lam, sum(scores), 1.0),
    ]


SEARCH = [
    (ev.SearchStarted("block", (0.01, 0.09), 2, 0.6), "All 2 lambdas of the grid are tried."),
    *zip(
        candidate(0, 0.01, 0.02, 0.03),
        [
            "Lambda 0.01, candidate 1 of 2: the first block loses 59.0 % of its weights, the last 61.0 %.",
            "Block 0 under lambda 0.01: its activations drift by 0.02. This candidate stands at 0.02 after 1 of 2"
            " blocks.",
            "Block 1 under lambda 0.01: its activations drift by 0.03, the largest so far. This candidate stands at"
            " 0.05 after 2 of 2 blocks.",
            "Lambda 0.01 is scored: 0.05 over all blocks. This is what the others have to beat.",
        ],
        strict=True,
    ),
    *zip(
        candidate(1, 0.09, 0.018, 0.00003),
        [
            "Lambda 0.09, candidate 2 of 2: the first block loses 51.0 % of its weights, the last 69.0 %.",
            "Block 0 under lambda 0.09: its activations drift by 0.018, 10.0 % less than under lambda 0.01, the best so"
            " far. This candidate stands at 0.018 after 1 of 2 blocks; the best one stood at 0.02 there.",
            "Block 1 under lambda 0.09: its activations drift by 3.00×10⁻⁵, the smallest so far and 99.9 % less than"
            " under lambda 0.01, the best so far. This candidate stands at 0.018 after 2 of 2 blocks; the best one"
            " stood at 0.05 there.",
            "Lambda 0.09 is scored: 0.018 over all blocks, the lowest so far: 63.9 % below lambda 0.01.",
        ],
        strict=True,
    ),
    (
        ev.LambdaChosen("block", 1, 0.09, 0.01803, (0.08,)),
        "The slope over the blocks is chosen: lambda 0.09, whose score of 0.018 is the lowest. 0.08 comes within 1 % of"
        " it, as good as equal.",
    ),
    (ev.AllocationReady("uniform", (0.6, 0.6)), "It is decided: every block loses 60.0 % of its weights."),
    (
        ev.AllocationReady("neuroal", (0.51, 0.69)),
        "It is decided: block 0 loses least (51.0 %), block 1 most (69.0 %).",
    ),
    (
        ev.BlockPruned("chosen", 1, 0.69, 0.6912, {}),
        "Block 1 is pruned as NeuroAL chose: 69.1 % of its weights are zero now, 69.0 % were asked.",
    ),
    (
        ev.PruningFinished("uniform", 0.59991, 2.0),
        "All blocks are pruned uniformly, for the control: 59.99 % zeros in all.",
    ),
    (ev.Evaluated("dense", 4, 16), "Measuring Dense, perplexity: 4 of 16 done."),
    (
        ev.Measured("dense", "perplexity", "prose", 20.0, 0.4, 100, 512, 1.0),
        "The dense model has a perplexity of 20.00 on held-out text: what pruning is measured against.",
    ),
    (
        ev.Measured("chosen", "perplexity", "prose", 30.0, 0.4, 100, 512, 1.0),
        "NeuroAL has a perplexity of 30.00, 1.50 times the dense model's.",
    ),
    (
        ev.Measured("uniform", "perplexity", "prose", 40.0, 0.4, 100, 512, 1.0),
        "Uniform, the control, has a perplexity of 40.00, 2.00 times the dense model's. NeuroAL has 30.00: Uniform is"
        " 33.3 % above it.",
    ),
    (
        ev.Measured("chosen", "perplexity", "prose", float("inf"), 0.4, 100, 512, 1.0),
        "The perplexity of NeuroAL is beyond all numbers: the model is broken.",
    ),
    (ev.Measured("chosen", "zeroshot/rte", "rte", 0.5, 0.1, 100, 0, 1.0), "Measured of NeuroAL: rte, 0.5."),
    (ev.RunFailed("No memory is left."), "No memory is left."),
]  # fmt: skip


def test_each_step_says_what_happened_and_what_it_is_beside(page: Page) -> None:
    """A figure beyond all numbers reaches the browser as null."""
    log = numbered([started(mode="exact"), *(event for event, _ in SEARCH)])
    question, *found = said(page, log)
    assert question.startswith("The question: which 60 % of the weights in the blocks of SmolLM2-135M-Instruct can go?")
    assert found[0].endswith(SEARCH[0][1])
    assert found[1:] == [sentence for _, sentence in SEARCH[1:]]


def test_the_rows_and_what_needs_no_search(page: Page) -> None:
    rows = said(page, row_only())
    assert rows[2].startswith("First the control: every block is pruned to the same sparsity")
    assert rows[3].startswith("Block 0 at uniform sparsity: its activations drift by 1.00×10⁻⁵.")
    assert any(sentence.startswith("Lambda 0.00, candidate 1: all rows of a linear") for sentence in rows)
    assert said(page, uniform_only())[0].endswith("Every block is to lose the same.")
    assert any("The lower, the closer to the dense" in sentence for sentence in said(page, everything_measured()))


@pytest.mark.parametrize("name", [*TABLE, *load_examples()])
def test_no_step_of_any_log_is_without_a_sentence(page: Page, name: str) -> None:
    examples = load_examples()
    records = examples[name].records if name in examples else TABLE[name]
    for sentence in said(page, records):
        assert sentence.strip() and not any(word in sentence for word in ("undefined", "NaN", "null", "Infinity"))


def test_a_long_log_can_be_stepped_back_through(page: Page) -> None:
    script = """(records) => {
        const many = Array.from({ length: 10000 }, (_, i) => ({ ...records[i % records.length], n: i + 1 }));
        const player = playerOf(many);
        player.go(10000);
        player.step(-1, "block");
        return [player.at, player.state.last];
    }"""
    at, last = in_browser(page, script, realistic(blocks=6))
    assert 0 < at == last < 10000
