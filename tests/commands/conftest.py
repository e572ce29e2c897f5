"""The fixtures of the runs, and the command line called in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from neuroal.commands.app import app
from tests.runs.conftest import language_model, loads, model_folder, small_spec

__all__ = ["language_model", "loads", "model_folder", "small_spec"]


@dataclass
class Said:
    """What a command wrote and how it ended."""

    code: int
    out: str
    err: str
    error: BaseException | None

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Said]


@pytest.fixture
def call() -> Call:
    """Calls the command line with these words."""

    def do(*words: object, stdin: str | None = None) -> Said:
        found = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
        error = None if isinstance(found.exception, SystemExit) else found.exception
        return Said(found.exit_code, found.stdout, found.stderr, error)

    return do


@pytest.fixture
def small(request: pytest.FixtureRequest) -> list[str]:
    """Options of a run of a fraction of a second: those of ``small_spec``."""
    folder: Path = request.getfixturevalue("model_folder")
    request.getfixturevalue("loads")
    sizes = ["--lambdas", "0.02,0.2", "--samples", "2", "--length", "32", "--eval-windows", "9", "--eval-length", "128"]
    return ["--model", str(folder), *sizes]
