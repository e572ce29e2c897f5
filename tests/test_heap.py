"""Memory that is freed while a search computes is not cleared anew for every tensor, and is given back at the end."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
import torch

from neuroal.heap import _glibc, working_heap


@pytest.mark.skipif(_glibc() is None, reason="this system has another allocator")
def test_the_same_tensor_again_costs_no_new_pages() -> None:
    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            torch.empty(2**20).fill_(1.0)  # 4 MiB: 1,024 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with working_heap():
        torch.empty(2**20).fill_(1.0)
        assert faults() < 1024


@pytest.mark.skipif(_glibc() is None, reason="this system has another allocator")
def test_it_is_given_back() -> None:
    """In a process of its own: what other threads of this one still compute with is given back after them only."""
    code = (
        "import psutil, torch; from neuroal.heap import working_heap\n"
        "rss = lambda: psutil.Process().memory_info().rss\n"
        "with working_heap():\n"
        "    several = [torch.ones(2**20) for _ in range(64)]\n"  # 256 MiB
        "    del several; held = rss()\n"
        "print(held - rss())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(told) > 200 * 2**20


def test_an_error_passes_through() -> None:
    with pytest.raises(ValueError, match="as it was"), working_heap():
        raise ValueError("as it was")


def test_other_systems_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    _glibc.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    try:
        assert _glibc() is None
        with working_heap():
            pass
    finally:
        _glibc.cache_clear()


@pytest.mark.skipif(_glibc() is None, reason="this system has another allocator")
def test_what_a_new_thread_frees_is_used_again_by_others() -> None:
    """In a process of its own, whose other threads have their arenas from before."""
    code = (
        "import psutil, threading, torch; from neuroal.heap import working_heap\n"
        "rss = lambda: psutil.Process().memory_info().rss\n"
        "fill = lambda: [torch.empty(2**20).fill_(1) for _ in range(6)]\n"  # 24 MiB
        "with working_heap():\n"
        "    helper = threading.Thread(target=fill); helper.start(); helper.join()\n"
        "    held = rss(); kept = fill()\n"
        "    print(rss() - held)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(told) < 8 * 2**20
