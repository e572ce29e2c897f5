"""The notebook that ships: it is what its script writes, and its cells run from top to bottom."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest

from tests.benchmarks.write_notebook import PATH, notebook


def test_the_notebook_is_what_its_script_writes() -> None:
    assert PATH.read_text(encoding="utf-8") == notebook(), "run python tests/benchmarks/write_notebook.py"


def test_its_cells_run_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PATH.parent)  # where Jupyter starts it
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scope: dict[str, object] = {}
    for cell in json.loads(PATH.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), scope)
    perplexity = scope["perplexity"]
    assert perplexity["dense"] < perplexity["NeuroAL"] < 3 * perplexity["dense"]
    assert f"saved and loaded again: perplexity {perplexity['NeuroAL']:.1f}" in capsys.readouterr().out
    assert (tmp_path / scope["folder"] / "model.safetensors").is_file()
