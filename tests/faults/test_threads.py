"""Threads that die: the run says so, and whoever comes next has a worker."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

import pytest

from neuroal import background
from neuroal.background import in_background
from neuroal.runs import jobs as jobs_module
from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from tests.runs.helpers import PATIENCE, Script, eventually, kinds, wait_for

MakeJobs = Callable[..., Jobs]


def kill(thread: threading.Thread) -> None:
    """The most that can be done to a thread of Python: SystemExit, wherever it is."""
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)) == 1


def somebody_waits(jobs: Jobs) -> None:
    """Returns once a worker waits for a run."""
    eventually(lambda: jobs._changed._waiters)  # type: ignore[attr-defined]


def test_a_worker_that_is_killed_while_it_waits_takes_the_next_run(make_jobs: MakeJobs) -> None:
    jobs = make_jobs()
    for name in ("a", "b", "c"):
        somebody_waits(jobs)
        kill(jobs._threads[0])
        assert wait_for(jobs, jobs.start(RunSpec(model=name))) == "finished"


def test_a_worker_that_is_killed_in_a_run_fails_it_and_takes_the_next_one(make_jobs: MakeJobs, script: Script) -> None:
    jobs = make_jobs()
    script.hold("a")
    a = jobs.start(RunSpec(model="a"))
    script.wait_inside("a")
    b = jobs.start(RunSpec(model="b"))
    kill(jobs._threads[0])
    script.release("a")
    assert wait_for(jobs, a) == "failed"
    assert jobs.read(a)[0][-1]["message"].startswith("Something unexpected went wrong (SystemExit)")
    assert wait_for(jobs, b) == "finished"
    jobs.resume(a)
    assert wait_for(jobs, a) == "finished"


@pytest.mark.parametrize("fault", [SystemExit, KeyboardInterrupt, MemoryError, RuntimeError])
def test_whatever_befalls_a_worker_outside_the_run_ends_only_that_run(
    make_jobs: MakeJobs, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    jobs = make_jobs()
    with monkeypatch.context() as patch:

        def befallen(*_: object, **__: object) -> None:
            raise fault("out of the blue")

        patch.setattr(jobs_module, "drain", befallen)
        a = jobs.start(RunSpec(model="a"))
        assert wait_for(jobs, a) == "failed"
    assert kinds(jobs, a)[-1] == "RunFailed"
    eventually(lambda: not jobs._going)
    assert wait_for(jobs, jobs.start(RunSpec(model="b"))) == "finished"


def test_one_of_two_workers_that_is_killed_holds_nobody_up(make_jobs: MakeJobs, script: Script) -> None:
    jobs = make_jobs(workers=2)
    script.hold("a")
    a = jobs.start(RunSpec(model="a"))
    script.wait_inside("a")
    somebody_waits(jobs)
    for thread in jobs._threads:
        kill(thread)
    assert wait_for(jobs, jobs.start(RunSpec(model="b"))) == "finished"
    script.release("a")
    assert wait_for(jobs, a) == "failed"
    jobs.close()
    assert not any(thread.is_alive() for thread in jobs._threads)


def test_work_whose_thread_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread ends with a result or a fault, unless the system could not give it what it needed to say so."""
    monkeypatch.setattr(background, "HEARTBEAT", 0.01)
    monkeypatch.setattr(threading.Thread, "run", lambda self: None)
    with pytest.raises(RuntimeError, match="The thread of model is gone"):
        for _ in in_background("model", lambda say, stop: threading.Event().wait(PATIENCE)):
            pass
