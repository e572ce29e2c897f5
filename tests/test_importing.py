"""Imports are not interrupted by searches for garbage, and leave the collector as it was."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from neuroal.importing import uncollected

ASK = """
import gc, sys, threading
from neuroal.importing import import_engine
ran = []
gc.callbacks.append(lambda phase, info: ran.append("torch" in sys.modules and "neuroal.generation" not in sys.modules))
threads = [threading.Thread(target=import_engine) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(any(ran), gc.isenabled(), gc.get_freeze_count() > 10_000, "neuroal.generation" in sys.modules)
"""


def test_no_garbage_is_looked_for_while_the_engine_is_imported() -> None:
    said = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "True", "True", "True"]


def test_the_collector_is_on_again_also_after_a_failure() -> None:
    with pytest.raises(ImportError), uncollected():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_a_person_switched_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
