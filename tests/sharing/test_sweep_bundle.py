"""Bundles of sweeps: what goes in comes out, own text stays, and what somebody else made is looked at closely."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.runs.events import Measured, RunCancelled, RunFinished
from neuroal.runs.spec import RunSpec
from neuroal.runs.summary import summary
from neuroal.sharing import archive, sweep_bundle
from neuroal.sharing.archive import NOT_ONE, OWN_TEXT
from neuroal.sharing.bundle import read_bundle, write_bundle
from neuroal.sharing.sweep_bundle import SweepBundle, read_sweep, write_sweep
from neuroal.sweeps.events import MemberFinished, MemberStarted
from neuroal.sweeps.spec import SweepSpec
from neuroal.sweeps.sweep import _opening
from tests.runs.helpers import records_of, started

SPEC = SweepSpec(
    {"model": "tiny", "pruner": "magnitude"}, ([{"top_up": "owl"}], [{"sparsity": 0.5}, {"sparsity": 0.6}])
)
OWN = {"source": "own", "text": "Words of mine. " * 20}


def run_of(spec: RunSpec, perplexity: float = 40.0) -> list[dict[str, Any]]:
    measured = Measured("chosen", "perplexity", "prose", perplexity, 1.0, 100, 10, 1.0, {})
    return records_of([started(spec), measured, RunFinished(1.0, 1)])


def sweep_of(spec: SweepSpec, end: Any = None) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """The log of a whole sweep, and those of its runs by id."""
    runs = {f"run-{m.index}": run_of(m.spec, 40.0 + m.index) for m in spec.members}
    events: list[Any] = [_opening(spec)]
    for index, (run, log) in enumerate(runs.items()):
        events += [MemberStarted(index, run), MemberFinished(index, run, "finished", False, summary(log))]
    return records_of([*events, end or RunFinished(9.0, 0)]), runs


def packed(spec: SweepSpec = SPEC, end: Any = None, gone: tuple[str, ...] = ()) -> io.BytesIO:
    records, runs = sweep_of(spec, end)
    for run in gone:
        del runs[run]
    target = io.BytesIO()
    write_sweep(target, records, runs.__getitem__, lambda told: {"map.html": f"<p>{len(told)}"})
    return target


def changed(files: dict[str, Callable[[str], str] | None]) -> io.BytesIO:
    """A bundle with files rewritten, or taken out."""
    target = io.BytesIO()
    with zipfile.ZipFile(packed()) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            change = files.get(name, lambda text: text)
            if change is not None:
                new.writestr(name, change(old.read(name).decode()))
    return target


def rewritten(which: str, **values: Any) -> Callable[[str], str]:
    """Changes every record of a kind."""

    def change(text: str) -> str:
        records = [json.loads(line) for line in text.splitlines()]
        return "".join(json.dumps({**r, **values} if r["kind"] == which else r) + "\n" for r in records)

    return change


def points(found: SweepBundle, ids: dict[int, str]) -> list[tuple[Any, ...]]:
    ends = [r for r in found.records(ids) if r["kind"] == "MemberFinished"]
    return [(r["index"], r["run"], r["summary"].get("perplexity")) for r in ends]


def test_what_goes_in_comes_out() -> None:
    found = read_sweep(packed())
    assert found.spec.key() == SPEC.key() and found.spec.card() == SPEC.card()
    runs = dict(found.runs())
    assert [runs[m.index].spec for m in SPEC.members] == [m.spec for m in SPEC.members]
    assert runs[3].records == run_of(SPEC.members[3].spec, 43.0)
    assert points(found, {0: "a", 3: "d"}) == [(0, "a", 40.0), (1, "", 41.0), (2, "", 42.0), (3, "d", 43.0)]


def test_a_person_finds_tables_and_the_map() -> None:
    with zipfile.ZipFile(packed()) as files:
        assert set(files.namelist()) == {
            "README.txt", "sweep.json", "events.jsonl", "reproduce.py", "points.csv", "points.json", "charts/map.html",
            *(f"runs/{i}.jsonl" for i in range(4)),
        }  # fmt: skip
        table = list(csv.DictReader(io.StringIO(files.read("points.csv").decode())))
        assert json.loads(files.read("points.json"))[1]["perplexity"] == 41.0
        assert "not in here" not in files.read("README.txt").decode()
    assert [(row["label"], row["sparsity"], row["perplexity"], row["eval_length"]) for row in table] == [
        ("Uniform", "0.5", "40.0", "10"), ("Uniform", "0.6", "41.0", "10"),
        ("OWL", "0.5", "42.0", "10"), ("OWL", "0.6", "43.0", "10"),
    ]  # fmt: skip


def test_the_script_asks_the_same_questions() -> None:
    with zipfile.ZipFile(packed()) as files:
        script = files.read("reproduce.py").decode()
    told = script.replace("print(member.settings)", "print(member.spec.key())").split("    for event")[0]
    answer = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [m.spec.key() for m in SPEC.members]


def test_runs_on_own_text_are_left_out_and_it_says_so() -> None:
    """They are taken out of the question and of the log as well, and the others are numbered anew."""
    spec = SweepSpec({"model": "tiny", "top_up": "uniform"}, ([OWN, {"source": "prose"}], [{"seed": 0}, {"seed": 1}]))
    target = packed(spec)
    found = read_sweep(target)
    assert [(m.spec.source, m.spec.seed) for m in found.spec.members] == [("prose", 0), ("prose", 1)]
    assert points(found, {0: "a", 1: "b"}) == [(0, "a", 42.0), (1, "b", 43.0)]
    with zipfile.ZipFile(target) as files:
        whole = "".join(files.read(name).decode() for name in files.namelist())
        assert json.loads(files.read("sweep.json"))["left_out"] == 2
        assert "2 of its runs are not in here" in files.read("README.txt").decode()
    assert "Words of mine" not in whole and '"own"' not in whole and RunSpec(**OWN).card()["text"] not in whole


def test_a_sweep_on_own_text_alone_is_refused() -> None:
    with pytest.raises(UserError) as error:
        packed(SweepSpec({"model": "tiny", **OWN}, ([{"seed": 0}, {"seed": 1}],)))
    assert str(error.value) == OWN_TEXT


def test_a_run_that_is_gone_keeps_its_place_without_figures() -> None:
    found = read_sweep(packed(gone=("run-1",)))
    assert sorted(dict(found.runs())) == [0, 2, 3]
    assert points(found, {0: "a"})[1] == (1, "", None)


@pytest.mark.parametrize("cut", [0, 1, 5])
def test_a_sweep_that_is_not_over_makes_no_bundle(cut: int) -> None:
    records, runs = sweep_of(SPEC)
    with pytest.raises(UserError, match="not over yet"):
        write_sweep(io.BytesIO(), records[:cut], runs.__getitem__)


def test_one_that_was_cancelled_can_go_on_elsewhere_only_if_it_would_ask_the_same() -> None:
    assert read_sweep(packed(end=RunCancelled())).spec == SPEC
    other = SweepSpec(SPEC.base, (SPEC.axes[0], ({"sparsity": 0.5}, {"sparsity": 0.7})))
    records, runs = sweep_of(SPEC, RunCancelled())
    target = io.BytesIO()
    write_sweep(target, [{**records[0], "spec": other.card()}, *records[1:]], runs.__getitem__)
    with pytest.raises(UserError, match="would ask other runs"):
        read_sweep(target)


def test_figures_are_read_from_the_logs_of_the_runs() -> None:
    """Whatever the log of the sweep says of them."""
    better = rewritten("MemberFinished", summary={"perplexity": 1.0, "x": [{}] * 9}, run="../../etc/passwd")
    found = read_sweep(changed({"events.jsonl": better}))
    assert points(found, {})[0] == (0, "", 40.0)


MEMBERS = [{"settings": {}, "label": "a", "sparsity": 0.5, "control": False}]


@pytest.mark.parametrize(
    "files",
    [
        {"events.jsonl": rewritten("SweepStarted", members=[])},
        {"events.jsonl": rewritten("SweepStarted", members=[{}])},
        {"events.jsonl": rewritten("SweepStarted", members=[{**MEMBERS[0], "sparsity": "half"}] * 4)},
        {"events.jsonl": rewritten("SweepStarted", members=[{**MEMBERS[0], "label": "a" * 2000}] * 4)},
        {"events.jsonl": rewritten("SweepStarted", members=[{**MEMBERS[0], "more": 1}] * 4)},
        {"events.jsonl": rewritten("SweepStarted", members=MEMBERS * 501)},
        {"events.jsonl": rewritten("MemberFinished", index=4)},
        {"events.jsonl": rewritten("MemberFinished", index=-1)},
        {"events.jsonl": rewritten("MemberFinished", index=True)},
        {"events.jsonl": rewritten("MemberFinished", summary=[1])},
        {"events.jsonl": rewritten("MemberFinished", status=7)},
        {"events.jsonl": rewritten("RunFinished", n=1)},
        {"events.jsonl": rewritten("RunFinished", kind="Queued", position=1)},
        {"events.jsonl": lambda text: "[" * 100_000},
        {"events.jsonl": lambda text: ""},
        {"events.jsonl": None},
        {"runs/2.jsonl": lambda text: text.splitlines()[0]},
        {"runs/2.jsonl": lambda text: "{}"},
        {"runs/2.jsonl": rewritten("Measured", value="low")},
        {"sweep.json": lambda text: "[]"},
        {"sweep.json": lambda text: "[" * 100_000},
        {"sweep.json": lambda text: text.replace('"format": 1', '"format": 2')},
        {"sweep.json": lambda text: json.dumps({**json.loads(text), "spec": None})},
        {"sweep.json": lambda text: json.dumps({**json.loads(text), "spec": {"base": {"rm": 1}}})},
        {"sweep.json": lambda text: json.dumps({**json.loads(text), "spec": {"base": {"sparsity": {}}}})},
        {"sweep.json": lambda text: json.dumps({**json.loads(text), "spec": {"axes": [[{"seed": [1]}]]}})},
        {"sweep.json": lambda text: json.dumps({**json.loads(text), "spec": {"axes": 5}})},
        {"sweep.json": lambda text: json.dumps({**json.loads(text), "spec": {"base": OWN}})},
    ],
)  # fmt: skip
def test_what_makes_no_sense_gets_one_sentence(files: dict[str, Any]) -> None:
    with pytest.raises(UserError) as error:
        read_sweep(changed(files))
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_a_bundle_of_the_other_kind_leads_to_its_tab(tmp_path: Path) -> None:
    single = io.BytesIO()
    write_bundle(single, run_of(RunSpec(model="tiny")))
    with pytest.raises(UserError, match="the bundle of a run; open it under Prune"):
        read_sweep(single)
    with pytest.raises(UserError, match="the bundle of a sweep; open it under Trade-offs"):
        read_bundle(packed())
    path = tmp_path / "x.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(UserError) as error:
        read_sweep(path)
    assert str(error.value) == NOT_ONE.format(kind="sweep")


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither one large log, nor many that are large together, nor a file that is too large as it comes."""
    bomb = changed({"runs/1.jsonl": lambda text: " " * 1_000_000})
    monkeypatch.setattr(archive, "MOST_READ", 100_000)
    with pytest.raises(UserError, match="runs/1.jsonl in this bundle is larger than"):
        read_sweep(bomb)
    monkeypatch.setattr(sweep_bundle, "MOST_READ", 5_000)
    with pytest.raises(UserError, match="larger than what is allowed in all"):
        read_sweep(packed())
    monkeypatch.setattr(sweep_bundle, "MOST_PACKED", 100)
    path = tmp_path / "large.zip"
    path.write_bytes(packed().getvalue())
    with pytest.raises(UserError, match="larger than"):
        read_sweep(path)
