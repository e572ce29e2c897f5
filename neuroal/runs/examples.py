"""Recorded runs and sweeps that ship with the app: event logs, shown in the charts before anything is computed.

An example is a JSON-lines file in assets/examples, or in assets/sweeps: the first line its title and caption, each
further line one record of the log of a real run or sweep. A number in front of a file's name only says where it comes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
SWEEPS = FOLDER.parent / "sweeps"
PREFIX = "example-"


@dataclass(frozen=True)
class Example:
    """A recorded run or sweep.

    Attributes:
        id: what the page asks for.
        title: a few words.
        caption: a paragraph: what to notice.
        records: its log.
        line: for a card among others: why to look at it.
    """

    id: str
    title: str
    caption: str
    records: list[dict[str, Any]]
    line: str = ""

    @property
    def name(self) -> str:
        """What a link calls it."""
        return self.id.removeprefix(PREFIX)


def load_examples(folder: Path = FOLDER) -> dict[str, Example]:
    """Every recorded run by id, in the order of the file names."""
    return {example.id: example for example in map(_read, sorted(folder.glob("*.jsonl")))}


def save_example(
    name: str, title: str, caption: str, records: list[dict[str, Any]], folder: Path = FOLDER, line: str = ""
) -> Path:
    """Records a run as an example, in a file of this name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jsonl"
    head = {"title": title, "line": line, "caption": caption}
    text = "".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n" for row in [head, *records])
    path.write_text(text, encoding="utf-8")
    return path


def _read(path: Path) -> Example:
    head, *records = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    name = re.sub(r"^\d+-", "", path.stem)
    return Example(f"{PREFIX}{name}", head["title"], head["caption"], records, head.get("line", ""))
