"""``prune`` and ``search``: the same question and the same figures as on the page, kept where the page keeps them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from components.form import spec_from as spec_of_form
from components.form import values_of
from neuroal.commands import prune as prune_module
from neuroal.commands.progress import Watch
from neuroal.models.cache import data_folder
from neuroal.runs.events import Measured
from neuroal.runs.job import sentence
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop, masks_in
from tests.commands.conftest import Call
from tests.runs.helpers import wait_for


def kept() -> list[str]:
    store = Store(data_folder())
    entries, _ = store.history()
    store.close()
    return [entry.id for entry in entries]


def test_the_page_gives_the_same_key_and_the_same_figures(
    call: Call, small: list[str], small_spec: RunSpec, tmp_path: Path
) -> None:
    """A run started as the page starts it, in a folder of its own."""
    asked = spec_of_form(*values_of(small_spec))
    workshop = Workshop(tmp_path / "page")
    run_id = workshop.start(asked)
    assert wait_for(workshop.jobs, run_id) == "finished"
    records, _ = workshop.jobs.read(run_id)
    workshop.close()

    said = call("prune", *small, "--json")
    assert said.code == 0, said.err
    assert said.json["key"] == asked.key() == small_spec.key()
    figures = [(r["metric"], r["variant"], r["value"]) for r in records if r["kind"] == "Measured"]
    measured = said.json["measured"]
    assert [(m, v, measured[m][v]["value"]) for m, v, _ in figures] == figures and len(figures) == 3
    assert said.json["summary"]["block_lambda"] == next(r["lam"] for r in records if r["kind"] == "LambdaChosen")
    assert kept() == [said.json["run"]] and masks_in(data_folder(), said.json["run"]).exists()


def test_an_answer_is_not_computed_again(call: Call, small: list[str], loads: list[str]) -> None:
    first = call("prune", *small, "--json").json
    assert (first["answered"], first["status"]) == (False, "finished")
    loads.clear()
    again = call("prune", *small, "--json")
    assert (again.json["answered"], again.json["run"], loads) == (True, first["run"], [])
    assert "answered before" in again.err
    anew = call("prune", *small, "--again", "--json").json
    values = [each["measured"]["perplexity"]["chosen"]["value"] for each in (first, anew)]
    assert anew["run"] != first["run"] and values[0] == values[1]
    masks_in(data_folder(), anew["run"]).unlink()  # the newest answer, whose pruned model is gone
    assert call("prune", *small, "--json").json["answered"] is False


def test_as_text_it_says_what_was_chosen_and_what_it_costs(call: Call, small: list[str]) -> None:
    said = call("prune", *small)
    lines = said.out.splitlines()
    assert lines[0] == "random-llama, Wanda, NeuroAL both, 60 %"
    assert lines[1].startswith("Finished in ")
    assert any(line.startswith("Block lambda 0.") for line in lines)
    assert any(line.startswith("Perplexity\t") and line.count("\t") == 3 for line in lines)
    assert "\x1b" not in said.out + said.err and "\r" not in said.out + said.err
    assert said.err.count("Searching lambda") == 1, "a stage is told once"


def test_nothing_is_kept_without_a_store(call: Call, small: list[str]) -> None:
    said = call("prune", *small, "--no-store", "--json")
    assert (said.code, said.json["run"], said.json["status"]) == (0, "", "finished")
    assert not (data_folder() / "runs.sqlite").exists() and not (data_folder() / "pruned").exists()


def test_a_spec_comes_from_a_file_or_from_stdin_and_options_go_over_it(
    call: Call, small_spec: RunSpec, loads: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(small_spec.card()))
    first = call("prune", file, "--json").json
    assert first["key"] == small_spec.key()
    through = call("prune", "-", "--json", stdin=json.dumps({"spec": small_spec.card(), "run": "x"})).json
    assert (through["run"], through["answered"]) == (first["run"], True)
    other = dataclasses.replace(small_spec, sparsity=0.5, evaluations=())
    said = call("prune", file, "--sparsity", 0.5, "--evaluations", "none", "--json").json
    assert said["key"] == other.key() and said["measured"] == {}


def test_search_measures_nothing_and_tells_every_score(call: Call, small: list[str]) -> None:
    said = call("search", *small[:-4], "--json")
    assert said.json["measured"] == {} and said.json["spec"]["evaluations"] == []
    block = said.json["search"]["block"]
    assert block["lambdas"] == [0.02, 0.2] and block["chosen"]["score"] == min(block["scores"])
    text = call("search", *small[:-4]).out.splitlines()
    assert text.count("step\tlambda\tscore\t") == 2, "both steps, from the store"
    assert sum(line.endswith("\tchosen") for line in text) == 2


def test_own_text_stays_private_and_is_no_answer_to_others(call: Call, small: list[str], tmp_path: Path) -> None:
    text = tmp_path / "mine.txt"
    text.write_bytes(("A sentence of my own, again and again.\r\n" * 100).encode())
    said = call("prune", *small, "--evaluations", "none", "--text-file", text, "--json")
    assert said.code == 0, said.err
    assert said.json["spec"]["source"] == "own" and "sentence of my own" not in said.out
    store = Store(data_folder())
    row = store.run(said.json["run"])
    assert row.private and "again and again.\\r\\n" in row.spec
    store.close()
    assert call("prune", *small, "--evaluations", "none", "--text-file", text, "--json").json["run"] != said.json["run"]


@pytest.mark.parametrize(
    "words, says",
    [
        (["--sparsity", "1.5"], "Sparsity ratio is 1.5; it must be a number from 0.1 to 0.9."),
        (["--pruner", "wandas"], "Did you mean 'wanda'?"),
        (["--evaluations", "perplexty"], "Did you mean 'perplexity'?"),
        (["--budget", "fast"], "Budget 'fast' is not known. Known: quick, balanced, paper."),
        (["--lambdas", "a,b"], "--lambdas takes numbers apart by commas"),
        (["--text-file", "nowhere.txt"], "There is no file 'nowhere.txt' with a text"),
        (["tiny"], "There is no file 'tiny' with a spec; give a path, or - for stdin. To name a model, write --model."),
        (["-", "--text-file", "-"], "Both the spec and a text are to come from stdin"),
        (["--form", "gguff", "--out", "x"], "Did you mean 'gguf'?"),
    ],
)
def test_what_is_not_allowed_is_a_sentence_and_code_2(call: Call, words: list[str], says: str) -> None:
    said = call("prune", *words, "--json", stdin="{}")
    assert (said.code, said.json["code"]) == (2, 2)
    assert says in said.json["error"] and says in said.err and "Traceback" not in said.err


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"spec": {"sparsty": 1}}', b"\xff\xfe\x00"])
def test_a_file_that_is_no_spec_is_refused(call: Call, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "spec.json"
    file.write_bytes(content)
    said = call("prune", file)
    assert said.code == 2 and len(said.err.splitlines()) == 1, said.err


def test_a_failed_run_ends_with_code_1_and_says_how_to_go_on(
    call: Call, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when a figure is to be stored."""
    append = Store.append

    def full(store: Store, run_id: str, n: int, t: float, payload: dict[str, Any], *more: Any) -> None:
        if payload["kind"] == Measured.__name__:
            raise OSError(28, "No space left on device")
        append(store, run_id, n, t, payload, *more)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "append", full)
        said = call("prune", *small, "--json")
    assert (said.code, said.json["status"]) == (1, "failed")
    assert sentence(OSError("no space left")) in said.err and "Traceback" not in said.err
    run_id = said.json["run"]
    assert said.err.splitlines()[-1] == f"Go on with: python -m neuroal runs resume {run_id}"
    resumed = call("runs", "resume", run_id, "--json")
    assert (resumed.code, resumed.json["status"], resumed.json["run"]) == (0, "finished", run_id)


def test_ctrl_c_twice_leaves_at_once_and_the_run_goes_on_later(
    call: Call, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, pressed = Watch.fold, []

    def stopping(watch: Watch, record: dict[str, Any]) -> None:
        if record["kind"] in ("CandidateFinished", "RunCancelled") and len(pressed) < 2:
            pressed.append(record["kind"])
            raise KeyboardInterrupt
        fold(watch, record)

    with monkeypatch.context() as patched:
        patched.setattr(Watch, "fold", stopping)
        said = call("prune", *small, "--json")
    assert (said.code, said.json) == (130, {"error": "Stopped.", "code": 130})
    run_id = said.err.split("runs resume ")[1].split()[0]
    assert call("runs", "show", run_id, "--json").json["status"] in ("cancelled", "interrupted")
    assert call("runs", "resume", run_id, "--json").json["status"] == "finished"


def test_a_fault_is_a_sentence_and_only_debug_shows_where(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("so it goes")

    monkeypatch.setattr(prune_module, "foreseen", broken)
    said = call("prune", "--dry-run")
    assert said.code == 1 and "Traceback" not in said.err
    assert "ZeroDivisionError (so it goes). Add --debug to see where." in said.err
    assert "Traceback" in call("prune", "--dry-run", "--debug").err


def test_what_it_would_cost_is_told_without_doing_it(call: Call, small: list[str], small_spec: RunSpec) -> None:
    said = call("prune", *small, "--dry-run", "--json")
    assert said.json["key"] == small_spec.key() and said.json["seconds"] > 0 and said.json["memory"] > 0
    assert kept() == []


def test_the_pruned_model_is_exported(call: Call, small: list[str], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    target = tmp_path / "pruned"
    said = call("prune", *small, "--evaluations", "none", "--out", target, "--json")
    assert said.code == 0, said.err
    model = AutoModelForCausalLM.from_pretrained(target)
    weight = model.model.layers[1].mlp.down_proj.weight
    assert 0.3 < float((weight == 0).float().mean()) < 0.9
    assert said.json["export"]["form"] == "folder" and said.json["export"]["path"] == str(target)
    again = call("prune", *small, "--evaluations", "none", "--out", target)
    assert again.code == 2 and "exists already" in again.err
