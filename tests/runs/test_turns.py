"""Who is next among people who wait, and how often one of them may ask."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from neuroal.errors import UserError
from neuroal.runs.pace import REMEMBERED, Pace
from neuroal.runs.turns import Ticket, Turns


def test_one_of_each_in_turn() -> None:
    turns = Turns(at_once=1, each=3)
    with ExitStack() as line:
        tickets = [line.enter_context(turns.ticket(who)) for who in ("ann", "ann", "ann", "bob", "cy")]
        assert [ticket.place() for ticket in tickets] == [0, 3, 4, 1, 2]
        assert [ticket.place() for ticket in tickets] == [0, 3, 4, 1, 2], "asking changes nothing"


def test_several_go_at_once_and_one_that_is_done_makes_room() -> None:
    turns = Turns(at_once=2)
    with turns.ticket("ann") as ann, ExitStack() as bobs:
        bob = bobs.enter_context(turns.ticket("bob"))
        with turns.ticket("cy") as cy, turns.ticket("di") as di:
            assert [each.place() for each in (ann, bob, cy, di)] == [0, 0, 1, 2]
            bobs.close()
            assert [each.place() for each in (di, cy, di)] == [1, 0, 1]
    with turns.ticket("ed") as ed:
        assert ed.place() == 0


def test_nobody_takes_all_the_room() -> None:
    turns = Turns(at_once=2)
    with turns.ticket("ann") as ann, turns.ticket("ann") as again:
        assert [ann.place(), again.place()] == [0, 1]
        with turns.ticket("bob") as bob:
            assert [again.place(), bob.place()] == [1, 0]
        assert again.place() == 1
    with turns.ticket("") as one, turns.ticket("") as two:
        assert [one.place(), two.place()] == [0, 0], "nobody's are not one person's"


def test_whoever_leaves_the_line_is_not_waited_for() -> None:
    turns = Turns(at_once=1)
    with turns.ticket("ann") as ann:
        assert ann.place() == 0
        with turns.ticket("bob"), turns.ticket("cy") as cy:
            assert cy.place() == 2
        with turns.ticket("di") as di:
            assert di.place() == 1


def test_one_person_and_all_together_may_wait_so_often_only() -> None:
    turns = Turns(at_once=1, each=1, most=3)
    with ExitStack() as line:
        line.enter_context(turns.ticket("ann"))
        with pytest.raises(UserError, match="You have 1 questions being answered already"), turns.ticket("ann"):
            pass
        owners: list[Ticket] = [line.enter_context(turns.ticket(who)) for who in ("", "")]  # no owner, no such limit
        assert [each.owner for each in owners] == ["", ""]
        with pytest.raises(UserError, match="3 questions of others wait to be answered"), turns.ticket("bob"):
            pass


def test_a_pace_is_kept_by_each_and_told_in_seconds() -> None:
    now = [100.0]
    pace = Pace(most=2, seconds=60, clock=lambda: now[0])
    for _ in range(5):
        pace.admit("")  # the owner of the machine
    pace.admit("ann")
    now[0] = 130.0
    pace.admit("ann")
    pace.admit("bob")
    with pytest.raises(UserError, match=r"asked for 2 runs within 60 seconds, as many as one may; wait 30 s"):
        pace.admit("ann")
    now[0] = 160.0
    pace.admit("ann")
    with pytest.raises(UserError, match="wait 30 s"):
        pace.admit("ann")


def test_the_memory_of_a_pace_is_bounded() -> None:
    pace = Pace()
    for i in range(REMEMBERED + 10):
        pace.admit(str(i))
    assert len(pace._asked) == REMEMBERED


def test_whoever_asks_fast_is_known_and_not_refused() -> None:
    now = [0.0]
    pace = Pace(most=2, seconds=60, clock=lambda: now[0])
    assert [pace.is_fast("ann") for _ in range(4)] == [False, False, True, True]
    assert [pace.is_fast(who) for who in ("bob", "", "", "")] == [False] * 4
    now[0] = 59.9
    assert pace.is_fast("ann")
    now[0] = 60.0
    assert [pace.is_fast("ann") for _ in range(2)] == [False, True], "one of the last minute, then two"
    now[0] = 500.0
    assert not pace.is_fast("ann")
