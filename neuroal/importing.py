"""Importing what is heavy, once, and by one thread at a time.

The page is up before torch and transformers are. Several threads may then want them at the same moment, and
transformers' lazy modules do not survive that: an import in one thread sees the half-made module of another.
"""

from __future__ import annotations

import functools
import gc
import importlib
import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_LOCK = threading.RLock()
_HEAVY = ("neuroal.runs.run", "neuroal.runs.estimate", "neuroal.runs.masks_file", "neuroal.generation")


def import_engine() -> None:
    """Returns when everything that needs torch has been imported; takes seconds once and nothing afterwards."""
    with _LOCK:
        _import_once()


@functools.cache
def _import_once() -> None:
    with uncollected():
        for name in _HEAVY:
            importlib.import_module(name)
    gc.freeze()  # what a process keeps for its life need not be looked through again, 100 ms each time


def import_heavy(name: str) -> ModuleType:
    """One more module that imports what is heavy, for whoever needs it later than the engine."""
    with _LOCK, uncollected():
        return importlib.import_module(name)


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage meanwhile: importing makes none, and the search takes a quarter of its time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def without_interface_files() -> Iterator[None]:
    """Gradio writes no ``.pyi`` for its components meanwhile. For each of ninety it reads and parses the source of the
    class at every start, 1.1 s of the 2.6 that importing it takes; an editor needs that, an app does not. A component
    whose source is not found has none, so meanwhile none is found."""
    found = inspect.getfile

    def getfile(thing: Any) -> str:
        if type(thing).__module__ == "gradio.component_meta":
            raise OSError("Not looked for.")
        return found(thing)

    inspect.getfile = getfile
    try:
        yield
    finally:
        inspect.getfile = found
