"""Bundles that mean harm: bombs, names that lead out, logs that are no logs, and texts that would like to be drawn."""

from __future__ import annotations

import ast
import csv
import io
import json
import shlex
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.bundles import adopted_sweep, chart_pages
from components.refusal import REFUSED, refusal
from neuroal.errors import UserError
from neuroal.runs.events import RunFinished
from neuroal.runs.examples import load_examples
from neuroal.runs.spec import RunSpec
from neuroal.sharing.archive import MOST_FILES, MOST_LETTERS
from neuroal.sharing.bundle import read_bundle
from neuroal.sharing.repeat import repeated
from neuroal.sharing.tables import point_tables
from tests.runs.helpers import records_of, started

ABOUT = json.dumps({"format": 1, "kind": "run"})
SPEC = RunSpec(model="tiny", sparsity=0.5)
LOG = "".join(json.dumps(record) + "\n" for record in records_of([started(SPEC), RunFinished(1.0, 2)]))

# Bytes and seconds that a refusal may take.
MOST_MEMORY, MOST_SECONDS = 300 * 2**20, 20.0


def zipped(files: dict[str, bytes | str], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", packing) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return target.getvalue()


def bomb(packing: int, megabytes: int) -> Callable[[], bytes]:
    return lambda: zipped({"run.json": ABOUT, "events.jsonl": b" " * (megabytes * 10**6)}, packing)


def many_files() -> bytes:
    return zipped({"run.json": ABOUT, "events.jsonl": LOG, **{f"{n}": "" for n in range(MOST_FILES + 10)}})


def hidden_directory() -> bytes:
    """The directory of many files, whose end says that there are two."""
    content = bytearray(many_files())
    end = content.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", content, end + 8, 2, 2)
    return bytes(content)


def wide_line() -> bytes:
    """A record of ten times as many letters as are allowed; what it says would take a gigabyte of memory."""
    line = '{"n":1,"t":0,"kind":"Queued","position":[' + "{}," * (10 * MOST_LETTERS // 3) + "{}]}"
    return zipped({"run.json": ABOUT, "events.jsonl": line})


def deep_line() -> bytes:
    return zipped({"run.json": ABOUT, "events.jsonl": "[" * 1_000_000})


def locked() -> bytes:
    """Says that it needs a password."""
    content = bytearray(zipped({"run.json": ABOUT, "events.jsonl": LOG}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(signature, at + 1)) >= 0:
            content[at + offset] |= 1
    return bytes(content)


def links() -> bytes:
    """Symbolic links in the place of its files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as out:
        for name in ("run.json", "events.jsonl"):
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, 0o120777 << 16
            out.writestr(entry, "/etc/passwd")
    return target.getvalue()


def two_of_one_name() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as out, pytest.warns(UserWarning):
        for content in (LOG, LOG, "[]"):
            out.writestr("events.jsonl", content)
        out.writestr("run.json", ABOUT)
    return target.getvalue()


def only_outside() -> bytes:
    return zipped({"../run.json": ABOUT, "/events.jsonl": LOG, "C:\\run.json": ABOUT, "..\\events.jsonl": LOG})


BUNDLES: list[tuple[str, Callable[[], bytes]]] = [
    ("a bomb by deflate", bomb(zipfile.ZIP_DEFLATED, 70)),
    ("a bomb by bzip2", bomb(zipfile.ZIP_BZIP2, 70)),
    ("a bomb by LZMA", bomb(zipfile.ZIP_LZMA, 70)),
    ("a sound log by bzip2", lambda: zipped({"run.json": ABOUT, "events.jsonl": LOG}, zipfile.ZIP_BZIP2)),
    ("5,000 files", many_files),
    ("5,000 files that are not counted", hidden_directory),
    ("a line of forty million letters", wide_line),
    ("a line of a million lists", deep_line),
    ("a password", locked),
    ("links", links),
    ("two logs of one name", two_of_one_name),
    ("names that lead out, and no others", only_outside),
    ("a bundle in a bundle", lambda: zipped({"run.zip": zipped({"run.json": ABOUT, "events.jsonl": LOG})})),
    ("a log of zero bytes", lambda: zipped({"run.json": ABOUT, "events.jsonl": b"\0" * 10_000})),
    ("a log that is no UTF-8", lambda: zipped({"run.json": ABOUT, "events.jsonl": b"\xff\xfe" * 10_000})),
    ("an order of bytes", lambda: zipped({"run.json": ABOUT, "events.jsonl": LOG.encode("utf-16")})),
]


@pytest.mark.parametrize(("label", "make"), BUNDLES, ids=[label for label, _ in BUNDLES])
def test_a_bundle_is_refused_in_a_sentence_and_little_memory(
    label: str, make: Callable[[], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(make())
    before = sorted(tmp_path.rglob("*"))
    for open_it in (lambda: read_bundle(path), lambda: adopted_sweep(SimpleNamespace(), path)):
        begun = time.monotonic()
        tracemalloc.start()
        with pytest.raises(UserError) as error:
            open_it()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_MEMORY and time.monotonic() - begun < MOST_SECONDS
        assert "\n" not in str(error.value) and len(str(error.value)) < 300
    assert sorted(tmp_path.rglob("*")) == before, "nothing was unpacked"


# --- texts ----------------------------------------------------------------------------------------------------------

TEXTS = [
    "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "${alert(1)}", "{{ 7 * 7 }}", "`${1}`",
    "![x](https://evil.example/x.png)", "[x](javascript:alert(1))", "https://evil.example/", "$$\\href{//evil}{x}$$",
    '""")\nimport os; os.mkdir("harm")\n("""', "\\", '\\"', "'; touch harm; '", "$(touch harm)",
    "=HYPERLINK('//evil')",
    "@SUM(1)", "+1", "-1", "\tx", "\u2028alert(1)\u2029", "\u202egnp.exe", "a\0b", "*bold* _italic_ # title | table",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_refusal_repeats_a_text_as_text(text: str) -> None:
    """Markdown of it has no tag, picture, link, formula or emphasis."""
    said = refusal(UserError(f"Model {text} is not known."))
    assert said.startswith(REFUSED)
    entities = said.replace("&#", "")
    assert not set(entities) & set("<>[]`*_$\\|{}~!@") and "://" not in said


@pytest.mark.parametrize("text", TEXTS)
def test_a_script_and_a_command_hold_a_text_as_text(text: str, tmp_path: Path) -> None:
    card = {**SPEC.card(), "model": text, "exclude": [text]}
    made = repeated(card)
    tree = ast.parse(made["script"])
    (spec,) = [ast.literal_eval(node.value.args[0]) for node in ast.walk(tree)
               if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "SPEC"]  # fmt: skip
    assert json.loads(spec) == card
    assert {type(node).__name__ for node in tree.body} <= {"Expr", "Import", "ImportFrom", "Assign", "For"}
    words = shlex.split(made["command"])
    assert words[words.index("--model") + 1] == text


@pytest.mark.parametrize("text", TEXTS)
def test_a_table_holds_no_formula(text: str) -> None:
    member = {"settings": {}, "label": text, "sparsity": 0.5, "control": False}
    tables = point_tables([{"kind": "SweepStarted", "members": [member]}])
    (row,) = list(csv.DictReader(io.StringIO(tables["points.csv"].replace("\0", ""))))
    assert row["label"].lstrip("'") == text.replace("\0", "").lstrip("'") or "\r" in text
    assert not row["label"].startswith(("=", "+", "-", "@", "\t"))
    assert json.loads(tables["points.json"])[0]["label"] == text


def spoilt(value: Any, text: str) -> Any:
    """Every text in a record but those that say what it is."""
    if isinstance(value, dict):
        kept = ("kind", "step", "variant", "metric", "pruner", "top_up", "mode", "started", "source")
        return {name: item if name in kept else spoilt(item, text) for name, item in value.items()}
    if isinstance(value, list):
        return [spoilt(item, text) for item in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("text", TEXTS[:5])
def test_a_chart_page_holds_a_text_as_text(text: str) -> None:
    records = [spoilt(record, text) for record in next(iter(load_examples().values())).records]
    pages = chart_pages(records)
    assert pages.keys() >= {"scores.html"}
    for name, page in pages.items():
        if name.endswith(".html"):
            assert "<img" not in page and page.count("</script>") == page.count("<script"), name
