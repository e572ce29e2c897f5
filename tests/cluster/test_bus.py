"""The event bus: in order, each once, and deaf to those whom nobody listens to any more."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from neuroal.cluster import bus
from neuroal.cluster.bus import Bus
from neuroal.runs.events import Notice, StageStarted
from tests.asynchronous import done

A, B, C = (Notice(text) for text in "abc")


def test_events_come_in_order_and_again_until_they_are_acknowledged() -> None:
    async def talk() -> None:
        bus = Bus()
        await bus.open("run")
        assert await bus.put("run", A) and await bus.put("run", B)
        assert await bus.take("run", 0, 0.0) == [A, B]
        assert await bus.take("run", 0, 0.0) == [A, B], "an answer that was lost on its way is given again"
        assert await bus.put("run", C)
        assert await bus.take("run", 2, 0.0) == [C]
        assert await bus.take("run", 3, 0.0) == []

    done(talk())


def test_who_waits_is_woken_by_the_next_event() -> None:
    async def talk() -> None:
        bus = Bus()
        await bus.open("run")
        waiting = asyncio.create_task(bus.take("run", 0, 60.0))
        await asyncio.sleep(0)
        await bus.put("run", A)
        assert await waiting == [A]

    done(asyncio.wait_for(talk(), 20))


def test_nothing_is_kept_of_a_run_that_nobody_listens_to() -> None:
    async def talk() -> None:
        bus = Bus()
        assert not await bus.put("run", A)
        await bus.open("run")
        assert await bus.put("run", A)
        await bus.close("run")
        assert not await bus.put("run", B)
        await bus.close("run")
        await bus.open("run")
        assert await bus.take("run", 0, 0.0) == []

    done(talk())


def test_runs_do_not_hear_each_other() -> None:
    async def talk() -> None:
        bus = Bus()
        for key, event in (("one", A), ("two", B)):
            await bus.open(key)
            await bus.put(key, event)
        assert await bus.take("one", 0, 0.0) == [A]
        assert await bus.take("two", 0, 0.0) == [B]

    done(talk())


def test_room_that_no_run_wants_is_lent_and_taken_back_for_one() -> None:
    async def talk() -> None:
        bus = Bus(3)
        await bus.open("one")
        assert await bus.lend("one", "a") and await bus.lend("one", "b")
        assert not await bus.lend("one", "c"), "all is taken"
        assert await bus.put("a", A) and await bus.put("b", B)
        listening = asyncio.create_task(bus.take("b", 1, 60.0))
        await asyncio.sleep(0)
        await bus.open("two")
        assert await listening is None, "who waits for it hears of it at once"
        assert not await bus.put("b", C) and await bus.put("a", C)
        assert await bus.take("a", 0, 0.0) == [A, C]
        await bus.open("three")
        assert not await bus.put("a", C)
        assert await bus.put("one", A) and await bus.put("three", A), "runs come first"
        await bus.close("two")
        await bus.close("three")
        assert await bus.lend("one", "d")

    done(asyncio.wait_for(talk(), 20))


def test_a_helper_that_is_done_leaves_its_room_and_its_events() -> None:
    async def talk() -> None:
        bus = Bus(2)
        await bus.open("run")
        assert await bus.lend("run", "a")
        assert await bus.begin("a") and await bus.put("a", A)
        await bus.rest("a")
        assert await bus.lend("run", "b") and not await bus.lend("run", "c")
        assert await bus.take("a", 0, 0.0) == [A]
        assert not await bus.close("a") and await bus.close("b"), "the one has begun, the other not"
        assert await bus.take("a", 0, 0.0) is None and not await bus.begin("b")

    done(talk())


def test_helpers_end_with_their_run_and_none_is_lent_to_one_that_is_over() -> None:
    async def talk() -> None:
        bus = Bus(4)
        for run in ("one", "two"):
            await bus.open(run)
            assert await bus.lend(run, f"{run} a")
        await bus.close("one")
        assert not await bus.put("one a", A) and await bus.put("two a", A)
        assert not await bus.lend("one", "b")

    done(talk())


def test_room_between_two_runs_is_not_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk() -> None:
        bus = Bus(2, settled=1.0)
        await bus.open("one")
        assert not await bus.lend("one", "a")
        now[0] += 1.5
        await bus.open("two")
        await bus.close("two")
        assert not await bus.lend("one", "a")
        now[0] += 1.5
        assert await bus.lend("one", "a")

    now = [100.0]
    monkeypatch.setattr(bus, "time", SimpleNamespace(monotonic=lambda: now[0]))
    done(talk())


def test_what_runs_share_is_kept_as_long_as_the_bus() -> None:
    async def talk() -> None:
        bus = Bus()
        assert await bus.known("figure") is None
        await bus.keep("figure", [A, StageStarted("evaluate:dense", "Reading.")])
        assert await bus.known("figure") == (A,), "what lasts of it"
        await bus.keep("none", [])
        assert await bus.known("none") == ()

    done(talk())
