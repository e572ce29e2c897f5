"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import neuroal


def test_every_exported_name_exists_and_is_documented() -> None:
    for name in neuroal.__all__:
        assert getattr(neuroal, name).__doc__, name
    assert set(neuroal.__all__) == set(dir(neuroal))
    with pytest.raises(AttributeError, match="prunes"):
        _ = neuroal.prunes


@pytest.mark.parametrize("module", ["neuroal", "neuroal.runs.spec", "neuroal.runs.workshop", "neuroal.models"])
def test_what_the_page_needs_at_start_does_not_import_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_engine_never_imports_the_page() -> None:
    code = (
        "import pkgutil, importlib, sys, neuroal\n"
        "for m in pkgutil.walk_packages(neuroal.__path__, 'neuroal.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "sys.exit('gradio' in sys.modules or 'plotly' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
