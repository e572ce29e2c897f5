"""Lists of runs, and what people do to a run in them: name, tag, pin, delete and take back."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.runs.history import ORDERS, Entry, Query
from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.summary import ASKED, FIGURES, SCALE, asked, summary
from tests.runs.helpers import Script, wait_for

A_DAY = datetime.timedelta(days=1)


def add(store: Store, run_id: str, status: str = "finished", kind: str = "run", **figures: Any) -> None:
    """A run whose summary says ``figures``; each is a little newer than the one before."""
    store.add_run(run_id, "key", "{}", private=False, kind=kind, summary={**asked(RunSpec()), **figures})
    if status != "queued":
        figures = {**asked(RunSpec()), **figures}
        store.append(run_id, 1, 0.0, {"kind": "Notice", "message": "x"}, status, figures)


def ids(found: tuple[list[Entry], int]) -> str:
    """Runs of these tests have ids of one letter."""
    return "".join(entry.id for entry in found[0])


@pytest.fixture
def store(either_store: Store) -> Store:
    return either_store


@pytest.fixture
def four(store: Store) -> Store:
    add(store, "a", model="SmolLM2-135M-Instruct", pruner="wanda", perplexity=20.0, sparsity=0.5)
    add(store, "b", model="tiny", pruner="sparsegpt", top_up="owl", perplexity=None, sparsity=0.7)
    add(store, "c", "failed", model="tiny", pruner="magnitude", perplexity=100.0, sparsity=0.6)
    add(store, "d", "queued", model="Qwen3-0.6B", pruner="wanda", sparsity=0.55)
    return store


def test_the_newest_run_comes_first(four: Store) -> None:
    assert ids(four.history()) == "dcba"
    assert ids(four.history(Query(descending=False))) == "abcd"


def test_an_entry_says_all_that_a_list_shows(four: Store) -> None:
    four.edit("a", name="My first", tags=["good", "Düne"], pinned=True)
    entry = four.history(Query(text="first"))[0][0]
    assert (entry.id, entry.status, entry.name, entry.tags) == ("a", "finished", "My first", ("good", "Düne"))
    assert entry.pinned is True and entry.private is False and entry.key == "key"
    assert datetime.datetime.fromisoformat(entry.created).utcoffset() == datetime.timedelta(0)
    assert set(entry.summary) == set(summary([]))
    assert entry.summary["perplexity"] == 20.0 and entry.summary["kl"] is None


def test_a_run_that_waits_says_what_it_asks(four: Store) -> None:
    entry = four.history(Query(status="queued"))[0][0]
    assert (entry.summary["model"], entry.summary["sparsity"]) == ("Qwen3-0.6B", 0.55)


def test_what_is_no_run_is_not_listed(four: Store) -> None:
    add(four, "s", kind="sweep")
    assert ids(four.history()) == "dcba"


TEXTS = {
    "": "dcba", "TINY": "cb", "wanda": "da", "tiny owl": "b", "  owl   sparse ": "b", "nothing": "", "perplexity": "",
    "%": "", "_": "", "0.6b": "d", "äpfel": "a", "süß": "a", "ÄPFEL smol": "a",
}  # fmt: skip


def test_every_word_is_looked_for_in_what_people_know_of_a_run(four: Store) -> None:
    four.edit("a", name="Die Äpfel", tags=["SÜß"])
    found = {text: four.history(Query(text=text)) for text in TEXTS}
    assert {text: ids(each) for text, each in found.items()} == TEXTS
    assert {text: total for text, (_, total) in found.items()} == {text: len(each) for text, each in TEXTS.items()}


def test_filters_go_together(four: Store) -> None:
    four.edit("b", pinned=True, tags=["x", "y"])
    four.edit("c", pinned=True, tags=["x"])
    assert ids(four.history(Query(pinned=True))) == "cb" and ids(four.history(Query(pinned=False))) == "da"
    assert ids(four.history(Query(tags=["x"]))) == "cb" and ids(four.history(Query(tags=["y", "x"]))) == "b"
    assert ids(four.history(Query(status="failed"))) == "c"
    assert ids(four.history(Query(status="failed", pinned=False))) == ""
    assert ids(four.history(Query(ids=["a", "c", "nobody"]))) == "ca" and ids(four.history(Query(ids=[]))) == ""


def test_a_tag_is_found_as_a_whole_only(four: Store) -> None:
    tags = ["a", "b", 'a"b', "a,b", '","', "\\", "%", "_", "[", "ü", "x y"]
    four.edit("b", tags=["aa", "bb", 'a"bb', ',"a', '"b"', 'x","y', "abc", "xy"])
    for tag in tags:
        four.edit("a", tags=["first", tag, "last"])
        assert ids(four.history(Query(tags=[tag]))) == "a", tag


@pytest.mark.parametrize(
    ("order", "down", "up"),
    [
        ("perplexity", "cadb", "acdb"),
        ("sparsity", "bcda", "adcb"),
        ("model", "cbad", "dacb"),
        ("status", "dbac", "cbad"),
        ("kl", "dcba", "dcba"),
    ],
)
def test_lists_are_ordered_by_a_figure_and_runs_without_it_come_last(
    four: Store, order: str, down: str, up: str
) -> None:
    assert ids(four.history(Query(order=order))) == down
    assert ids(four.history(Query(order=order, descending=False))) == up


def test_every_order_works_and_no_other(four: Store) -> None:
    assert set(FIGURES) < set(ORDERS)
    for order in ORDERS:
        assert four.history(Query(order=order))[1] == 4
    with pytest.raises(UserError, match="Did you mean 'perplexity'"):
        four.history(Query(order="perplexitty"))


def test_pages_of_a_list_follow_one_another(store: Store) -> None:
    for i in range(7):
        add(store, str(i), perplexity=float(i // 3))
    pages = [ids(store.history(Query(order="perplexity", limit=3, offset=offset))) for offset in (0, 3, 6, 9)]
    assert pages == ["654", "321", "0", ""]
    assert [store.history(Query(limit=3, offset=offset))[1] for offset in (0, 9)] == [7, 7]


def test_a_run_of_an_earlier_version_has_no_figures_yet(store: Store) -> None:
    store.add_run("r", "key", "{}", private=False)
    assert set(store.history()[0][0].summary.values()) == {None}
    assert len(store.history()[0][0].summary) == len(ASKED) + len(FIGURES) + len(SCALE) + 2


# --- what people do to a run ------------------------------------------------------------------------------------------


def test_editing_changes_what_is_given(four: Store) -> None:
    four.edit("a", name="  One \n line\x00 ", tags=[" x ", "x", "", "y"], pinned=True)
    four.edit("a")
    row = four.run("a")
    assert row is not None and (row.name, row.tags, row.pinned) == ("One line", '["x","y"]', True)
    four.edit("a", name="", tags=[], pinned=False)
    row = four.run("a")
    assert row is not None and (row.name, row.tags, row.pinned) == ("", "[]", False)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"name": "x" * 121}, "A name can have 120 letters; this one has 121."),
        ({"tags": ["x" * 41]}, "A tag can have 40 letters; this one has 41."),
        ({"tags": [str(i) for i in range(21)]}, "A run can have 20 tags; these are 21."),
    ],
)
def test_what_is_too_long_is_refused_whole(four: Store, edit: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        four.edit("a", **{"pinned": True, **edit})
    assert four.run("a").pinned is False


def test_a_deleted_run_is_listed_again_once_restored(four: Store) -> None:
    assert four.answered("key") == "b"
    four.delete("b")
    assert ids(four.history()) == "dca" and four.history()[1] == 3
    assert four.answered("key") == "a" and four.is_deleted("b")
    four.restore("b")
    assert ids(four.history()) == "dcba" and four.answered("key") == "b" and not four.is_deleted("b")
    assert len(four.events("b")) == 1


def test_nobody_is_edited_deleted_or_restored(store: Store) -> None:
    for act in (store.edit, store.delete, store.restore):
        with pytest.raises(KeyError):
            act("nobody")
    assert not store.is_deleted("nobody")


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_run_that_goes_is_not_deleted(store: Store, status: str) -> None:
    add(store, "r", status)
    with pytest.raises(UserError, match=f"This run is {status}; cancel it"):
        store.delete("r")
    assert ids(store.history()) == "r"


def test_only_what_was_deleted_before_is_purged(four: Store) -> None:
    four.delete("a")
    now = datetime.datetime.now(datetime.timezone.utc)
    assert four.purge(now - A_DAY) == [] and four.events("a") != []
    later = (now + A_DAY).astimezone(datetime.timezone(datetime.timedelta(hours=-9)))
    assert four.purge(later) == ["a"]
    assert four.run("a") is None and four.events("a") == [] and not four.is_deleted("a")
    assert ids(four.history()) == "dcb" and len(four.events("b")) == 1
    with pytest.raises(KeyError):
        four.restore("a")


# --- the link of a deleted run ----------------------------------------------------------------------------------------


def test_the_link_of_a_deleted_run_is_dead_until_it_is_restored(make_jobs: Callable[..., Jobs], script: Script) -> None:
    jobs = make_jobs()
    run_id = jobs.start(RunSpec(model="m"))
    wait_for(jobs, run_id)
    jobs.store.delete(run_id)
    after_a_restart = make_jobs()
    for each in (jobs, after_a_restart):
        for ask in (each.read, each.status, each.spec, each.resume):
            with pytest.raises(KeyError):
                ask(run_id)
    assert jobs.answered(RunSpec(model="m")) is None
    jobs.store.restore(run_id)
    assert jobs.status(run_id) == "finished" and jobs.spec(run_id).model == "m"
    assert jobs.start(RunSpec(model="m")) == run_id and script.order == ["m"]
