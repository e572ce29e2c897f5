"""How threads wait is decided before torch is there, and a person's own choice is left alone; how a process ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest
from threadpoolctl import ThreadpoolController

from neuroal.threads import NICENESS, SPINS, numpy_on_one_thread, stand_back

ASK = "import os, sys, neuroal; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"


@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, f"{SPINS} False"), ({"GOMP_SPINCOUNT": "7"}, "7 False"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None False")],
)
def test_importing_the_engine_decides_it(own: dict[str, str], expected: str) -> None:
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    answer = subprocess.run(
        [sys.executable, "-c", ASK], env={**clean, **own}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a thread has a priority of its own on Linux only")
def test_a_thread_that_stands_back_takes_those_it_starts_with_it_and_nobody_else() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work() -> None:
        stand_back()
        seen.append(priority())
        helper = threading.Thread(target=lambda: seen.append(priority()))
        helper.start()
        helper.join()

    before, seen = priority(), []
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert seen == [NICENESS, NICENESS]
    assert priority() == before


def test_a_process_ends_although_a_download_hangs() -> None:
    """Python would wait for it."""
    code = (
        "import time; from concurrent.futures import ThreadPoolExecutor as Pool; from neuroal import threads\n"
        "Pool().submit(time.sleep, 60); threads.end_at_the_latest(0.5)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=50).returncode == 0


@pytest.mark.parametrize("ended", [True, False])
def test_a_process_ends_in_the_middle_of_a_product(ended: bool) -> None:
    """Also what was registered for the end is done, and what was printed is seen; Python by itself would abort."""
    code = (
        "import atexit, sys, threading, time; from neuroal import threads; import torch\n"
        "layer, going = torch.nn.Linear(700, 700), threading.Event(); atexit.register(print, 'done')\n"
        "def work():\n"
        "    while True: layer(torch.ones(700, 700)); going.set()\n"
        "for _ in range(2): threading.Thread(target=work, daemon=True).start()\n"
        "going.wait(); ended = sys.argv[1] == 'True' and threads.end_without_threads(7)"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(ended)], timeout=60, stdout=subprocess.PIPE, text=True)
    assert answer.stdout == "done\n"
    assert (answer.returncode == 7) is ended


def test_one_thread_computes_alone_and_the_others_as_before() -> None:
    """How many threads torch would share a product among: in this thread, within, in another one meanwhile, after."""
    code = (
        "import threading, torch; from neuroal.threads import on_one_thread\n"
        "def tell(): print(torch.get_num_threads())\n"
        "tell()\n"
        "with on_one_thread():\n"
        "    torch.ones(100_000).sqrt(); tell()\n"
        "    other = threading.Thread(target=tell); other.start(); other.join()\n"
        "tell()"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    many = str(min(2, os.cpu_count() or 1))
    assert answer.stdout.split() == [many, "1", many, many]


@pytest.mark.parametrize(("threads", "share"), [("1", "1"), ("2", "1"), ("5", "2")])
def test_a_thread_computes_on_its_share(threads: str, share: str) -> None:
    """Half of torch's threads, one at least; in the thread itself only, and only within."""
    code = (
        "import threading, torch; from neuroal.threads import on_a_share\n"
        "def tell(): print(torch.get_num_threads())\n"
        "def work():\n"
        "    with on_a_share(2): torch.ones(100_000).sqrt(); tell()\n"
        "    tell()\n"
        f"torch.set_num_threads({threads})\n"
        "one = threading.Thread(target=work); one.start(); one.join(); tell()"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [share, threads, threads]


def test_numpy_shares_no_product_until_the_last_who_asked_has_left() -> None:
    pools = ThreadpoolController().select(internal_api="openblas")
    if not pools.lib_controllers:
        pytest.skip("this numpy has no OpenBLAS")

    def threads() -> set[int]:
        return {pool["num_threads"] for pool in pools.info()}

    with pools.limit(limits=2):  # as a person may have set it
        first, second = ExitStack(), ExitStack()
        first.enter_context(numpy_on_one_thread)
        second.enter_context(numpy_on_one_thread)
        assert threads() == {1}
        first.close()
        assert threads() == {1}
        second.close()
        assert threads() == {2}
