"""Freed memory stays with the process while it computes.

A pass through a block makes and frees the same few large tensors again and again. glibc hands blocks of that size back
to the kernel each time and gets them again as pages still to be cleared: 7 % of the time of a search on SmolLM2.
Nor do threads that are new by then get arenas of their own: what a helper had freed would lie idle there (6 MB each).
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# From glibc's malloc.h: parameters of mallopt. Blocks of up to 32 MiB (the most it takes) come from the heap.
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
NEVER, LARGEST = 2**31 - 1, 32 * 2**20


@contextmanager
def working_heap() -> Iterator[None]:
    """Keeps freed memory for the next tensor and gives it back to the system at the end; without glibc does nothing.

    The thresholds are the process's and stay as they are set; it is the giving back that ends the matter.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(TRIM_THRESHOLD, NEVER)
        libc.mallopt(MMAP_THRESHOLD, LARGEST)
        libc.mallopt(ARENA_MAX, 1)
    try:
        yield
    finally:
        if libc is not None:
            libc.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    """The C library where it is one with these functions."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        assert library.mallopt and library.malloc_trim
    except (OSError, AttributeError):
        return None
    return library
