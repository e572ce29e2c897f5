"""Recorded runs and sweeps that ship with the app: event logs, shown in the charts before anything is computed.

An example is a JSON-lines file in assets/examples, or in assets/sweeps: the first line its title and caption, each
further line one record of the log of a real run or sweep.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
SWEEPS = FOLDER.parent / "sweeps"
PREFIX = "example-"


@dataclass(frozen=True)
class Example:
    """A recorded run or sweep; ``id`` is what the page asks for."""

    id: str
    title: str
    caption: str
    records: list[dict[str, Any]]


def load_examples(folder: Path = FOLDER) -> dict[str, Example]:
    """Every recorded run by id, in the order of the file names."""
    return {example.id: example for example in map(_read, sorted(folder.glob("*.jsonl")))}


def save_example(name: str, title: str, caption: str, records: list[dict[str, Any]], folder: Path = FOLDER) -> Path:
    """Records a run as an example."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jsonl"
    lines = [{"title": title, "caption": caption}, *records]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines), encoding="utf-8")
    return path


def _read(path: Path) -> Example:
    head, *records = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return Example(f"{PREFIX}{path.stem}", head["title"], head["caption"], records)
