"""What a run's question is made into, executed: the same question."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import neuroal
from neuroal.commands.app import build
from neuroal.commands.asked import spec_from, taken
from neuroal.runs.examples import load_examples
from neuroal.runs.spec import RunSpec
from neuroal.sharing.repeat import PROGRAM, SPEC_FILE, TEXT_FILES, command, repeated

TEXT = "One line.\r\nAnother, with 'quotes' and $dollars.\n" * 20

SPECS = {
    "default": RunSpec(),
    "a name with blanks": RunSpec(model="./my model's folder"),
    "every kind of value": RunSpec(
        model="tiny", pruner="sparsegpt", top_up="owl", sparsity=0.55, exclude=("*.down_proj", "0"), reconstruct=True,
        continuations=0, owl_m=4.5, renormalise=True, samples=4, length=64, prune_samples=6, seed=7, dtype="float32",
        evaluations=("perplexity", "zeroshot"), tasks=("rte", "piqa"), task_limit=20,
    ),
    "nothing measured": RunSpec(evaluations=()),
    "an own grid": RunSpec(lambdas=(0.02, 0.1), step="block"),
    "own ratios": RunSpec(model="tiny", top_up="custom", block_sparsity=(0.4, 0.5, 0.5, 0.6, 0.6, 0.6, 0.7, 0.7)),
    "a pattern beyond the range": RunSpec(pattern="1:32", step="block"),
    "own texts": RunSpec(source="own", text=TEXT, eval_source="own", eval_text=TEXT[::-1]),
}  # fmt: skip


def parsed(line: str) -> RunSpec:
    """The question that a command line asks; it is parsed as the program does."""
    words = shlex.split(line)
    assert words[: len(PROGRAM.split())] == PROGRAM.split()
    name, *rest = words[len(PROGRAM.split()) :]
    context = get_command(build()).commands[name].make_context(name, rest)
    values = dict(context.params)
    return spec_from(taken(values), values["spec"])


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of who owns the texts."""
    (tmp_path / TEXT_FILES["text"]).write_bytes(TEXT.encode())
    (tmp_path / TEXT_FILES["eval_text"]).write_bytes(TEXT[::-1].encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", SPECS)
def test_command_script_and_spec_ask_the_same(name: str, owner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPECS[name]
    texts = repeated(spec.card())
    asked: list[Any] = []
    monkeypatch.setattr(neuroal, "run", lambda question: asked.append(question) or [])
    exec(texts["script"], {})
    (owner / SPEC_FILE).write_text(texts["spec"])
    for found in (parsed(texts["command"]), asked[0], parsed(texts["with_spec"])):
        assert found == spec
        assert found.key() == spec.key()


@pytest.mark.parametrize("name", SPECS)
def test_nobodys_text_is_in_it(name: str) -> None:
    texts = repeated(SPECS[name].card())
    assert "Another, with" not in json.dumps(texts)
    assert texts["files"] == (list(TEXT_FILES.values()) if name == "own texts" else [])


def test_another_text_is_not_taken_for_it(owner: Path) -> None:
    texts = repeated(SPECS["own texts"].card())
    (owner / SPEC_FILE).write_text(texts["spec"])
    (owner / TEXT_FILES["text"]).write_text("Another text altogether. " * 50)
    with pytest.raises(neuroal.UserError, match="not the one that the spec was made with"):
        parsed(texts["with_spec"])


def test_every_recorded_run_can_be_asked_again() -> None:
    """Also those of versions that knew fewer settings."""
    for example in load_examples().values():
        card = next(r["spec"] for r in example.records if r["kind"] == "RunStarted")
        assert parsed(command(card)).key() == RunSpec.from_dict(card).key()


def test_every_setting_has_an_option() -> None:
    """One value that is not the default for each, read back as it was."""
    for field in dataclasses.fields(RunSpec):
        if field.name in ("text", "eval_text"):
            continue
        value = _another(field)
        card = {**RunSpec().card(), field.name: list(value) if isinstance(value, tuple) else value}
        words = shlex.split(command(card))
        context = get_command(build()).commands["prune"].make_context("prune", words[4:])
        given = taken(dict(context.params))
        from neuroal.commands.asked import settings_from

        assert settings_from(given)[field.name] == value, field.name


def _another(field: dataclasses.Field[Any]) -> Any:
    """An allowed value that is not the default."""
    meta, default = field.metadata, field.default
    if isinstance(default, bool):
        return not default
    if "minimum" in meta:
        return type(meta["minimum"])(meta["minimum"]) if default != meta["minimum"] else meta["maximum"]
    if choices := meta.get("choices"):
        return next(choice for choice in choices if choice != default)
    if options := meta.get("options"):
        return tuple(list(options)[1:3])
    if "float" in str(field.type):
        return (0.25, 0.5)
    return ("0", "*.q_proj") if "tuple" in str(field.type) else "other"
