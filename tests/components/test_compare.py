"""The Compare tab without a browser: what it says, what it sends to the display, and how it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from components import compare
from components.answers import FAULT, NO_RUN, NO_TEMPLATE, answers, cleared, ready, shown, stopped, titles
from components.compare import build_compare
from components.listing import Listing
from components.sides import CHOICES, DENSE, OPEN, choices
from components.verdict import verdict
from neuroal import generation
from neuroal.errors import UserError
from neuroal.generation import Pair, Side
from neuroal.models.loading import LanguageModel
from neuroal.runs.events import RunFinished
from neuroal.runs.jobs import Jobs
from neuroal.runs.pace import Pace
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.turns import Turns
from tests.components.kept import keep
from tests.components.logs import numbered, started


class Shop:
    """A workshop with one finished run."""

    def __init__(self, lm: Any) -> None:
        self.lm = lm
        self.answering, self.answered = Turns(1), Pace()

    def pair(self, run_id: str) -> tuple[Any, Any]:
        if run_id != "done":
            raise UserError("This run is running; the pruned model can be asked once it has finished.")
        return self.lm, self.lm.model


def side(before: str = "It is ", at: str = "", after: str = "", count: int = 3, **more: Any) -> Side:
    return Side(tuple(range(count)), before, at, after, **{"seconds": 2.0, "done": True, **more})


@pytest.mark.parametrize(
    ("dense", "pruned", "diverged", "sentence"),
    [
        (side(count=0, done=False), side(count=0, done=False), None, ""),
        (side(done=False), side(done=True), None, "Identical so far."),
        (side(), side(), None, "Identical to the end."),
        (side(), side(error="It failed."), None, "Identical so far."),
        (
            side(at=" Paris"),
            side(at="London"),
            13,
            "They part at token 14: the dense model says 'Paris', the pruned one 'London'.",
        ),
        (side(at="."), side(), 2, "They part at token 3: the dense model says '.', the pruned one ends its answer."),
        (
            side(),
            side(at="\n", after="x"),
            2,
            "They part at token 3: the dense model ends its answer, the pruned one begins a new line.",
        ),
        (
            side(at=" "),
            side(at="a"),
            1,
            "They part at token 2: the dense model writes a space, the pruned one says 'a'.",
        ),
        (
            side(done=False),
            side(at="a"),
            2,
            "They part at token 3: the dense model goes on differently, the pruned one says 'a'.",
        ),
    ],
)
def test_the_closing_sentence(dense: Side, pruned: Side, diverged: int | None, sentence: str) -> None:
    assert verdict(Pair(dense, pruned, diverged)) == sentence


def test_after_the_parting_the_agreement_is_told_once_both_have_ended() -> None:
    """Ten places from the parting on, of which every second one is the same again."""
    dense = Side(tuple(range(12)), "It", " is", "", seconds=2.0, done=True)
    other = tuple(i if i < 2 or i % 2 else 100 + i for i in range(12))
    pruned = Side(other, "It", " was", "", seconds=2.0, done=True)
    parting = "They part at token 3: the dense model says 'is', the pruned one 'was'."
    assert verdict(Pair(dense, pruned, 2)) == f"{parting} From there on 50% of their tokens agree, place by place."
    assert verdict(Pair(dense, replace(pruned, done=False), 2)) == parting
    assert verdict(Pair(dense, replace(pruned, ids=other[:11]), 2)) == parting, "too little to tell"


def test_a_value_is_plain_and_complete() -> None:
    value = shown("answering", "", Pair(side(at="a", count=1), side(at="b", count=300), 0))
    assert value["dense"]["stats"] == "1 token, 0.5 tokens/s"
    assert value["pruned"]["stats"] == "300 tokens, 150 tokens/s"
    assert value["dense"]["parted"] is True
    assert shown("idle")["dense"].keys() == value["dense"].keys()


def test_an_answer_streams_to_its_end(tiny: LanguageModel) -> None:
    first, *_, last = answers(Shop(tiny), "done", "Once upon a time", chat=True, max_tokens=16)
    assert first["phase"] == "preparing"
    assert last["phase"] == "finished"
    assert last["verdict"] == "Identical to the end."
    assert last["note"] == ("" if tiny.tokenizer.chat_template else NO_TEMPLATE)


def test_people_take_turns_and_see_their_place(tiny: LanguageModel) -> None:
    """One answers at a time; Ann's second question comes after Bob's first one, and her third is refused."""
    shop = Shop(tiny)
    what: dict[str, Any] = {"chat": False, "max_tokens": 64}
    asked = {who: answers(shop, "done", "Once", owner=who[:3], **what) for who in ("Ann1", "Ann2", "Bob")}
    refused = answers(shop, "done", "Once", owner="Ann", **what)
    assert [next(values)["phase"] for values in asked.values()] == ["preparing"] * 3
    assert next(asked["Ann1"])["phase"] == "answering"
    assert next(asked["Ann2"])["note"] == "Waiting: 1 question of others before yours."
    assert next(asked["Bob"])["note"] == "Waiting: 1 question of others before yours."
    assert next(asked["Ann2"])["note"] == "Waiting: 2 questions of others before yours."
    *_, last = refused
    assert (last["phase"], last["note"]) == (
        "refused", "You have 2 questions being answered already; wait for one, or stop it."
    )  # fmt: skip
    asked["Ann1"].close()
    assert next(asked["Ann2"])["note"] == "Waiting: 1 question of others before yours."
    assert [value["phase"] for value in asked["Bob"]][-1] == "finished"
    assert [value["phase"] for value in asked["Ann2"]][-1] == "finished"


@pytest.mark.parametrize(
    ("run", "prompt", "settings", "sentence"),
    [
        ("", "Hello", {}, NO_RUN),
        ("going", "Hello", {}, "This run is running"),
        ("done", "  ", {}, "The prompt is empty"),
        ("done", "Hello", {"temperature": 9.0}, "Temperature is 9.0"),
    ],
)
def test_refusals_are_one_sentence_in_the_panel(
    tiny: LanguageModel, run: str, prompt: str, settings: dict[str, Any], sentence: str
) -> None:
    *_, last = answers(Shop(tiny), run, prompt, chat=True, max_tokens=16, **settings)
    assert last["phase"] == "refused"
    assert last["note"].startswith(sentence)


def test_a_fault_tells_nothing_of_the_server(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Iterator[Pair]:
        yield Pair(side(), side(), None)
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(generation, "generate_pair", fail)
    *_, last = answers(Shop(tiny), "done", "Hello", chat=True, max_tokens=16)
    assert (last["phase"], last["note"]) == ("refused", FAULT)
    assert last["dense"]["before"] == "It is "  # what was there stays


def test_closing_an_answer_closes_the_generation(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    def endless(*_: Any, **__: Any) -> Iterator[Pair]:
        try:
            while True:
                yield Pair(side(done=False), side(done=False), None)
        finally:
            closed.append(True)

    monkeypatch.setattr(generation, "generate_pair", endless)
    values = answers(Shop(tiny), "done", "Hello", chat=True, max_tokens=16)
    assert [next(values)["phase"] for _ in range(3)] == ["preparing", "answering", "answering"]
    values.close()
    assert closed == [True]


def test_stop_marks_only_what_was_going() -> None:
    going = shown("answering", "", Pair(side(done=False), side(done=False), None))
    assert stopped(going)["note"] == "Stopped."
    assert stopped(going)["dense"] == going["dense"]
    finished = shown("finished")
    assert stopped(finished) == finished


def test_a_run_that_comes_or_finishes_clears_refusals() -> None:
    assert cleared("")["note"] == NO_RUN
    assert cleared("abc")["note"] == ""
    assert ready(shown("refused", "This run is running."))["note"] == ""
    answered = shown("finished", "", Pair(side(), side(), None))
    assert ready(answered) == ready(shown("idle")) == gr.skip()


def test_every_handler_is_private_and_every_control_labelled() -> None:
    with gr.Blocks() as demo:
        run = gr.State("")
        built = build_compare()
        compare.wire_compare(built, SimpleNamespace(), run)
    assert {fn.api_visibility for fn in demo.fns.values()} == {"private"}
    controls = (built.prompt, built.chat, built.mode, built.temperature, built.top_p, built.seed, built.max_tokens)
    assert all(control.label for control in controls)


def test_no_template_holds_a_place_for_text() -> None:
    """Gradio evaluates what its templates hold, so nothing a model wrote may come near one."""
    template = compare.AnswerPair().html_template
    assert "{" not in template and "$" not in template


# --- any two sides --------------------------------------------------------------------------------------------------


class TwoRuns(Shop):
    """A workshop that says which sides were asked for."""

    asked: tuple[str, str] = ("", "")

    def sides(self, left: str, right: str) -> tuple[Any, Any, Any]:
        self.asked = (left, right)
        return self.lm, self.lm.model, self.lm.model


def test_two_runs_answer_under_their_own_names(tiny: LanguageModel) -> None:
    shop = TwoRuns(tiny)
    *_, last = answers(
        shop, "open run", "Once", chat=False, max_tokens=16, sides=("other", OPEN), titles=("The other", "Pruned")
    )
    assert shop.asked == ("other", "open run")
    assert (last["dense"]["title"], last["pruned"]["title"]) == ("The other", "Pruned")
    assert last["phase"] == "finished" and last["verdict"] == "Identical to the end."
    assert ready({**last, "phase": "refused"})["dense"]["title"] == "The other"


def test_without_the_open_run_none_needs_to_be_open(tiny: LanguageModel) -> None:
    shop = TwoRuns(tiny)
    *_, last = answers(
        shop, "", "Once", chat=False, max_tokens=16, sides=("other", DENSE), titles=("The other", "Dense")
    )
    assert last["phase"] == "finished" and shop.asked == ("other", DENSE)
    *_, last = answers(
        shop, "", "Once", chat=False, max_tokens=16, sides=("other", OPEN), titles=("The other", "Pruned")
    )
    assert (last["phase"], last["note"]) == ("refused", NO_RUN)


def test_neither_side_is_called_dense_where_it_is_not() -> None:
    parted = Pair(side(before="a", at="x"), side(before="a", at="y"), 1)
    value = shown("answering", "", parted, ("one", "two"))
    assert value["verdict"] == "They part at token 2: the left one says 'x', the right one 'y'."
    assert "dense" not in str([pane["empty"] for pane in (value["dense"], value["pruned"])]).lower()


def finished(**spec: Any) -> list[dict[str, Any]]:
    return numbered([started(**spec), RunFinished(1.0, 1)])


def test_finished_runs_of_the_open_runs_model_are_offered(tmp_path: Path) -> None:
    jobs = Jobs(Store(tmp_path), lambda *_: iter(()))
    try:
        listing, store = Listing(jobs), jobs.store
        first, second, other = (
            keep(store, finished(model=model, seed=seed), RunSpec(model=model, seed=seed))
            for model, seed in (("tiny", 0), ("tiny", 1), ("another", 0))
        )
        keep(store, numbered([started(model="tiny", seed=2)]), RunSpec(model="tiny", seed=2))  # still going
        listing.edit(second, name="The second")
        assert titles(listing, second, DENSE) == ("The second", "Dense")
        assert titles(listing, DENSE, OPEN) is None
        assert titles(listing, "gone", second) == ("A run that is gone", "The second")
        offered = {
            run: [value for _, value in choices(listing, run, "[]")[len(CHOICES) :]] for run in (first, other, "")
        }
        assert offered == {first: [second], other: [], "": [other, second, first]}
        shared = Listing(jobs, "own")
        assert choices(shared, "", json.dumps([second]))[len(CHOICES) :] == [("The second", second)]
        for own in ("[]", "nonsense", "7", "[7]"):
            assert choices(shared, "", own) == CHOICES
    finally:
        jobs.close()
        jobs.store.close()
