"""Whatever comes: a spec, a bundle and a cursor are understood or refused in a sentence. The same inputs every time."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from components.bundles import adopted
from components.stream import _cursor
from neuroal.errors import UserError
from neuroal.runs.events import Event
from neuroal.runs.examples import load_examples
from neuroal.runs.spec import RunSpec
from neuroal.sharing.bundle import read_bundle, write_bundle
from neuroal.sharing.sweep_bundle import read_sweep
from neuroal.sweeps.spec import SweepSpec

BOUNDED = settings(
    max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

PLAIN = (
    st.none() | st.booleans() | st.integers() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=30)
    | st.sampled_from(["tiny", "wanda", "neuroal", "own", "2:4", "nan", "../x", "\ud800", "${1}"])
)  # fmt: skip
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
SETTINGS = st.dictionaries(
    st.sampled_from(list(RunSpec.__dataclass_fields__)) | st.text(max_size=8), VALUES, max_size=5
)
KINDS = [kind.__name__ for kind in Event.__subclasses__()]
EXAMPLE = next(iter(load_examples().values())).records


def refused_or(made: Any) -> str:
    """What is said of a value; empty where it is made. Anything but a UserError is a fault, and fails the test."""
    try:
        made()
    except UserError as error:
        assert str(error) and "\n" not in str(error) and len(str(error)) < 2000
        return str(error)
    return ""


@BOUNDED
@given(SETTINGS.map(json.dumps) | VALUES.map(json.dumps) | st.text(max_size=200))
@example("[" * 100_000)
@example("1" * 10_000)
@example('{"samples": 1e400}')
@example('{"model": "\\ud800"}')
def test_a_spec(text: str) -> None:
    refused_or(lambda: RunSpec.from_json(text).key())


@BOUNDED
@given(
    st.fixed_dictionaries({}, optional={"base": SETTINGS | VALUES, "control": VALUES,
                                        "axes": st.lists(st.lists(SETTINGS, max_size=3) | VALUES, max_size=3) | VALUES})
    .map(json.dumps) | VALUES.map(json.dumps) | st.text(max_size=200)
)  # fmt: skip
@example("{" * 100_000)
@example(json.dumps({"axes": [[{"seed": n} for n in range(1000)], [{"sparsity": 0.5}, {"sparsity": 0.6}]]}))
def test_a_sweep(text: str) -> None:
    refused_or(lambda: SweepSpec.from_json(text).key())


@pytest.fixture(scope="module")
def sound() -> bytes:
    target = io.BytesIO()
    write_bundle(target, [record for record in EXAMPLE if record["kind"] != "BlockScored"])
    return target.getvalue()


@BOUNDED
@given(data=st.data())
def test_a_bundle_with_wrong_bytes(data: st.DataObject, sound: bytes) -> None:
    content = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    for read in (read_bundle, read_sweep):
        refused_or(lambda read=read: read(io.BytesIO(bytes(content[:cut]))))


@BOUNDED
@given(st.binary(max_size=400), st.dictionaries(st.sampled_from(["run.json", "sweep.json", "events.jsonl", "../x"]),
                                                st.binary(max_size=200)))  # fmt: skip
def test_a_bundle_of_anything(tail: bytes, files: dict[str, bytes]) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)
    for content in (tail, target.getvalue() + tail, tail + target.getvalue()):
        for read in (read_bundle, read_sweep):
            assert refused_or(lambda read=read, content=content: read(io.BytesIO(content)))


@BOUNDED
@given(data=st.data())
def test_a_log_that_somebody_has_changed(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A true log with strange values, also such as its classes allow: it is drawn, or refused."""
    records = json.loads(json.dumps(EXAMPLE[:40] + EXAMPLE[-40:]))
    for _ in range(data.draw(st.integers(1, 4))):
        record = records[data.draw(st.integers(0, len(records) - 1))]
        name = data.draw(st.sampled_from(sorted(record)))
        near = st.floats(allow_nan=False) | st.integers(-5, 5) if isinstance(record[name], (int, float)) else VALUES
        record[name] = data.draw(near | VALUES | st.sampled_from(KINDS))
    path: Path = tmp_path_factory.mktemp("fuzz") / "x.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("run.json", json.dumps({"format": 1, "kind": "run"}))
        out.writestr("events.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    jobs: Any = SimpleNamespace(adopt=lambda spec, log: "an id of ours")
    refused_or(lambda: adopted(jobs, path))
    path.unlink()


@BOUNDED
@given(st.binary(max_size=40) | st.integers(-(10**20), 10**20).map(lambda n: str(n).encode()), st.binary(max_size=40))
@example(b"\xc2\xb2", b"")
@example(b"9" * 400, b"after=9")
@example(b"", b"after=%D9%A3&after=4")
def test_a_cursor(header: bytes, query: bytes) -> None:
    scope = {"type": "http", "headers": [(b"last-event-id", header)], "query_string": query}
    assert 0 <= _cursor(Request(scope)) < 10**16
