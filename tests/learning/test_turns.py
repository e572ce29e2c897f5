"""One at a time, and whoever works ahead lets the others in between."""

from __future__ import annotations

import threading

import pytest

from neuroal.learning.turns import Turns


def beside(turns: Turns, done: list[str], name: str, **how: bool) -> threading.Thread:
    """A thread that asks for its turn; it waits for it when this returns."""

    def take() -> None:
        with turns.taken(**how):
            done.append(name)

    thread = threading.Thread(target=take)
    thread.start()
    while not how and not turns._waiting and thread.is_alive():
        threading.Event().wait(0.001)
    return thread


def test_whoever_works_ahead_lets_the_others_in_between() -> None:
    turns, done = Turns(), []
    with turns.taken(ahead=True):
        one, other = beside(turns, done, "one"), beside(turns, done, "other")
        assert done == [], "not before way is given"
        turns.give_way()
        assert sorted(done) == ["one", "other"], "all who waited"
        turns.give_way()
        done.append("ahead")
    one.join()
    other.join()
    assert done[2:] == ["ahead"]


def test_nobody_else_gives_way() -> None:
    turns, done = Turns(), []
    with turns.taken():
        waiting = beside(turns, done, "waiting")
        turns.give_way()
        assert done == []
    waiting.join()
    assert done == ["waiting"]


def test_those_who_work_ahead_do_not_give_way_to_each_other() -> None:
    turns, done = Turns(), []
    with turns.taken(ahead=True):
        thread = beside(turns, done, "too", ahead=True)
        turns.give_way()
        assert done == []
    thread.join()


def test_a_turn_that_fails_is_over() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="lesson"), turns.taken(ahead=True):
        raise ValueError("of a lesson")
    with turns.taken():
        turns.give_way()
