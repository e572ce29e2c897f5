"""Bundles: what goes in comes out, and what somebody else made is looked at closely."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.runs.events import (
    BlockScored,
    LambdaChosen,
    Measured,
    Queued,
    RunCancelled,
    RunFinished,
    RunPlanned,
    RunStarted,
    TokensCompared,
)
from neuroal.runs.examples import load_examples
from neuroal.runs.spec import RunSpec
from neuroal.sharing import archive
from neuroal.sharing import bundle as bundles
from neuroal.sharing.archive import NOT_ONE, OWN_TEXT
from neuroal.sharing.bundle import read_bundle, write_bundle
from neuroal.sharing.shapes import well_formed
from tests.runs.helpers import records_of, started

EXAMPLE = next(iter(load_examples().values())).records
SPEC = RunSpec(model="tiny", sparsity=0.5)


def packed(records: list[dict[str, Any]], **charts: str) -> io.BytesIO:
    target = io.BytesIO()
    write_bundle(target, records, charts)
    return target


def made(**files: bytes | str) -> io.BytesIO:
    """A zip file as anybody may make it; dots in names are written as two underlines."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name.replace("__", "."), content)
    return target


def lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


ABOUT = json.dumps({"format": 1, "kind": "run"})
SHORT = records_of([started(SPEC), RunFinished(1.0, 2)])


def test_what_goes_in_comes_out() -> None:
    found = read_bundle(packed(EXAMPLE))
    assert found.spec.pruner == "wanda" and found.spec.sparsity == 0.6
    assert [(r["n"], r["t"], r["kind"]) for r in found.records] == [(r["n"], r["t"], r["kind"]) for r in EXAMPLE]
    known = [{k: v for k, v in new.items() if k in old} for new, old in zip(found.records, EXAMPLE, strict=True)]
    assert known == [{k: v for k, v in old.items() if k in new} for new, old in zip(known, EXAMPLE, strict=True)]


def test_a_person_finds_tables_and_charts() -> None:
    with zipfile.ZipFile(packed(EXAMPLE, **{"scores.html": "<p>hello"})) as files:
        assert set(files.namelist()) == {
            "README.txt", "run.json", "events.jsonl", "figures.json", "figures.csv", "blocks.csv", "lambdas.csv",
            "reproduce.py", "charts/scores.html",
        }  # fmt: skip
        figures = list(csv.DictReader(io.StringIO(files.read("figures.csv").decode())))
        lambdas = list(csv.DictReader(io.StringIO(files.read("lambdas.csv").decode())))
        blocks = list(csv.DictReader(io.StringIO(files.read("blocks.csv").decode())))
    measured = {r["variant"]: r["value"] for r in EXAMPLE if r["kind"] == "Measured"}
    assert {row["variant"]: float(row["value"]) for row in figures} == measured
    assert len(lambdas) == 29 and sum(int(row["chosen"]) for row in lambdas) == 2
    assert len(blocks) == 30 and 0.5 < float(blocks[7]["chosen achieved"]) < 0.7


def test_the_script_asks_the_same_question(tmp_path: Path) -> None:
    with zipfile.ZipFile(packed(SHORT)) as files:
        script = files.read("reproduce.py").decode()
    told = script.replace("for event in neuroal.run(neuroal.RunSpec.from_dict(SPEC)):\n    print(event)",
                          "print(neuroal.RunSpec.from_dict(SPEC).key())")  # fmt: skip
    assert told != script
    answer = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == SPEC.key()


@pytest.mark.parametrize("events", [[], [Queued(1)], [started(SPEC)], [started(SPEC), Queued(1)]])
def test_a_run_that_is_not_over_makes_no_bundle(events: list[Any]) -> None:
    with pytest.raises(UserError, match="not over yet"):
        packed(records_of(events))


def test_own_text_stays_with_its_owner() -> None:
    own = RunSpec(model="tiny", source="own", text="my words " * 50)
    records = records_of([started(own), RunFinished(1.0, 2)])
    with pytest.raises(UserError, match="stays with its owner"):
        packed(records)
    with pytest.raises(UserError) as error:
        read_bundle(made(run__json=ABOUT, events__jsonl=lines(records)))
    assert str(error.value) == OWN_TEXT or "digest" in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"not a zip", b"PK\x03\x04 and then nothing", made().getvalue(), made(run__json=ABOUT).getvalue(),
        made(events__jsonl=lines(SHORT)).getvalue(), made(run__json="{", events__jsonl="").getvalue(),
        made(run__json="[]", events__jsonl="").getvalue(), made(run__json=b"\xff\xfe", events__jsonl="").getvalue(),
        made(run__json='{"kind": "sweep", "format": 1}', events__jsonl="").getvalue(),
    ],
)  # fmt: skip
def test_what_is_no_bundle_gets_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(UserError) as error:
            read_bundle(source)
        assert str(error.value) == NOT_ONE.format(kind="run")


def altered(**changes: Any) -> str:
    return lines([SHORT[0], {**SHORT[1], **changes}])


START = SHORT[0]


@pytest.mark.parametrize(
    "log",
    [
        "null\n", "[]\n", "5\n", '"RunFinished"\n', "{}\n", "{]\n", "[" * 100_000,
        lines([{"n": 1, "t": 0.0, "kind": "Nothing"}]), lines([{"n": 1, "t": 0.0, "kind": ["Queued"]}]),
        lines([{"n": 1, "t": 0.0, "kind": "Queued"}]), altered(n="2"), altered(n=2.5), altered(n=True), altered(n=1),
        altered(n=0), altered(n=2**60), altered(t="soon"), altered(t=None), altered(seconds="long"),
        altered(seconds=[1.0]), altered(peak_memory=1.5), altered(peak_memory=10**400),
        lines([{**START, "spec": "tiny"}]), lines([{**START, "versions": {"torch": 2}}]),
        lines([START, {"n": 2, **Queued(10**9).to_dict(), "t": 0.0}]),
        lines([START, {"n": 2, "t": 0.0, **BlockScored("block", 0, 0.1, 10**8, 1.0).to_dict()}]),
        lines([START, {"n": 2, "t": 0.0, **BlockScored("block", -1, 0.1, 0, 1.0).to_dict()}]),
        lines([START, {"n": 2, "t": 0.0, **BlockScored(7, 0, 0.1, 0, 1.0).to_dict()}]),
        lines([START, {"n": 2, "t": 0.0, **RunPlanned({"block": {"units": "many"}}).to_dict()}]),
        lines([START, {"n": 2, "t": 0.0, **LambdaChosen("block", 0, 0.1, 0.2, ("a",)).to_dict()}]),
        lines([START]), lines([SHORT[1]]), lines([]), lines([SHORT[1], SHORT[0]]),
    ],
)  # fmt: skip
def test_a_log_that_makes_no_sense_gets_one_sentence(log: str) -> None:
    with pytest.raises(UserError) as error:
        read_bundle(made(run__json=ABOUT, events__jsonl=log))
    assert "log in this bundle" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("change", [{"sparsity": 7}, {"pruner": "rm -rf"}, {"unheard": 1}, {"model": ""}])
def test_a_question_that_cannot_be_asked_gets_one_sentence(change: dict[str, Any]) -> None:
    start = {**START, "spec": {**START["spec"], **change}}
    with pytest.raises(UserError):
        read_bundle(made(run__json=ABOUT, events__jsonl=lines([start, SHORT[1]])))


def test_of_another_version() -> None:
    about = json.dumps({"format": 2, "kind": "run"})
    with pytest.raises(UserError, match="another version"):
        read_bundle(made(run__json=about, events__jsonl=lines(SHORT)))


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(archive, "MOST_READ", 10_000)
    with pytest.raises(UserError, match="is larger than"):
        read_bundle(made(run__json=ABOUT, events__jsonl=b" " * 1_000_000))
    monkeypatch.setattr(bundles, "MOST_PACKED", 100)
    path = tmp_path / "large.zip"
    path.write_bytes(packed(SHORT).getvalue())
    with pytest.raises(UserError, match="larger than"):
        read_bundle(path)


def test_names_that_lead_elsewhere_are_never_followed(tmp_path: Path) -> None:
    """Nothing is written to disk, so nothing can be written to another place."""
    evil = packed(SHORT)
    with zipfile.ZipFile(evil, "a") as files:
        files.writestr("../../outside.txt", "x")
        files.writestr("/etc/outside.txt", "x")
    assert len(read_bundle(evil).records) == 2
    assert not (tmp_path.parent / "outside.txt").exists()


def test_every_event_of_ours_is_well_formed() -> None:
    compared = TokensCompared("chosen", 0, 2, ("a", "b"), (None, 0.5), (None, 0.1), (None, 0.2), ((), (("a", 0.5),)),
                              ((), (("b", 1),)))  # fmt: skip
    for event in (
        compared, Measured("dense", "perplexity", "prose", float("inf"), 0.0, 1, 1, 1.0, {"a": [1, {"b": None}]}),
        RunCancelled(), RunStarted({"a": 1}, "k", {}, {"gpu": ""}, "2026"), RunPlanned({"block": {"units": 3}}),
    ):  # fmt: skip
        assert well_formed(event), event
    assert not well_formed(TokensCompared("chosen", 0, 2, ("a",), ("x",), (None,), (None,), ((),), ((),)))  # type: ignore[arg-type]
    assert not well_formed(RunFinished(True, 1))
