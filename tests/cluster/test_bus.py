"""The event bus: in order, each once, and deaf to those whom nobody listens to any more."""

from __future__ import annotations

import asyncio

from neuroal.cluster.bus import Bus
from neuroal.runs.events import Notice
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
