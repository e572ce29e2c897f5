"""``sweep``: its runs are told first, asked once, and go on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuroal.commands.progress import SweepWatch
from neuroal.commands.sweep import sweep_from
from neuroal.errors import UserError
from neuroal.sweeps.spec import SweepSpec
from tests.commands.conftest import Call


def test_axes_are_those_of_a_sweep_file(tmp_path: Path) -> None:
    axes = ["sparsity=0.5,0.6", "top-up=owl,neuroal+step=row+gqa=base"]
    written = SweepSpec(
        {"model": "tiny"},
        (
            [{"sparsity": 0.5}, {"sparsity": 0.6}],
            [{"top_up": "owl"}, {"top_up": "neuroal", "step": "row", "gqa": "base"}],
        ),
    )
    assert sweep_from({"model": "tiny"}, None, axes, True).key() == written.key()
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps(written.card()))
    assert sweep_from({}, str(file), [], True).key() == written.key()
    file.write_text(json.dumps({"sweep": "x", "spec": written.card()}))
    assert sweep_from({}, str(file), [], True).key() == written.key(), "also what --json of a sweep says"
    assert len(sweep_from({}, str(file), ["seed=0,1"], False).members) == 8
    assert sweep_from({"seed": 4}, str(file), [], True).members[0].spec.seed == 4


@pytest.mark.parametrize(
    "axes, says",
    [
        ([], "needs an axis"),
        (["sparsty=0.5"], "Did you mean 'sparsity'?"),
        (["sparsity"], "such as sparsity=0.5,0.6"),
        (["seed=one"], "seed takes numbers, not 'one'"),
        (["sparsity=0.5", "sparsity=0.6"], "is on two axes"),
        (["sparsity=2,3"], "None of these combinations is possible"),
        (["text=mine"], "is no setting of an axis"),
    ],
)
def test_an_axis_that_cannot_be_is_refused(axes: list[str], says: str, call: Call) -> None:
    with pytest.raises(UserError, match=says.replace("?", r"\?")):
        sweep_from({}, None, axes, True)
    words = [word for axis in axes for word in ("--axis", axis)]
    assert call("sweep", *words, "--dry-run").code == 2


def test_the_runs_and_the_time_are_told_first(call: Call, small: list[str]) -> None:
    asked = ["sweep", *small, "--axis", "sparsity=0.5,0.6", "--axis", "top-up=owl"]
    foreseen = call(*asked, "--dry-run", "--json").json
    assert (foreseen["runs"], foreseen["answered"]) == (4, 0) and foreseen["seconds"] > 0
    said = call(*asked, "--json")
    assert said.code == 0, said.err
    assert said.err.splitlines()[0].startswith("4 runs. About ")
    assert "Run 4 of 4, OWL, 60 %: finished." in said.err
    assert [run["status"] for run in said.json["runs"]] == ["finished"] * 4
    assert call(*asked, "--dry-run", "--json").json["answered"] == 4
    shown = call("runs", "show", said.json["sweep"], "--json").json
    assert shown == said.json
    rows = [line.split("\t") for line in call("runs", "show", said.json["sweep"]).out.splitlines()[1:-1]]
    assert [row[:3] for row in rows][-1] == ["OWL", "60", "finished"]
    again = call(*asked, "--json").json
    assert all(run["reused"] for run in again["runs"]), "nothing is computed twice"


def test_a_stopped_sweep_goes_on(call: Call, small: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C when the second of its runs begins."""
    fold = SweepWatch.fold

    def stopping(watch: SweepWatch, record: dict[str, Any]) -> None:
        fold(watch, record)
        if record["kind"] == "MemberStarted" and record["index"] == 1:
            raise KeyboardInterrupt

    asked = ["sweep", *small, "--axis", "sparsity=0.5,0.6,0.7", "--top-up", "owl", "--no-control"]
    with monkeypatch.context() as patched:
        patched.setattr(SweepWatch, "fold", stopping)
        said = call(*asked, "--json")
    assert (said.code, said.json["status"]) == (130, "cancelled"), said.err
    first, second, third = said.json["runs"]
    assert (first["status"], third["status"]) == ("finished", "waiting")
    assert second["status"] in ("cancelled", "finished"), "it may have been faster than the key"
    sweep = said.json["sweep"]
    assert f"Go on with: python -m neuroal runs resume {sweep}" in said.err
    resumed = call("runs", "resume", sweep, "--json")
    assert resumed.code == 0 and [run["status"] for run in resumed.json["runs"]] == ["finished"] * 3
    assert [run["run"] for run in resumed.json["runs"][:2]] == [first["run"], second["run"]]


def test_a_run_that_fails_does_not_stop_the_others_but_the_code_says_so(call: Call, small: list[str]) -> None:
    said = call("sweep", *small, "--no-control", "--axis", "exclude=0,nothing-like-it", "--top-up", "uniform", "--json")
    assert said.code == 1
    assert sorted(run["status"] for run in said.json["runs"]) == ["failed", "finished"]
