"""Imports are not interrupted by searches for garbage or for what Gradio writes, and leave all as it was."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neuroal.importing import uncollected

ROOT = Path(__file__).resolve().parent.parent

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


COMPONENT = "import gradio\n\nclass Mine(gradio.HTML):\n    pass\n"

PYI = """
import inspect, pathlib
from neuroal.importing import without_interface_files
before = inspect.getfile
with without_interface_files():
    import one
print(inspect.getfile is before, inspect.getfile(one.Mine).endswith("one.py"))
import other
print(*(file.name for file in pathlib.Path().glob("*.pyi")))
"""


def test_gradio_writes_no_interface_files_meanwhile(tmp_path: Path) -> None:
    """The second component is there to see that Gradio would."""
    for name in ("one", "other"):
        (tmp_path / f"{name}.py").write_text(COMPONENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    said = subprocess.run(
        [sys.executable, "-c", PYI], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["True", "True", "other.pyi"]
