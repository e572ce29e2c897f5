"""Several processes of the app on one PostgreSQL, here each a Jobs or a Workshop with a store of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from components.stream import add_event_route
from neuroal.errors import UserError
from neuroal.runs import instances
from neuroal.runs import logs as logs_module
from neuroal.runs.instances import LEASE_SECONDS, Instance
from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store, Taken
from neuroal.runs.workshop import Workshop
from neuroal.sweeps.spec import SweepSpec
from tests.runs.helpers import PATIENCE, SMALL, Script, eventually, kinds, wait_for, weights_digest
from tests.runs.postgresql import Server

WHOLE = ["Queued", "RunStarted", *["StageStarted"] * 3, "RunFinished"]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(logs_module, "FOLLOW_SECONDS", 0.02)


class Replica:
    """One of the processes."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.script = Script()
        self.jobs = Jobs(Store(url), self.script, **settings)

    def hold(self, name: str) -> str:
        """Starts a run that stands still in the middle."""
        self.script.hold(name)
        run_id = self.jobs.start(RunSpec(model=name))
        self.script.wait_inside(name)
        return run_id

    def close(self) -> None:
        self.script.release()
        self.jobs.close()
        self.jobs.store.close()


@pytest.fixture
def replica(shared: str) -> Iterator[Callable[..., Replica]]:
    made: list[Replica] = []

    def make(**settings: Any) -> Replica:
        made.append(Replica(shared, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def a(replica: Callable[..., Replica]) -> Replica:
    return replica()


@pytest.fixture
def b(replica: Callable[..., Replica]) -> Replica:
    return replica()


def falls_silent(instance: Instance) -> None:
    """As kill -9, or as a process that hangs: it does not tell that it is there any more."""
    instance._stopped.set()
    instance._thread.join()  # type: ignore[union-attr]


def lapse(store: Store, of: str = "%", seconds: float = LEASE_SECONDS + 1) -> None:
    """The clock of the database goes on."""
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE instances SET seen = seen - %s WHERE id LIKE %s", (seconds, of))


# --- seen elsewhere -------------------------------------------------------------------------------------------------


def test_a_run_is_seen_live_elsewhere_once_and_in_order(a: Replica, b: Replica) -> None:
    a.script.steps = 50
    run_id = a.hold("m")
    assert b.jobs.status(run_id) == "running" and b.jobs.is_elsewhere(run_id) and not a.jobs.is_elsewhere(run_id)
    seen, over = b.jobs.read(run_id)
    assert [r["kind"] for r in seen] == ["Queued", "RunStarted"] and not over
    a.script.release("m")
    while not over:
        records, over = b.jobs.read(run_id, seen[-1]["n"])
        seen += records
    assert seen == a.jobs.store.events(run_id) and [r["n"] for r in seen] == list(range(1, 54))
    assert b.jobs.status(run_id) == "finished" and not b.jobs.is_elsewhere(run_id)


def test_a_stream_goes_on_at_any_replica_from_where_it_was(a: Replica, b: Replica) -> None:
    run_id = a.jobs.start(RunSpec(model="m"))
    wait_for(a.jobs, run_id)
    app = FastAPI()
    add_event_route(app, b.jobs)
    answer = TestClient(app).get(f"/gradio_api/runs/{run_id}/events", headers={"last-event-id": "4"})
    assert answer.text.startswith("id: 6\n") and answer.text.endswith("event: end\ndata: {}\n\n")
    assert '"n":5,' in answer.text and '"n":4,' not in answer.text


def test_nothing_is_asked_of_the_store_while_nobody_looks(
    a: Replica, b: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "WATCHED_SECONDS", 0.05)
    run_id, asked = a.hold("m"), []
    read = b.jobs.store.events
    monkeypatch.setattr(b.jobs.store, "events", lambda *args: asked.append(args) or read(*args))
    eventually(lambda: b.jobs.read(run_id) and any(len(args) == 2 for args in asked))  # followed, not only loaded
    eventually(lambda: len(b.jobs._logs) == 0 and not b.jobs._logs._somebody.is_set())
    before = len(asked)
    a.script.release("m")
    wait_for(a.jobs, run_id)
    assert len(asked) == before
    assert kinds(b.jobs, run_id) == WHOLE, "and who looks again sees it as it is by then"


def test_what_ended_here_and_went_on_elsewhere_is_seen_as_it_is(a: Replica, b: Replica) -> None:
    a.script.faults["m"] = UserError("No.")
    run_id = a.jobs.start(RunSpec(model="m"))
    assert wait_for(a.jobs, run_id) == "failed"
    b.jobs.resume(run_id)
    assert wait_for(b.jobs, run_id) == "finished"
    assert wait_for(a.jobs, run_id, "finished") == "finished"
    assert kinds(a.jobs, run_id) == kinds(b.jobs, run_id)
    assert kinds(a.jobs, run_id)[3:7] == ["Queued", "RunResumed", "RunStarted", "StageStarted"]


def test_a_deleted_run_is_gone_everywhere_until_it_is_restored_anywhere(a: Replica, b: Replica) -> None:
    run_id = a.jobs.start(RunSpec(model="m"))
    wait_for(a.jobs, run_id)
    a.jobs.store.delete(run_id)
    for each in (a, b):
        with pytest.raises(KeyError):
            each.jobs.read(run_id)
    b.jobs.store.restore(run_id)
    assert kinds(a.jobs, run_id) == kinds(b.jobs, run_id) == WHOLE


def test_a_question_that_is_being_answered_anywhere_is_known(a: Replica, b: Replica) -> None:
    run_id = a.hold("m")
    assert b.jobs.under_way(RunSpec(model="m")) == a.jobs.under_way(RunSpec(model="m")) == run_id
    assert b.jobs.under_way(RunSpec(model="n")) is None
    own = RunSpec(model="m", source="own", text="Mine.")
    a.jobs.start(own)
    assert b.jobs.under_way(own) is None
    b.jobs.cancel(run_id)
    assert b.jobs.under_way(RunSpec(model="m")) is None, "nobody wants to look at what is about to stop"


# --- cancelled and resumed elsewhere --------------------------------------------------------------------------------


def test_a_run_is_cancelled_from_elsewhere(a: Replica, b: Replica) -> None:
    going = a.hold("m")
    waiting = a.jobs.start(RunSpec(model="n"))
    assert b.jobs.cancel(going) and b.jobs.cancel(waiting) and not b.jobs.cancel("nobody")
    assert wait_for(b.jobs, waiting) == "cancelled"
    eventually(a.jobs._going[going].cancelled.is_set)
    a.script.release("m")
    assert wait_for(b.jobs, going) == "cancelled"
    assert not b.jobs.cancel(going)
    b.jobs.resume(going)
    assert wait_for(b.jobs, going) == "finished", "what was asked before it ended does not count"


def test_of_several_who_resume_a_run_one_does(replica: Callable[..., Replica]) -> None:
    replicas = [replica() for _ in range(3)]
    run_id = replicas[0].hold("m")
    replicas[0].jobs.cancel(run_id)
    replicas[0].script.release()
    for each in replicas:
        wait_for(each.jobs, run_id, "cancelled")
    refused, together = [], threading.Barrier(3)

    def person(of: Replica) -> None:
        together.wait()
        try:
            of.jobs.resume(run_id)
        except UserError as error:
            refused.append(str(error))

    people = [threading.Thread(target=person, args=(each,)) for each in replicas]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    assert len(refused) == 2 and all("can be resumed" in each for each in refused)
    for each in replicas:
        assert wait_for(each.jobs, run_id, "finished") == "finished"
    assert kinds(replicas[0].jobs, run_id).count("RunResumed") == 1


# --- one stops ------------------------------------------------------------------------------------------------------


def test_a_process_that_stops_leaves_its_runs_to_the_others_at_once(a: Replica, b: Replica) -> None:
    """Also the one whose engine says nothing, so that stopping takes long."""
    run_id, waiting = a.hold("m"), a.jobs.start(RunSpec(model="n"))
    closing = threading.Thread(target=a.jobs.close, args=(PATIENCE,))
    closing.start()
    assert wait_for(b.jobs, waiting) == wait_for(b.jobs, run_id) == "interrupted"
    assert closing.is_alive()
    a.script.release("m")
    closing.join()
    assert kinds(b.jobs, run_id) == ["Queued", "RunStarted", "RunInterrupted"]
    b.jobs.resume(run_id)
    assert wait_for(b.jobs, run_id) == "finished"
    [(_, earlier)] = b.script.calls
    assert [r["kind"] for r in earlier] == ["RunStarted", "RunInterrupted"]


def test_the_runs_of_a_silent_process_are_taken_over_when_its_lease_ends(
    a: Replica, b: Replica, replica: Callable[..., Replica]
) -> None:
    run_id, waiting = a.hold("m"), a.jobs.start(RunSpec(model="n"))
    falls_silent(a.jobs.instance)
    lapse(a.jobs.store, a.jobs.store.instance, LEASE_SECONDS - 5)
    c = replica()
    assert c.jobs.status(run_id) == b.jobs.status(run_id) == "running", "it may only be slow"
    lapse(a.jobs.store, a.jobs.store.instance)
    for each in (b, c):
        assert wait_for(each.jobs, run_id) == wait_for(each.jobs, waiting) == "interrupted"
    assert kinds(b.jobs, run_id).count("RunInterrupted") == 1, "by one of them"
    b.jobs.resume(run_id)
    assert wait_for(c.jobs, run_id, "finished") == "finished"


def test_a_process_that_wakes_up_does_not_write_into_what_was_taken_over(a: Replica, b: Replica) -> None:
    run_id, waiting = a.hold("m"), a.jobs.start(RunSpec(model="n"))
    falls_silent(a.jobs.instance)
    lapse(a.jobs.store, a.jobs.store.instance)
    assert wait_for(b.jobs, run_id) == wait_for(b.jobs, waiting) == "interrupted"
    b.jobs.resume(run_id)
    assert wait_for(b.jobs, run_id) == "finished"
    with pytest.raises(Taken):
        a.jobs.store.append(run_id, 99, 0.0, {"kind": "Notice", "message": "x"})
    a.script.release("m")
    eventually(lambda: not a.jobs._going and not len(a.jobs._waiting))
    assert wait_for(a.jobs, run_id, "finished") == "finished" and wait_for(a.jobs, waiting) == "interrupted"
    for each in (run_id, waiting):
        assert kinds(a.jobs, each) == kinds(b.jobs, each)
    a.jobs.instance.beat()
    assert wait_for(a.jobs, a.jobs.start(RunSpec(model="next"))) == "finished", "the worker lives"


def test_a_process_that_wakes_up_stops_what_was_taken_over(a: Replica, b: Replica) -> None:
    run_id, waiting = a.hold("m"), a.jobs.start(RunSpec(model="n"))
    falls_silent(a.jobs.instance)
    lapse(a.jobs.store, a.jobs.store.instance)
    assert wait_for(b.jobs, run_id) == wait_for(b.jobs, waiting) == "interrupted"
    a.jobs._look()
    assert a.jobs._going[run_id].cancelled.is_set() and not len(a.jobs._waiting)
    a.script.release("m")
    eventually(lambda: not a.jobs._going)
    assert a.script.order == ["m"] and wait_for(a.jobs, run_id) == "interrupted"


def test_a_jump_of_the_databases_clock_takes_nothing_from_anybody(a: Replica, b: Replica) -> None:
    falls_silent(b.jobs.instance)
    run_id = a.hold("m")
    falls_silent(a.jobs.instance)
    lapse(a.jobs.store, seconds=3600)
    b.jobs.instance.beat()  # and finds that an hour has passed since the last one
    b.jobs._look()
    assert b.jobs.status(run_id) == "running"
    b.jobs.instance._judges_from = time.monotonic()  # the time of a lease later a is still silent
    b.jobs._look()
    assert wait_for(b.jobs, run_id) == "interrupted"


def test_an_end_that_could_not_be_stored_is_made_up_for(
    a: Replica, b: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = a.hold("m")
    falls_silent(a.jobs.instance)

    def full(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("no space left on device"))

    with monkeypatch.context() as patch:
        patch.setattr(a.jobs.store, "append", full)
        a.script.release("m")
        eventually(lambda: not a.jobs._going)
    assert b.jobs.status(run_id) == "running"
    a.jobs._look()
    assert wait_for(b.jobs, run_id) == "interrupted"
    a.jobs.resume(run_id)
    assert wait_for(b.jobs, run_id, "finished") == "finished"


def test_processes_that_start_together_prepare_an_empty_database_once(postgresql: Server) -> None:
    url, faults = postgresql.new_database(), []

    def start() -> None:
        try:
            Store(url).close()
        except UserError as error:
            faults.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


# --- whole servers --------------------------------------------------------------------------------------------------


@pytest.fixture
def open_replica(
    shared: str, tmp_path: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Workshop]]:
    """Servers with one data folder, as replicas on one machine or one shared disk have."""
    monkeypatch.setenv("NEUROAL_STORE", shared)
    opened: list[Workshop] = []

    def make() -> Workshop:
        opened.append(Workshop(tmp_path))
        return opened[-1]

    yield make
    for workshop in opened:
        workshop.close()


def stand_still(workshop: Workshop, kind: str, nth: int) -> threading.Event:
    """Stops the draining of a run after its n-th event of a kind, until the event that is returned is set."""
    save, seen, gate = workshop.jobs.store.append, [0], threading.Event()

    def append(run_id: str, n: int, t: float, payload: dict[str, Any], *more: Any) -> None:
        save(run_id, n, t, payload, *more)
        seen[0] += payload["kind"] == kind
        if payload["kind"] == kind and seen[0] == nth:
            gate.wait(60)

    workshop.jobs.store.append = append  # type: ignore[method-assign]
    return gate


def dies(workshop: Workshop) -> None:
    falls_silent(workshop.jobs.instance)
    lapse(workshop.jobs.store, workshop.jobs.store.instance)


def test_a_run_goes_on_elsewhere_to_the_same_result(open_replica: Callable[[], Workshop], small_spec: RunSpec) -> None:
    one, other = open_replica(), open_replica()
    gate = stand_still(one, "BlockScored", 4)
    run_id = one.start(small_spec)
    eventually(lambda: kinds(other.jobs, run_id).count("BlockScored") == 4)
    assert other.start(small_spec) == run_id, "it is being answered"
    dies(one)
    assert wait_for(other.jobs, run_id) == "interrupted"
    assert other.asked(small_spec) is None
    other.jobs.resume(run_id)
    assert wait_for(other.jobs, run_id) == "finished"
    whole = other.jobs.start(small_spec, again=True)
    assert wait_for(other.jobs, whole) == "finished"
    assert scores(other, run_id) == scores(other, whole)
    assert weights_digest(other.pair(run_id)[1]) == weights_digest(other.pair(whole)[1])
    gate.set()
    eventually(lambda: not one.jobs._going)
    assert one.start(small_spec) == whole
    assert weights_digest(one.pair(run_id)[1]) == weights_digest(other.pair(run_id)[1])


def scores(workshop: Workshop, run_id: str) -> set[tuple[Any, ...]]:
    """Of candidates, each told once, and of evaluations."""
    records = workshop.jobs.read(run_id)[0]
    found = [(r["step"], r["lam"], r["score"]) for r in records if r["kind"] == "CandidateFinished"]
    found += [(r["metric"], r["variant"], r["value"]) for r in records if r["kind"] == "Measured"]
    assert len(found) == len(set(found))
    return set(found)


def test_a_sweep_goes_on_elsewhere(open_replica: Callable[[], Workshop], model_folder: Path) -> None:
    base = {k: v for k, v in SMALL.items() if k != "lambdas"} | {"pruner": "magnitude", "top_up": "uniform"}
    spec = SweepSpec({**base, "model": str(model_folder)}, ([{"sparsity": sparsity} for sparsity in (0.4, 0.5, 0.6)],))
    one, other = open_replica(), open_replica()
    gate = stand_still(one, "RunFinished", 2)
    sweep_id = one.sweeps.start(spec)
    jobs = other.sweeps.jobs
    eventually(lambda: kinds(jobs, sweep_id).count("MemberStarted") == 2)
    second = [r["run"] for r in jobs.read(sweep_id)[0] if r["kind"] == "MemberStarted"][1]
    assert wait_for(other.jobs, second) == "finished"  # where it stands still
    assert other.sweeps.start(spec) == sweep_id
    dies(one)
    assert wait_for(jobs, sweep_id) == "interrupted"
    other.sweeps.resume(sweep_id)
    assert wait_for(jobs, sweep_id) == "finished"
    over = {r["index"]: r["status"] for r in jobs.read(sweep_id)[0] if r["kind"] == "MemberFinished"}
    assert over == dict.fromkeys(range(3), "finished")
    gate.set()


def test_a_sqlite_file_is_for_one_process(
    open_workshop: Callable[[], Workshop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_workshop()
    monkeypatch.setattr(instances, "STOPPING_SECONDS", 0.0)
    with pytest.raises(UserError, match="Another process of this app uses this store. Stop it, give this one") as told:
        Workshop(tmp_path)
    assert str(tmp_path) not in str(told.value)
    first.close()
    open_workshop()
