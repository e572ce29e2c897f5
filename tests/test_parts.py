"""Work shared out among threads: all of it once, each job on one thread, and what a job raises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import torch

from neuroal import parts
from neuroal.parts import share_out
from neuroal.statistics import FadingNorm, InputNorm
from neuroal.threads import on_one_thread

PATIENCE = 20.0


@pytest.fixture(autouse=True)
def _three_threads(on_threads: Callable[[int], None]) -> None:
    on_threads(3)


def test_parts_are_all_rows_and_no_larger_than_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 24)
    assert list(parts.parts(7, 8)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(parts.parts(2, 100)) == [slice(0, 1), slice(1, 2)], "a row is never cut"
    assert list(parts.parts(0, 8)) == [] and list(parts.parts(3, 0)) == [slice(0, 3)]


def test_every_job_is_done_once_by_several_threads_and_torch_starts_none_for_it() -> None:
    done: list[int] = []
    names: set[str] = set()
    threads: set[int] = set()
    met = threading.Barrier(3)

    def job(number: int) -> None:
        if number < 3:
            met.wait(PATIENCE)  # only where three threads are at it
        torch.randn(300, 300).abs_()
        done.append(number)
        names.add(threading.current_thread().name)
        threads.add(torch.get_num_threads())

    share_out([lambda n=n: job(n) for n in range(20)], 2**24)
    assert sorted(done) == list(range(20))
    assert len(names) == 3 and threading.current_thread().name in names
    assert threads == {1}
    assert torch.get_num_threads() == 3, "the caller has its own again"


def test_what_is_small_and_what_is_to_stay_on_one_thread_stays() -> None:
    names: list[str] = []
    jobs = [lambda: names.append(threading.current_thread().name)] * 8
    share_out(jobs, parts.WORTH)
    with on_one_thread():
        share_out(jobs, 2**24)
    share_out([], 2**24)
    assert names == [threading.current_thread().name] * 16


@pytest.mark.parametrize("where", ["here", "there"])
def test_what_a_job_raises_arrives_and_nothing_goes_on_after_it(where: str) -> None:
    """Raised by this thread or by a helper, while another job is under way."""
    here, begun, ended = threading.current_thread(), threading.Event(), []

    def job() -> None:
        if (threading.current_thread() is here) == (where == "here"):
            assert begun.wait(PATIENCE)
            raise ValueError("not this one")
        begun.set()
        time.sleep(0.05)
        ended.append(1)

    with pytest.raises(ValueError, match="not this one"):
        share_out([job] * 2, 2**18)
    assert ended == [1], "who was at work has ended"
    assert torch.get_num_threads() == 3


def test_helpers_that_are_busy_elsewhere_are_not_waited_for() -> None:
    """Another run has the pool for itself: this one does all by itself."""
    begun, freed = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        begun.release()
        freed.wait(PATIENCE)

    held = [parts._pool(3).submit(hold) for _ in range(3)]
    try:
        assert all(begun.acquire(timeout=PATIENCE) for _ in held)
        names: list[str] = []
        share_out([lambda: names.append(threading.current_thread().name)] * 9, 2**24)
        assert names == [threading.current_thread().name] * 9
    finally:
        freed.set()
    assert [one.result(PATIENCE) for one in held] == [None] * 3


@pytest.mark.parametrize("kind", [InputNorm, FadingNorm])
def test_a_norm_is_computed_once_until_more_is_gathered(kind: type[InputNorm]) -> None:
    """Threads ask for it part by part; the root would be shared out by MKL among threads of its own."""
    gathered = kind()
    gathered.update(torch.ones(1, 4, 3))
    first = gathered.norm
    assert gathered.norm is first
    gathered.update(torch.zeros(1, 4, 3))
    assert not torch.equal(gathered.norm, first)
