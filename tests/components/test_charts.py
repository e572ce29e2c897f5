"""Folding and figures on small logs whose states are worked out by hand, and on one as long as a real run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.charts import DARK, LIGHT, NAMES, empty_state, figures, fold, fold_all, progress, sentence
from components.plotting import median, quantile
from neuroal.folding.status import duration_text, fixed, lambda_text, variant_name
from neuroal.runs import events as ev
from tests.components.logs import TABLE, measured, model_ready, numbered, rated, realistic, started

GRID = (0.1, 0.2)
BLOCK_PRUNED = ev.BlockPruned("chosen", 0, 0.5, 0.49, {})


Terms = tuple[tuple[float, float], tuple[float, float]]


def search(step: str = "block", scores: Terms = ((1.0, 4.0), (2.0, 2.0))) -> list[Any]:
    """A whole step: two lambdas, two blocks."""
    events: list[Any] = [ev.SearchStarted(step, GRID, 2, 0.6)]
    for index, (lam, terms) in enumerate(zip(GRID, scores, strict=True)):
        events.append(ev.CandidateStarted(step, index, lam, (0.6 - lam, 0.6 + lam)))
        events += [ev.BlockScored(step, index, lam, block, term) for block, term in enumerate(terms)]
        events.append(ev.CandidateFinished(step, index, lam, sum(terms), 1.0))
    return events


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    return next(t for t in figure["data"] if t.get("name") == name)


def test_an_empty_log_waits_and_draws_nothing() -> None:
    state = fold_all([])
    assert state == empty_state()
    assert sentence(state) == "Waiting to start."
    assert progress(state) == (0.0, None)
    assert figures(state, palette=LIGHT) == {}


def test_every_state_is_json_and_folds_in_place() -> None:
    state = empty_state()
    for record in realistic(blocks=6):
        assert fold(state, record) is state
    assert json.loads(json.dumps(state)) == state


@pytest.mark.parametrize("name", TABLE)
def test_a_log_read_twice_or_in_overlapping_pieces_folds_to_the_same(name: str) -> None:
    records = TABLE[name]
    whole = fold_all(records)
    middle = len(records) // 2
    assert fold_all([*records, *records]) == whole
    assert fold_all([*records[: middle + 1], *records[max(middle - 3, 0) :]]) == whole


def test_scores_fill_the_matrix_cell_by_cell() -> None:
    state = fold_all(numbered(search()[:4]))
    step = state["steps"]["block"]
    assert step["scores"] == [[1.0, 4.0], [None, None]]
    assert step["totals"] == [None, None]
    assert step["sparsity"] == [[0.5, 0.7], None]
    assert (step["current"], step["block"]) == (0, 1)


def test_a_candidate_scored_again_changes_nothing_but_the_cursor() -> None:
    again = [ev.CandidateStarted("block", 1, 0.2, (0.4, 0.8)), ev.BlockScored("block", 1, 0.2, 0, 2.0)]
    once, twice = fold_all(numbered(search())), fold_all(numbered([*search(), *again]))
    assert twice["steps"]["block"]["scores"] == once["steps"]["block"]["scores"]
    assert twice["steps"]["block"]["totals"] == once["steps"]["block"]["totals"]


def test_a_resumed_run_keeps_what_was_scored_and_measures_its_pace_anew() -> None:
    plan = ev.RunPlanned({"block": {"units": 4, "weight": 1.0}})
    before = [started(), plan, *search()[:7], ev.RunInterrupted()]
    state = fold_all(numbered(before))
    assert (state["status"], sentence(state)) == (
        "interrupted",
        "The server stopped while this run was going. It can be resumed.",
    )
    resumed = [*before, ev.RunResumed(), search()[0], *search()[5:]]
    state = fold_all(numbered(resumed))
    assert state["status"] == "running"
    assert state["steps"]["block"]["scores"] == [[1.0, 4.0], [2.0, 2.0]]
    assert state["pace"] == {"t": 13.0, "work": 3.0}  # from the first counted event after it
    assert progress(state)[0] == 1.0


def test_another_grid_starts_the_step_over() -> None:
    other = ev.SearchStarted("block", (0.3,), 2, 0.6)
    assert fold_all(numbered([*search(), other]))["steps"]["block"]["scores"] == [[None, None]]


def test_progress_counts_weighted_events_and_tells_the_time_left() -> None:
    plan = {"block": {"units": 4, "weight": 2.0}, "evaluate:dense": {"units": 2, "weight": 4.0}}
    head = [(0.0, started()), (1.0, ev.RunPlanned(plan))]
    scored = [(10.0 + 2 * b, ev.BlockScored("block", 0, 0.1, b, 1.0)) for b in range(3)]
    state = fold_all(numbered([*head, *scored]))
    # 3 of 4 units of weight 2 are done, of 16 in all; the pace runs since t = 10, and took 4 s for 6 units of work.
    assert progress(state) == (6 / 16, 10 * 4 / 6)
    state = fold_all(numbered([*head, *scored, (20.0, ev.Evaluated("dense", 8, 16))]))
    assert progress(state)[0] == (6 + 4) / 16
    state = fold_all(numbered([*head, *scored, (20.0, measured("dense", 12.5))]))
    assert progress(state)[0] == (6 + 8) / 16  # remembered from another run: it comes without batches


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([ev.Queued(1)], "Waiting for a free worker: next in line."),
        ([ev.Queued(3)], "Waiting: number 3 in line."),
        ([started(), ev.StageStarted("model", "Loading the model")], "Loading the model."),
        ([started(), ev.RunFailed("The disk is full.")], "The disk is full."),
        ([started(), ev.RunCancelled()], "Cancelled. What was found until then is shown."),
        ([started(), ev.RunFinished(161.2, 0)], "Finished in 2 min 41 s."),
        (
            [started(mode="exact"), ev.StageStarted("search", "Searching."), *search()[:3]],
            "Block step: trying lambda 0.10 (1 of 2), 1 of 2 blocks.",
        ),
        (
            [started(), ev.StageStarted("search", "Searching."), *search()[:3]],
            "Block step: trying lambda 0.10 (candidate 1), 1 of 2 blocks.",
        ),
        (
            [started(), model_ready(4), ev.StageStarted("prune:chosen", "Pruning"), BLOCK_PRUNED],
            "Pruning: 1 of 4 blocks.",
        ),
        (
            [started(), ev.StageStarted("evaluate:dense", "Reading."), ev.Evaluated("dense", 4, 16)],
            "Reading: 4 of 16.",
        ),
        (
            [started(), measured("dense", 19.725), measured("chosen", 80.0), ev.RunFinished(5, 0)],
            "Finished in 5 s. Perplexity: 19.73 dense, 80.00 NeuroAL.",
        ),
    ],
)  # fmt: skip
def test_one_sentence_says_what_happens(events: list[Any], expected: str) -> None:
    assert sentence(fold_all(numbered(events))) == expected


def test_the_heatmap_is_raw_until_two_candidates_can_be_compared() -> None:
    raw = figures(fold_all(numbered(search()[:7])), palette=LIGHT)["heatmap"]["data"][0]
    assert raw["z"] == [[1.0, 4.0], [2.0, None]]
    assert raw["colorscale"][0][1] == LIGHT["sequential"][0]
    relative = figures(fold_all(numbered(search())), palette=DARK)["heatmap"]["data"][0]
    # Medians over both candidates are 1.5 and 3.
    assert relative["z"][0] == pytest.approx([-100 / 3, 100 / 3])
    assert relative["z"][1] == pytest.approx([100 / 3, -100 / 3])
    assert (relative["zmin"], relative["zmax"]) == pytest.approx((-100 / 3, 100 / 3))
    assert relative["customdata"][1] == [[2.0, pytest.approx(0.4)], [2.0, 0.8]]
    assert relative["y"] == ["0.10", "0.20"]


def test_a_block_that_never_drifts_has_no_colour() -> None:
    state = fold_all(numbered(search(scores=((0.0, 1.0), (0.0, 1.0)))))
    assert figures(state, palette=LIGHT)["heatmap"]["data"][0]["z"] == [[None, 0.0], [None, 0.0]]


def test_the_heatmap_shows_the_step_that_is_asked_for() -> None:
    state = fold_all(numbered([*search("block"), *search("row", scores=((3.0, 3.0), (5.0, 5.0)))]))
    assert figures(state, palette=LIGHT)["heatmap"]["data"][0]["customdata"][0][0][0] == 3.0
    assert figures(state, palette=LIGHT, step="block")["heatmap"]["data"][0]["customdata"][0][0][0] == 1.0


def test_the_winner_is_starred_and_near_ties_are_ringed() -> None:
    chosen = ev.LambdaChosen("block", 1, 0.2, 4.0, (0.1,))
    drawn = figures(fold_all(numbered([*search(), chosen])), palette=LIGHT)
    assert (trace(drawn["scores"], "chosen")["x"], trace(drawn["scores"], "chosen")["y"]) == ([0.2], [4.0])
    assert trace(drawn["scores"], "within 1 %")["x"] == [0.1]
    assert drawn["heatmap"]["layout"]["annotations"][0]["text"] == "★"
    assert drawn["heatmap"]["layout"]["shapes"][0]["y0"] == 0.5


def test_the_row_step_alone_is_compared_with_uniform() -> None:
    alignment = [
        ev.CandidateStarted("alignment", 0, 0.0, (0.6, 0.6)),
        ev.BlockScored("alignment", 0, 0.0, 0, 3.0),
        ev.BlockScored("alignment", 0, 0.0, 1, 3.0),
        ev.CandidateFinished("alignment", 0, 0.0, 6.0, 1.0),
    ]
    state = fold_all(numbered([started(step="row"), *alignment, *search("row")]))
    drawn = figures(state, palette=LIGHT)
    assert trace(drawn["scores"], "uniform")["y"] == [6.0, 6.0]
    assert trace(drawn["scores"], "row step")["y"] == [5.0, 4.0]
    assert len(figures(fold_all(numbered(alignment)), palette=LIGHT)["heatmap"]["data"][0]["z"]) == 1


def test_sparsity_shows_the_candidate_then_the_choice_then_what_was_achieved() -> None:
    trying = figures(fold_all(numbered([started(), *search()])), palette=LIGHT)["sparsity"]
    assert trace(trying, "trying lambda 0.20")["y"] == pytest.approx([0.4, 0.8])
    assert trace(trying, "target")["y"] == [0.6, 0.6]
    done = [ev.AllocationReady("neuroal", (0.5, 0.7)), BLOCK_PRUNED]
    drawn = figures(fold_all(numbered([started(), *search(), *done])), palette=LIGHT)["sparsity"]
    assert trace(drawn, "chosen")["y"] == [0.5, 0.7]
    assert trace(drawn, "achieved")["y"] == [0.49]


def test_a_uniform_run_has_no_search_to_show() -> None:
    events = [
        started(top_up="uniform"),
        ev.AllocationReady("uniform", (0.6, 0.6)),
        measured("dense", 10),
        measured("chosen", 20),
    ]
    drawn = figures(fold_all(numbered(events)), palette=LIGHT)
    assert list(drawn) == ["sparsity", "damage"]
    assert drawn["damage"]["data"][0]["x"] == ["Dense", "Uniform"]


def test_rows_are_shares_of_their_block_in_the_bins_that_are_used() -> None:
    counts = [[0] * 50, [0] * 50]
    counts[0][10], counts[0][12], counts[1][12] = 1, 3, 8
    rows = ev.RowsAllocated(tuple(i / 50 for i in range(51)), tuple(map(tuple, counts)), {})
    drawn = figures(fold_all(numbered([rows])), palette=LIGHT)["rows"]["data"][0]
    assert drawn["z"] == [[0.25, None], [None, None], [0.75, 1.0]]
    assert drawn["y"] == pytest.approx([0.21, 0.23, 0.25])


def test_damage_orders_the_models_and_takes_a_log_axis_when_they_are_far_apart() -> None:
    near = figures(fold_all(numbered([measured("chosen", 30), measured("dense", 20)])), palette=LIGHT)["damage"]
    assert near["data"][0]["y"] == [20, 30]
    assert near["layout"]["yaxis"]["type"] == "linear"
    far = figures(fold_all(numbered([measured("dense", 20), measured("chosen", 3e4)])), palette=LIGHT)["damage"]
    assert far["layout"]["yaxis"]["type"] == "log"


def test_a_collapsed_model_has_no_bar_and_breaks_nothing() -> None:
    state = fold_all(
        numbered([started(), measured("dense", 20), measured("chosen", float("inf")), ev.RunFinished(1, 0)])
    )
    json.dumps(state, allow_nan=False)
    assert figures(state, palette=LIGHT)["damage"]["data"][0]["x"] == ["Dense"]
    assert sentence(state) == "Finished in 1 s. Perplexity: 20.00 dense."


def test_unknown_kinds_only_move_the_clock_and_notices_come_once() -> None:
    records = numbered([ev.Notice("One."), ev.Notice("One."), ev.Notice("Two.")])
    state = fold_all([*records, {"n": 4, "t": 9.5, "kind": "FromTheFuture"}])
    assert state["notices"] == ["One.", "Two."]
    assert (state["last"], state["t"]) == (4, 9.5)


def test_whole_runs_draw_every_figure_in_the_order_of_the_page() -> None:
    state = fold_all(realistic())
    others = [figures(fold_all(log), palette=LIGHT) for log in (rated(), TABLE["calibrations"])]
    assert set(figures(state, palette=LIGHT)).union(*others) == set(NAMES)
    assert [name for name in NAMES if name not in ("ratings", "spread")] == list(figures(state, palette=LIGHT))
    assert progress(state) == (1.0, None)
    json.dumps(figures(state, palette=DARK), allow_nan=False)


def test_numbers_as_text() -> None:
    assert [lambda_text(x) for x in (0.0, 0.1, 0.05, 0.025, 0.0125, 1.0)] == [
        "0.00",
        "0.10",
        "0.05",
        "0.025",
        "0.0125",
        "1.00",
    ]
    assert [duration_text(x) for x in (0, 59.4, 60, 161, 3900)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "2 min 41 s",
        "1 h 05 min",
    ]
    assert (fixed(0.125, 2), fixed(2.5, 0), fixed(19.7251, 2)) == ("0.13", "3", "19.73")
    assert (median([3, 1]), median([5, 1, 2]), quantile([4, 1, 3, 2], 0.9)) == (2, 2, 3)
    assert variant_name(empty_state(), "chosen") == "Chosen"
