"""The queue and its workers, with a scripted engine that waits at gates instead of taking time."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from neuroal.errors import DISK_FULL, UserError
from neuroal.runs import job as job_module
from neuroal.runs import log as log_module
from neuroal.runs import logs as logs_module
from neuroal.runs.events import Event, Notice, RunFinished, RunStarted
from neuroal.runs.jobs import Jobs
from neuroal.runs.log import RunLog
from neuroal.runs.queue import WAITING_EACH
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from tests.runs.helpers import CLOSING, PATIENCE, Script, eventually, kinds, started, wait_for

OWN = "The quick brown fox jumps over the lazy dog. "
MakeJobs = Callable[..., Jobs]


MEMORY = "The machine ran out of memory; choose a smaller model, fewer or shorter samples."


def full_disk(*_: Any, **__: Any) -> None:
    raise OperationalError("INSERT", {}, Exception("database or disk is full"))


def go(jobs: Jobs, name: str, owner: str = "") -> str:
    """A run whose question nobody has asked."""
    return jobs.start(RunSpec(model=name), owner)


def positions(jobs: Jobs, run_id: str) -> list[int]:
    return [r["position"] for r in jobs.read(run_id)[0] if r["kind"] == "Queued"]


def assert_one_closing_event(jobs: Jobs, run_id: str) -> None:
    found = kinds(jobs, run_id)
    assert [kind for kind in found if kind in CLOSING] == found[-1:]


def assert_worker_lives(jobs: Jobs) -> None:
    assert wait_for(jobs, jobs.start(RunSpec(model="the next one"), again=True)) == "finished"


# --- the queue ------------------------------------------------------------------------------------------------------


def test_a_run_goes_from_queued_to_finished(jobs: Jobs, script: Script) -> None:
    run_id = go(jobs, "a")
    assert wait_for(jobs, run_id) == "finished"
    records, ended = jobs.read(run_id)
    assert ended and [r["kind"] for r in records] == ["Queued", "RunStarted", *["StageStarted"] * 3, "RunFinished"]
    assert [r["n"] for r in records] == [1, 2, 3, 4, 5, 6]
    assert records == [{**r, "spec": records[1]["spec"]} if "spec" in r else r for r in jobs.store.events(run_id)]
    assert script.calls == [("a", [])]
    eventually(lambda: script.closed == ["a"])  # after the end was told


def test_runs_wait_their_turn_and_know_their_place(jobs: Jobs, script: Script) -> None:
    script.hold("a", "b", "c")
    ids = [go(jobs, name) for name in "abc"]
    script.wait_inside("a")
    assert [jobs.status(i) for i in ids] == ["running", "queued", "queued"]
    eventually(lambda: [positions(jobs, i)[-1] for i in ids[1:]] == [1, 2])
    script.release("a")
    script.wait_inside("b")
    eventually(lambda: positions(jobs, ids[2])[-1] == 1)
    script.release("b", "c")
    assert [wait_for(jobs, i) for i in ids] == ["finished"] * 3
    assert script.order == ["a", "b", "c"]


def test_a_place_is_told_once(jobs: Jobs, script: Script) -> None:
    """The log of a waiting run must not grow with what others do."""
    script.hold("first")
    go(jobs, "first")
    script.wait_inside("first")
    waiting = go(jobs, "waiting", "me")
    for i in range(5):
        jobs.cancel(go(jobs, f"other {i}", "someone"))
    assert positions(jobs, waiting) == [1]


def test_people_take_turns(jobs: Jobs, script: Script) -> None:
    """Ann has one run going and two waiting when Bob comes, who has had none; Cy comes last."""
    script.hold("a1")
    go(jobs, "a1", "Ann")
    script.wait_inside("a1")
    later = [go(jobs, "a2", "Ann"), go(jobs, "a3", "Ann"), go(jobs, "b1", "Bob"), go(jobs, "b2", "Bob")]
    later.append(go(jobs, "c1", "Cy"))
    assert [positions(jobs, i)[-1] for i in later] == [3, 5, 1, 4, 2]
    script.release("a1")
    for run_id in later:
        wait_for(jobs, run_id)
    assert script.order == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_nobody_can_push_someone_back_for_ever(jobs: Jobs, script: Script) -> None:
    """Ann refills the queue after each of her runs; Bob is still served after one of them."""
    script.hold("a0")
    go(jobs, "a0", "Ann")
    script.wait_inside("a0")
    ids = [go(jobs, f"a{i}", "Ann") for i in (1, 2, 3)]
    bob = go(jobs, "bob", "Bob")
    script.hold("a1")
    script.release("a0")
    script.wait_inside("a1")
    ids.append(go(jobs, "a4", "Ann"))
    script.release("a1")
    assert wait_for(jobs, bob) == "finished"
    assert [wait_for(jobs, i) for i in ids] == ["finished"] * 4
    assert script.order.index("bob") == 1


def test_the_unnamed_are_served_first_come_first_served(jobs: Jobs, script: Script) -> None:
    script.hold("a")
    ids = [go(jobs, "a")]
    script.wait_inside("a")
    ids += [go(jobs, name) for name in "bcd"]
    script.release("a")
    for run_id in ids:
        wait_for(jobs, run_id)
    assert script.order == ["a", "b", "c", "d"]


def test_one_person_may_have_only_so_many_waiting(jobs: Jobs, script: Script) -> None:
    script.hold("going")
    go(jobs, "going", "Ann")
    script.wait_inside("going")
    waiting = [go(jobs, f"a{i}", "Ann") for i in range(WAITING_EACH)]
    with pytest.raises(UserError, match=f"You already have {WAITING_EACH} runs waiting"):
        go(jobs, "one too many", "Ann")
    assert jobs.status(go(jobs, "b", "Bob")) == "queued"
    assert jobs.cancel(waiting[0])
    assert jobs.status(go(jobs, "now there is room", "Ann")) == "queued"
    assert "one too many" not in script.order


def test_two_hundred_wait_in_turn_and_each_knows_its_place(jobs: Jobs, script: Script) -> None:
    """67 people with three runs each, queued one person after the other: everyone's first comes before any second."""
    script.hold("going")
    go(jobs, "going", "someone")
    script.wait_inside("going")
    people = range(67)
    ids = {(person, nth): go(jobs, f"{person}/{nth}", f"{person}") for person in people for nth in range(WAITING_EACH)}
    order = [(person, nth) for nth in range(WAITING_EACH) for person in people]
    assert [positions(jobs, ids[each])[-1] for each in order] == list(range(1, 202))
    script.release("going")
    for run_id in ids.values():
        wait_for(jobs, run_id)
    assert script.order == ["going", *(f"{person}/{nth}" for person, nth in order)]
    for place, each in enumerate(order, 1):
        told = positions(jobs, ids[each])
        assert told[-place:] == list(range(place, 0, -1)), "told of every step forward"


def test_a_full_queue_is_told_to_everyone(jobs: Jobs, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroal.runs.queue.WAITING_IN_ALL", 2)
    script.hold("going")
    go(jobs, "going", "Ann")
    script.wait_inside("going")
    go(jobs, "a", "Ann"), go(jobs, "b", "Bob")
    with pytest.raises(UserError, match="2 runs of others are waiting; try again in some minutes"):
        go(jobs, "c", "Cy")


def test_the_limit_holds_for_resuming_too(jobs: Jobs, script: Script) -> None:
    script.hold("going")
    go(jobs, "going", "Ann")
    script.wait_inside("going")
    cancelled = [go(jobs, f"a{i}", "Ann") for i in range(2)]
    assert all(jobs.cancel(i) for i in cancelled)
    for i in range(WAITING_EACH):
        go(jobs, f"waiting {i}", "Ann")
    with pytest.raises(UserError, match="runs waiting"):
        jobs.resume(cancelled[0], "Ann")
    assert jobs.status(cancelled[0]) == "cancelled"
    jobs.resume(cancelled[0], "Bob")


def test_two_workers_do_two_runs_at_a_time(make_jobs: MakeJobs, script: Script) -> None:
    jobs = make_jobs(workers=2)
    script.hold("a", "b", "c")
    ids = [go(jobs, name) for name in "abc"]
    script.wait_inside("a")
    script.wait_inside("b")
    assert [jobs.status(i) for i in ids] == ["running", "running", "queued"]
    script.release("b")
    script.wait_inside("c")
    script.release()
    assert [wait_for(jobs, i) for i in ids] == ["finished"] * 3


def test_many_runs_of_many_people_all_finish_once(make_jobs: MakeJobs, script: Script) -> None:
    jobs = make_jobs(workers=3)
    ids: list[str] = []

    def person(name: str) -> None:
        for i in range(3):
            ids.append(go(jobs, f"{name}{i}", name))

    people = [threading.Thread(target=person, args=(f"p{i}-",)) for i in range(6)]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    assert [wait_for(jobs, i) for i in ids] == ["finished"] * 18
    assert sorted(script.order) == sorted(f"p{i}-{k}" for i in range(6) for k in range(3))
    for run_id in ids:
        assert_one_closing_event(jobs, run_id)


# --- cancelling -----------------------------------------------------------------------------------------------------


def test_cancelling_a_waiting_run_lets_the_others_move_up(jobs: Jobs, script: Script) -> None:
    script.hold("a")
    go(jobs, "a")
    script.wait_inside("a")
    b, c = go(jobs, "b"), go(jobs, "c")
    assert positions(jobs, c) == [2]
    assert jobs.cancel(b) is True
    assert jobs.status(b) == "cancelled" and jobs.read(b)[1]
    assert positions(jobs, c) == [2, 1]
    assert jobs.cancel(b) is False
    script.release("a")
    assert wait_for(jobs, c) == "finished"
    assert script.order == ["a", "c"]


def test_cancelling_a_going_run_stops_it_at_its_next_event(jobs: Jobs, script: Script) -> None:
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    assert jobs.cancel(a) is True
    assert jobs.status(a) == "running", "it is asked, not killed"
    script.release("a")
    assert wait_for(jobs, a) == "cancelled"
    assert kinds(jobs, a) == ["Queued", "RunStarted", "StageStarted", "RunCancelled"]
    eventually(lambda: script.closed == ["a"])
    assert_worker_lives(jobs)


def test_cancelling_what_has_ended_changes_nothing(jobs: Jobs) -> None:
    a = go(jobs, "a")
    wait_for(jobs, a)
    before = jobs.read(a)
    assert jobs.cancel(a) is False
    assert jobs.read(a) == before
    assert jobs.cancel("nobody") is False


def test_cancelling_before_the_first_event(make_jobs: MakeJobs) -> None:
    """Taken from the queue, but the engine has not said anything yet: a long import, say."""
    begun, gate = threading.Event(), threading.Event()

    def slow(run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
        begun.set()
        assert gate.wait(PATIENCE)
        yield started(spec)
        yield RunFinished(1.0, 1)

    jobs = make_jobs(engine=slow)
    a = go(jobs, "a")
    assert begun.wait(PATIENCE)
    assert jobs.cancel(a) is True
    gate.set()
    assert wait_for(jobs, a) == "cancelled"
    assert kinds(jobs, a) == ["Queued", "RunStarted", "RunCancelled"]


def test_cancelling_between_the_queue_and_the_engine(
    make_jobs: MakeJobs, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker holds the run but has not called the engine: then the engine is never called."""
    taken, gate, follow = threading.Event(), threading.Event(), job_module._follow

    def late(*given: Any) -> Event | None:
        taken.set()
        assert gate.wait(PATIENCE)
        return follow(*given)

    monkeypatch.setattr(job_module, "_follow", late)
    jobs = make_jobs()
    a = go(jobs, "a")
    assert taken.wait(PATIENCE)
    assert jobs.cancel(a) is True
    gate.set()
    assert wait_for(jobs, a) == "cancelled"
    assert kinds(jobs, a) == ["Queued", "RunCancelled"] and script.calls == []


def test_cancelling_too_late_leaves_the_run_finished(make_jobs: MakeJobs) -> None:
    """The request comes while the last event is on its way: one end, not two."""
    begun, gate = threading.Event(), threading.Event()

    def engine(run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
        yield started(spec)
        begun.set()
        assert gate.wait(PATIENCE)
        yield RunFinished(1.0, 1)

    jobs = make_jobs(engine=engine)
    a = go(jobs, "a")
    assert begun.wait(PATIENCE)
    jobs.cancel(a)
    gate.set()
    assert wait_for(jobs, a) == "finished"
    jobs.close()
    assert kinds(jobs, a) == ["Queued", "RunStarted", "RunFinished"]


def test_cancelling_ends_as_cancelled_even_when_the_engine_fails_to_clean_up(jobs: Jobs, script: Script) -> None:
    script.hold("a")
    script.closing_faults["a"] = OSError("a temporary folder could not be removed")
    a = go(jobs, "a")
    script.wait_inside("a")
    jobs.cancel(a)
    script.release("a")
    assert wait_for(jobs, a) == "cancelled"
    assert_one_closing_event(jobs, a)
    assert_worker_lives(jobs)


# --- failing --------------------------------------------------------------------------------------------------------

FAULTS = [
    (UserError("The text is too short; paste more."), "The text is too short; paste more."),
    (MemoryError(), MEMORY),
    (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), MEMORY),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."), MEMORY),
    (OSError(12, "Cannot allocate memory"), MEMORY),
    (OSError(28, "No space left on device"), DISK_FULL),
    (Exception("(sqlite3.OperationalError) database or disk is full"), DISK_FULL),
    (
        KeyError("secret/path"),
        "Something unexpected went wrong (KeyError); the run can be resumed, and the server's log",
    ),
    (RecursionError(), "Something unexpected went wrong (RecursionError)"),
    (SystemExit(3), "Something unexpected went wrong (SystemExit)"),
    (KeyboardInterrupt(), "Something unexpected went wrong (KeyboardInterrupt)"),
    (GeneratorExit(), "Something unexpected went wrong (GeneratorExit)"),
    (StopIteration(), "Something unexpected went wrong (RuntimeError)"),
]


@pytest.mark.parametrize(
    ("fault", "sentence"), FAULTS, ids=lambda x: x[:12] if isinstance(x, str) else type(x).__name__
)
def test_a_failing_run_says_why_and_the_worker_goes_on(
    jobs: Jobs, script: Script, fault: BaseException, sentence: str
) -> None:
    script.faults["a"] = fault
    a = go(jobs, "a")
    assert wait_for(jobs, a) == "failed"
    message = jobs.read(a)[0][-1]["message"]
    assert message.startswith(sentence)
    assert "secret" not in message and "Traceback" not in message and "\n" not in message
    assert_one_closing_event(jobs, a)
    assert script.closed[0] == "a"
    assert_worker_lives(jobs)


def test_an_engine_that_fails_when_called_fails_the_run(make_jobs: MakeJobs) -> None:
    def broken(run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
        if spec.model == "a":
            raise ImportError("no torch")
        return (event for event in (started(spec), RunFinished(1.0, 1)))

    jobs = make_jobs(engine=broken)
    a = go(jobs, "a")
    assert wait_for(jobs, a) == "failed"
    assert "(ImportError)" in jobs.read(a)[0][-1]["message"]
    assert_worker_lives(jobs)


def test_an_engine_that_ends_without_an_end_fails_the_run(make_jobs: MakeJobs) -> None:
    def silent(run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
        yield started(spec)

    jobs = make_jobs(engine=silent)
    a = go(jobs, "a")
    assert wait_for(jobs, a) == "failed"
    assert "ended without a result" in jobs.read(a)[0][-1]["message"]


def test_a_fault_after_the_end_changes_nothing(make_jobs: MakeJobs) -> None:
    def engine(run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
        try:
            yield started(spec)
            yield RunFinished(1.0, 1)
        finally:
            raise OSError("too late to matter")

    jobs = make_jobs(engine=engine)
    a = go(jobs, "a")
    assert wait_for(jobs, a) == "finished"
    assert wait_for(jobs, go(jobs, "b")) == "finished"
    assert_one_closing_event(jobs, a)


def test_nothing_comes_after_the_end(make_jobs: MakeJobs) -> None:
    """Viewers stop reading at the closing event."""

    def engine(run_id: str, spec: RunSpec, records: list[dict[str, Any]]) -> Generator[Event, None, None]:
        yield started(spec)
        yield RunFinished(1.0, 1)
        yield Notice("nobody would read this")

    jobs = make_jobs(engine=engine)
    a = go(jobs, "a")
    assert wait_for(jobs, a) == "finished"
    jobs.close()
    assert kinds(jobs, a) == ["Queued", "RunStarted", "RunFinished"]


# --- a full disk ----------------------------------------------------------------------------------------------------

# Queued, RunStarted, three StageStarted, RunFinished: the number of the event that cannot be saved.
NTH = range(1, 7)


def saved_but(fails: Callable[[], bool], jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are saved, also places in the queue, which are told together, unless it fails this time."""

    def unless_it_fails(save: Callable[..., None], *args: Any) -> None:
        if fails():
            full_disk()
        save(*args)

    for name in ("append", "append_together"):
        monkeypatch.setattr(jobs.store, name, partial(unless_it_fails, getattr(jobs.store, name)))


@pytest.mark.parametrize("nth", NTH)
def test_a_disk_that_is_full_for_a_moment(
    jobs: Jobs, script: Script, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """One event of the run cannot be saved. A place in the queue may be lost; anything else fails the run."""
    counter = itertools.count(1)
    saved_but(lambda: next(counter) == nth, jobs, monkeypatch)
    a = go(jobs, "a")
    ended = wait_for(jobs, a)
    if nth == 1:
        assert ended == "finished"
    else:
        assert ended == "failed" and jobs.read(a)[0][-1]["message"] == DISK_FULL
        assert kinds(jobs, a)[: nth - 1] == ["Queued", "RunStarted", *["StageStarted"] * 3][: nth - 1]
    assert_one_closing_event(jobs, a)
    assert_worker_lives(jobs)
    assert [r["n"] for r in jobs.read(a)[0]] == list(range(1, len(kinds(jobs, a)) + 1))


def test_the_engine_is_closed_before_the_end_is_told(
    jobs: Jobs, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it was not the engine that failed: whoever resumes at once must not meet the earlier part."""
    tell, closed_by_then = RunLog.append_at_any_cost, []

    def watched(self: RunLog, happened: Event) -> None:
        if type(happened).__name__ in CLOSING:
            closed_by_then.append(list(script.closed))
        tell(self, happened)

    monkeypatch.setattr(RunLog, "append_at_any_cost", watched)
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    with monkeypatch.context() as patch:
        patch.setattr(jobs.store, "append", full_disk)
        script.release("a")
        assert wait_for(jobs, a) == "failed"
    assert closed_by_then == [["a"]]


@pytest.mark.parametrize("nth", NTH)
def test_a_disk_that_stays_full(make_jobs: MakeJobs, script: Script, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    """From the n-th event on nothing can be saved: viewers still see the end, and later everything goes on."""
    jobs = make_jobs()
    counter, full = itertools.count(1), True
    saved_but(lambda: full and next(counter) >= nth, jobs, monkeypatch)
    a, b = go(jobs, "a"), go(jobs, "b")
    assert wait_for(jobs, a) == "failed" and wait_for(jobs, b) == "failed"
    assert jobs.read(a)[0][-1]["message"] == DISK_FULL
    full = False
    jobs.resume(a)
    assert wait_for(jobs, a) == "finished"
    seen = [r["n"] for r in jobs.read(a)[0]]
    assert seen == list(range(1, len(seen) + 1))
    assert_worker_lives(jobs)
    jobs.close()

    reopened = make_jobs()
    assert reopened.status(a) == "finished"
    saved = [r["n"] for r in reopened.read(a)[0]]
    assert saved == sorted(set(saved)) and saved[-1] == seen[-1], "a viewer's cursor means the same after a restart"
    assert reopened.read(a, seen[-1] - 1)[0][0]["kind"] == "RunFinished"
    assert reopened.status(b) == "interrupted"
    reopened.resume(b)
    assert wait_for(reopened, b) == "finished"


def test_a_run_with_a_gap_in_its_stored_log_can_be_resumed_after_a_restart(
    make_jobs: MakeJobs, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs()
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    with monkeypatch.context() as patch:
        patch.setattr(jobs.store, "append", full_disk)
        script.release("a")
        assert wait_for(jobs, a) == "failed"
    script.hold("a")
    jobs.resume(a)
    script.wait_inside("a")
    jobs.cancel(a)
    script.release("a")
    assert wait_for(jobs, a) == "cancelled"
    jobs.close()
    reopened = make_jobs()
    assert reopened.status(a) == "cancelled"
    reopened.resume(a)
    assert wait_for(reopened, a) == "finished"


def test_starting_on_a_full_disk_is_refused_in_a_sentence(
    jobs: Jobs, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(jobs.store, "add_run", full_disk)
        with pytest.raises(UserError, match="disk of this machine is full"):
            go(jobs, "a")
    assert_worker_lives(jobs)
    assert script.order == ["the next one"]


def test_cancelling_a_waiting_run_on_a_full_disk(jobs: Jobs, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    script.hold("a")
    go(jobs, "a")
    script.wait_inside("a")
    b, c = go(jobs, "b"), go(jobs, "c")
    with monkeypatch.context() as patch:
        patch.setattr(jobs.store, "append", full_disk)
        assert jobs.cancel(b) is True
    assert jobs.status(b) == "cancelled"
    assert positions(jobs, c) == [2, 1]


# --- resuming -------------------------------------------------------------------------------------------------------


def test_a_resumed_run_knows_what_it_had_done_and_goes_on_counting(jobs: Jobs, script: Script) -> None:
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    jobs.cancel(a)
    script.release("a")
    wait_for(jobs, a)
    jobs.resume(a)
    assert wait_for(jobs, a) == "finished"
    found = ["Queued", "RunStarted", "StageStarted", "RunCancelled", "Queued", "RunResumed", "RunStarted"]
    assert kinds(jobs, a) == [*found, *["StageStarted"] * 3, "RunFinished"]
    assert [r["n"] for r in jobs.read(a)[0]] == list(range(1, 12))
    name, earlier = script.calls[1]
    assert name == "a" and [r["kind"] for r in earlier] == ["RunStarted", "StageStarted", "RunCancelled"]
    stamps = [r["t"] for r in jobs.read(a)[0]]
    assert stamps == sorted(stamps)


class Clock:
    """Stands in for the time module of the log: set by hand."""

    now = 1000.0

    @classmethod
    def monotonic(cls) -> float:
        return cls.now


def test_waiting_and_pausing_do_not_count(jobs: Jobs, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour in the queue, 2 s of work, an hour cancelled, an hour in the queue again, 3 s of work."""
    monkeypatch.setattr(log_module, "time", Clock)
    script.hold("first", "a")
    first = go(jobs, "first")
    script.wait_inside("first")
    before, a = go(jobs, "before"), go(jobs, "a")
    Clock.now += 3600
    jobs.cancel(before)
    script.release("first")
    script.wait_inside("a")
    Clock.now += 2
    jobs.cancel(a)
    script.release("a")
    assert wait_for(jobs, a) == "cancelled"
    Clock.now += 3600
    script.hold("second", "a")
    second = jobs.start(RunSpec(model="second"))
    script.wait_inside("second")
    jobs.resume(a)
    Clock.now += 3600
    script.release("second")
    script.wait_inside("a")
    Clock.now += 3
    script.release("a")
    assert [wait_for(jobs, i) for i in (first, second, a)] == ["finished"] * 3
    assert [(r["kind"], r["t"]) for r in jobs.read(a)[0]] == [
        ("Queued", 0), ("Queued", 0), ("RunStarted", 0), ("StageStarted", 2), ("RunCancelled", 2),
        ("Queued", 2), ("RunResumed", 2), ("RunStarted", 2), *[("StageStarted", 5)] * 3, ("RunFinished", 5),
    ]  # fmt: skip


def test_a_run_cancelled_in_the_queue_begins_from_the_start(jobs: Jobs, script: Script) -> None:
    script.hold("a")
    go(jobs, "a")
    script.wait_inside("a")
    b = go(jobs, "b")
    jobs.cancel(b)
    jobs.resume(b)
    script.release("a")
    assert wait_for(jobs, b) == "finished"


def test_what_goes_or_has_finished_cannot_be_resumed(jobs: Jobs, script: Script) -> None:
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    b = go(jobs, "b")
    for run_id in (a, b):
        with pytest.raises(UserError, match="can be resumed"):
            jobs.resume(run_id)
    script.release("a")
    wait_for(jobs, b)
    with pytest.raises(UserError, match="can be resumed"):
        jobs.resume(b)
    assert script.order == ["a", "b"]


def test_only_the_first_of_many_to_resume_a_run_resumes_it(jobs: Jobs, script: Script) -> None:
    script.hold("first")
    a = go(jobs, "first")
    script.wait_inside("first")
    b = go(jobs, "b")
    jobs.cancel(b)
    refused: list[UserError] = []
    together = threading.Barrier(6)

    def person() -> None:
        together.wait()
        try:
            jobs.resume(b)
        except UserError as error:
            refused.append(error)

    people = [threading.Thread(target=person) for _ in range(6)]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    script.release("first")
    wait_for(jobs, a)
    assert wait_for(jobs, b) == "finished"
    assert len(refused) == 5 and script.order == ["first", "b"]


def test_a_run_resumed_the_moment_it_ends_can_still_be_cancelled(
    make_jobs: MakeJobs, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker has told the end but not yet tidied up, while the other one has the run again."""
    jobs = make_jobs(workers=2)
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    first, second = script.held["a"], threading.Event()
    tell = RunLog.append_at_any_cost

    def and_resume(self: RunLog, happened: Event) -> None:
        tell(self, happened)
        if type(happened).__name__ == "RunCancelled" and not second.is_set():
            second.set()
            script.hold("a")
            jobs.resume(a)
            script.wait_inside("a")

    monkeypatch.setattr(RunLog, "append_at_any_cost", and_resume)
    jobs.cancel(a)
    first.set()
    assert second.wait(PATIENCE)
    script.wait_inside("a")
    eventually(lambda: jobs.status(a) == "running")
    assert wait_for(jobs, go(jobs, "another")) == "finished", "the first worker is back"
    assert jobs.cancel(a) is True
    script.release("a")
    assert wait_for(jobs, a) == "cancelled"


# --- closing and reopening ------------------------------------------------------------------------------------------


def test_closing_interrupts_what_goes_and_what_waits(make_jobs: MakeJobs, script: Script) -> None:
    jobs = make_jobs()
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    b, c = go(jobs, "b"), go(jobs, "c")
    closing = threading.Thread(target=jobs.close)
    closing.start()
    eventually(lambda: jobs.status(c) == "interrupted")
    script.release("a")
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert [jobs.status(i) for i in (a, b, c)] == ["interrupted"] * 3
    assert kinds(jobs, a) == ["Queued", "RunStarted", "StageStarted", "RunInterrupted"]
    assert script.order == ["a"] and script.closed == ["a"]
    assert not any(thread.is_alive() for thread in jobs._threads)
    for run_id in (a, b, c):
        assert_one_closing_event(jobs, run_id)


def test_closing_does_not_wait_for_an_engine_that_says_nothing(make_jobs: MakeJobs, script: Script) -> None:
    jobs = make_jobs()
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    jobs.close(timeout=0.01)
    told = kinds(jobs, a)
    assert told == ["Queued", "RunStarted", "RunInterrupted"]
    script.release("a")
    for thread in jobs._threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert script.closed == ["a"]
    assert kinds(jobs, a) == told, "what comes after the end is not appended"
    assert [r["kind"] for r in jobs.store.events(a)] == told


def test_nothing_can_be_started_once_closed(jobs: Jobs) -> None:
    """Else it would wait for ever."""
    a = go(jobs, "a")
    wait_for(jobs, a)
    jobs.close()
    jobs.close()
    with pytest.raises(UserError, match="server is stopping"):
        go(jobs, "b")
    assert jobs.status(a) == "finished" and jobs.read(a)[1]


def test_closing_on_a_full_disk_still_stops_the_workers(
    make_jobs: MakeJobs, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs()
    script.hold("a")
    go(jobs, "a")
    script.wait_inside("a")
    b = go(jobs, "b")
    monkeypatch.setattr(jobs.store, "append", full_disk)
    script.release("a")
    jobs.close()
    assert jobs.status(b) in ("interrupted", "failed")
    assert not any(thread.is_alive() for thread in jobs._threads)


def test_reopening_interrupts_what_was_going_and_keeps_the_rest(make_jobs: MakeJobs, tmp_path: Path) -> None:
    """As a killed process leaves it behind."""
    store = Store(tmp_path)
    for status in ("queued", "running", "finished", "failed", "cancelled", "interrupted"):
        store.add_run(status, "key", RunSpec(model="a").to_json(), private=False)
        log = RunLog(status, store)
        log.append(started(RunSpec(model="a")))
        log.append(Notice("x"))
        store.append(status, 3, 0.5, {"kind": "Notice", "message": "y"}, status)
    store.close()
    jobs = make_jobs()
    assert [jobs.status(i) for i in ("queued", "running")] == ["interrupted"] * 2
    assert kinds(jobs, "running") == ["RunStarted", "Notice", "Notice", "RunInterrupted"]
    assert jobs.instance.runs("run") == {}
    for status in ("finished", "failed", "cancelled", "interrupted"):
        row = jobs.store.run(status)
        assert row is not None and row.status == status and len(jobs.store.events(status)) == 3
    again = make_jobs()
    assert len(again.store.events("running")) == 4, "once is enough"
    again.resume("running")
    assert wait_for(again, "running") == "finished"


@pytest.mark.parametrize("payload", ["", "{", "5", "{}"])
def test_a_damaged_event_does_not_keep_the_server_from_starting(
    make_jobs: MakeJobs, script: Script, tmp_path: Path, payload: str
) -> None:
    jobs = make_jobs()
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    with jobs.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE events SET payload = ? WHERE n = 2", (payload,))
    reopened = make_jobs()
    assert reopened.status(a) == "interrupted"
    assert [r["n"] for r in reopened.read(a)[0]] == [1, 2, 3]
    script.release("a")


def test_settings_of_another_version_are_refused_in_a_sentence(jobs: Jobs) -> None:
    jobs.store.add_run("old", "key", '{"flavour": 1}', private=False)
    jobs.store.append("old", 1, 0.0, {"kind": "RunInterrupted"}, "interrupted")
    jobs.store.add_run("broken", "key", "{", private=False)
    jobs.store.append("broken", 1, 0.0, {"kind": "RunInterrupted"}, "interrupted")
    for run_id in ("old", "broken"):
        with pytest.raises(UserError):
            jobs.resume(run_id)
        assert jobs.status(run_id) == "interrupted"


# --- the same question ----------------------------------------------------------------------------------------------


def test_a_question_asked_again_is_answered_at_once(jobs: Jobs, script: Script) -> None:
    a = go(jobs, "a", "Ann")
    wait_for(jobs, a)
    assert go(jobs, "a", "Bob") == a
    again = jobs.start(RunSpec(model="a"), "Bob", again=True)
    assert again != a and wait_for(jobs, again) == "finished"
    assert script.order == ["a", "a"]
    assert go(jobs, "a") == again, "the newest answer"


def test_a_question_is_not_answered_by_what_was_not_finished(jobs: Jobs, script: Script) -> None:
    script.faults["a"] = UserError("No.")
    a = go(jobs, "a")
    wait_for(jobs, a)
    del script.faults["a"]
    b = go(jobs, "a")
    assert b != a and wait_for(jobs, b) == "finished"


def test_answers_outlive_the_server(make_jobs: MakeJobs, script: Script) -> None:
    jobs = make_jobs()
    a = go(jobs, "a")
    wait_for(jobs, a)
    jobs.close()
    reopened = make_jobs()
    assert go(reopened, "a") == a
    assert kinds(reopened, a)[-1] == "RunFinished" and script.order == ["a"]


def test_an_answer_is_given_even_to_those_with_a_full_queue(jobs: Jobs, script: Script) -> None:
    a = go(jobs, "a")
    wait_for(jobs, a)
    script.hold("going")
    go(jobs, "going", "Ann")
    script.wait_inside("going")
    for i in range(WAITING_EACH):
        go(jobs, f"waiting {i}", "Ann")
    assert go(jobs, "a", "Ann") == a


def test_own_text_stays_with_its_owner(jobs: Jobs, script: Script) -> None:
    own = RunSpec(model="a", source="own", text=OWN)
    first = jobs.start(own, "Ann")
    wait_for(jobs, first)
    second = jobs.start(own, "Bob")
    assert second != first and wait_for(jobs, second) == "finished"
    assert OWN.strip() not in str(jobs.read(first)[0])
    assert jobs.spec(first).text == OWN, "needed to resume it"


def test_pasted_text_that_was_not_used_is_not_shared_with_the_answer(jobs: Jobs) -> None:
    a = jobs.start(RunSpec(model="a", source="prose", text=OWN), "Ann")
    wait_for(jobs, a)
    assert jobs.start(RunSpec(model="a"), "Bob") == a
    row = jobs.store.run(a)
    assert row is not None and OWN.strip() not in row.spec and jobs.spec(a).text == ""


# --- reading --------------------------------------------------------------------------------------------------------


def test_ids_cannot_be_guessed(make_jobs: MakeJobs) -> None:
    """16 random bytes make 22 characters that are safe in a link and in a file's name."""
    jobs = make_jobs(workers=0)
    ids = [go(jobs, "a", str(i)) for i in range(100)]
    assert len({i[:8] for i in ids}) == 100
    assert all(len(i) == 22 and set(i) <= set(ID_CHARACTERS) for i in ids)


ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.parametrize("run_id", ["nobody", "", "../../etc/passwd", "' OR 1=1 --", "%", "a" * 10_000])
def test_an_unknown_id_is_a_key_error(jobs: Jobs, run_id: str) -> None:
    go(jobs, "a")
    for ask in (jobs.read, jobs.status, jobs.spec, jobs.resume):
        with pytest.raises(KeyError):
            ask(run_id)


def test_a_spec_is_read_back_as_it_was_asked(jobs: Jobs) -> None:
    spec = RunSpec(model="a", lambdas=(0.1, 0.2), sparsity=0.55)
    assert jobs.spec(jobs.start(spec)) == spec


def test_many_readers_see_every_event_once_and_in_order(make_jobs: MakeJobs, script: Script) -> None:
    script.steps = 200
    jobs = make_jobs()
    script.hold("a")
    a = go(jobs, "a")
    script.wait_inside("a")
    seen: list[list[int]] = [[] for _ in range(8)]

    def watch(numbers: list[int]) -> None:
        ended = False
        while not ended:
            records, ended = jobs.read(a, numbers[-1] if numbers else 0)
            numbers += [r["n"] for r in records]
            time.sleep(0.001)  # no reader is in a tight circle, which would keep the writer waiting

    watchers = [threading.Thread(target=watch, args=(numbers,), daemon=True) for numbers in seen]
    for thread in watchers:
        thread.start()
    script.release("a")
    for thread in watchers:
        thread.join(PATIENCE)
    assert seen == [list(range(1, 204))] * 8


def test_old_logs_leave_the_memory_and_are_read_again(
    make_jobs: MakeJobs, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "KEPT_LOGS", 3)
    jobs = make_jobs()
    ids: list[str] = []
    for i in range(8):
        ids.append(go(jobs, f"run {i}"))
        wait_for(jobs, ids[-1])
    assert len(jobs._logs) <= 4
    for run_id in ids:
        assert kinds(jobs, run_id) == ["Queued", "RunStarted", *["StageStarted"] * 3, "RunFinished"]
        assert len(jobs._logs) <= 4


def test_a_crowd_of_waiting_runs_does_not_hide_the_old_ones(
    make_jobs: MakeJobs, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More runs wait than logs are kept: ended ones are read from the store, and waiting ones stay live."""
    monkeypatch.setattr(logs_module, "KEPT_LOGS", 2)
    jobs = make_jobs()
    old = go(jobs, "old")
    wait_for(jobs, old)
    script.hold("first")
    go(jobs, "first")
    script.wait_inside("first")
    waiting = [go(jobs, f"w{i}", str(i)) for i in range(4)]
    resumed = go(jobs, "resumed", "someone")
    jobs.cancel(resumed)
    assert jobs.status(old) == "finished" and jobs.read(old)[1]
    jobs.resume(resumed, "someone")
    script.release("first")
    assert [wait_for(jobs, i) for i in [*waiting, resumed]] == ["finished"] * 5
    assert len(kinds(jobs, resumed)) == len(jobs.store.events(resumed))


def test_the_first_event_carries_the_card_and_not_the_text(jobs: Jobs) -> None:
    own = RunSpec(model="a", source="own", text=OWN)
    a = jobs.start(own)
    wait_for(jobs, a)
    first = Event.from_dict(jobs.store.events(a)[1])
    assert isinstance(first, RunStarted) and first == started(own)
