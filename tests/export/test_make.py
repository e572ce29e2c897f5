"""Every form is what it was made of, told with size and checksum; what goes wrong leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from neuroal.errors import UserError
from neuroal.export import FORMS, Source, decode, export, find_form, iter_export
from neuroal.export import verify as verifying
from neuroal.export.events import ExportFinished, ExportStarted, ExportStep
from neuroal.models.memory import Memory
from neuroal.residence import is_offloaded
from tests.export.conftest import conv1d, zeroed, zeros_of
from tests.offloaded import WAYS
from tests.runs.helpers import weights_digest
from tests.toys import random_llama


def files_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by name."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_a_folder_loads_as_the_very_same_model(source: Source, tmp_path: Path) -> None:
    before = weights_digest(source.model)
    made = export(source, "folder", tmp_path / "out")
    model, report = AutoModelForCausalLM.from_pretrained(made.path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert weights_digest(model) == before == weights_digest(source.model)
    assert zeros_of(model) == zeros_of(source.model)
    tokenizer = AutoTokenizer.from_pretrained(made.path)
    assert tokenizer("It is a truth.")["input_ids"] == source.tokenizer("It is a truth.")["input_ids"]
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(
        files_of(made.path)
    )
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert len({path.stat().st_mode for path in made.path.iterdir()}) == 1, "the weights are as readable as the rest"


def test_the_checksums_of_a_folder_are_those_of_its_files(source: Source, tmp_path: Path) -> None:
    made = export(source, "folder", tmp_path / "out")
    found = files_of(made.path)
    assert found.pop("SHA256SUMS") == made.told.sha256
    lines = (made.path / "SHA256SUMS").read_text().splitlines()
    assert {line[66:]: line[:64] for line in lines} == found
    assert made.told.bytes == sum(path.stat().st_size for path in made.path.iterdir())
    assert made.told.dense_bytes == (made.path / "model.safetensors").stat().st_size


@pytest.mark.parametrize("form", ["zip", "sparse"])
def test_a_file_holds_the_checkpoint_bit_for_bit(form: str, source: Source, tmp_path: Path) -> None:
    plain = files_of(export(source, "folder", tmp_path / "plain").path)
    plain.pop("SHA256SUMS")
    made = export(source, form, tmp_path / f"model{FORMS[form].suffix}")
    if form == "zip":
        with zipfile.ZipFile(made.path) as packed:
            assert packed.testzip() is None
            packed.extractall(tmp_path / "back")
    else:
        assert decode(made.path, tmp_path / "back") == tmp_path / "back"
    assert files_of(tmp_path / "back") == plain
    assert made.told.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert made.told.bytes == made.path.stat().st_size


def test_the_sparse_file_is_what_is_smaller(source_of: Callable[..., Source], tmp_path: Path) -> None:
    big = zeroed(random_llama(vocab_size=2048, hidden_size=64, intermediate_size=256, num_hidden_layers=6), 0.7)
    told = export(source_of(big), "sparse", tmp_path / "model.sparse.zip").told
    weights = sum(p.numel() for p in big.parameters())
    zeros = sum(zeros_of(big).values())
    assert told.dense_bytes == pytest.approx(4 * weights, rel=0.02)
    # one bit for each weight of the linears, 4 bytes for each that is not zero, less what zstd finds; and the tokenizer
    assert told.bytes < 4 * (weights - zeros) + sum(p.numel() for p in big.parameters()) / 8 + 60_000


def test_the_events_tell_what_happens_and_no_path(source: Source, tmp_path: Path) -> None:
    generator = iter_export(source, "sparse", tmp_path / "model.sparse.zip")
    events = list(generator)
    assert isinstance(events[0], ExportStarted) and isinstance(events[-1], ExportFinished)
    stages = list(dict.fromkeys(e.stage for e in events if isinstance(e, ExportStep)))
    assert stages == ["read", "write", "check", "pack", "unpack"]
    assert all(0 <= e.done <= e.total for e in events if isinstance(e, ExportStep))
    assert str(tmp_path) not in json.dumps([e.to_dict() for e in events])
    assert "no weight missing or unexpected" in events[-1].checked and "decoded again" in events[-1].checked


def test_transposed_linears_and_tied_embeddings(source_of: Callable[..., Source], tmp_path: Path) -> None:
    model = zeroed(conv1d())
    made = export(source_of(model), "folder", tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(made.path)
    assert weights_digest(loaded) == weights_digest(model)
    with safe_open(made.path / "model.safetensors", "pt") as stored:
        assert "lm_head.weight" not in stored.keys()  # noqa: SIM118  (no dict)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_precision_stays_what_it_is(dtype: torch.dtype, source_of: Callable[..., Source], tmp_path: Path) -> None:
    model = zeroed(random_llama(vocab_size=2048).to(dtype))
    made = export(source_of(model), "folder", tmp_path / "out")
    assert AutoModelForCausalLM.from_pretrained(made.path).dtype == dtype
    assert json.loads((made.path / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")


@pytest.mark.parametrize("way", WAYS)
def test_weights_that_are_kept_elsewhere(way: str, source_of: Callable[..., Source], tmp_path: Path) -> None:
    """The vocabulary is that of the random model, so ids of the tokenizer beyond it are left out of the prompt."""
    plain = zeroed(random_llama())
    model = zeroed(WAYS[way](tmp_path / "kept"))
    (tmp_path / "out").mkdir()
    made = export(source_of(model), "folder", tmp_path / "out" / "model")
    assert weights_digest(AutoModelForCausalLM.from_pretrained(made.path)) == weights_digest(plain)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["model"]


def test_where_two_do_not_fit_the_copy_has_its_blocks_on_disk(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, real = [], verifying.logits
    monkeypatch.setattr(verifying, "machine_memory", lambda _: Memory("cpu", 1000, 10**9))
    monkeypatch.setattr(verifying, "logits", lambda model, ids: seen.append(is_offloaded(model)) or real(model, ids))
    assert "equal bit for bit" in export(source, "folder", tmp_path / "out").told.checked
    assert seen == [False, True]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_model_that_is_being_trained(source_of: Callable[..., Source], tmp_path: Path) -> None:
    model = zeroed(random_llama(vocab_size=2048, attention_dropout=0.5)).requires_grad_(True).train()
    made = export(source_of(model), "folder", tmp_path / "out")
    assert model.training and all(p.requires_grad and p.grad is None for p in model.parameters())
    assert weights_digest(AutoModelForCausalLM.from_pretrained(made.path)) == weights_digest(model)


def test_nothing_tells_where_it_was_made(source: Source, tmp_path: Path) -> None:
    made = export(source, "folder", tmp_path / "out")
    for path in made.path.iterdir():
        if path.suffix in (".json", ".md", ".jinja"):
            text = path.read_text()
            assert str(tmp_path) not in text and str(Path.cwd()) not in text and "local_files_only" not in text


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_closing_leaves_nothing_wherever_it_is(form: str, source: Source, tmp_path: Path) -> None:
    target = tmp_path / f"model{FORMS[form].suffix}"
    total = sum(1 for _ in iter_export(source, form, target))
    shutil.rmtree(target) if form == "folder" else target.unlink()
    for steps in range(0, total - 1, 5):
        generator = iter_export(source, form, target)
        for _ in range(steps):
            next(generator)
        generator.close()
        assert list(tmp_path.iterdir()) == []


def test_a_target_that_exists_is_not_touched(source: Source, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="'out' exists already"):
        iter_export(source, "folder", tmp_path / "out")


def test_an_unknown_form_names_the_near_miss(source: Source, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'sparse'"):
        iter_export(source, "sparce", tmp_path / "out")
    with pytest.raises(UserError, match="ONNX"):
        find_form("onnx")


def test_too_small_a_disk_is_told_before_anything_is_written(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(UserError, match="This export needs about 0.1 GB of disk"):
        iter_export(source, "zip", tmp_path / "model.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(type(source.model), "save_pretrained", full)
    with pytest.raises(UserError, match="^The disk of this machine is full; free some space"):
        export(source, "sparse", tmp_path / "model.sparse.zip")
    assert list(tmp_path.iterdir()) == []


def _spoilt(name: str) -> Callable[..., Any]:
    """``save_pretrained`` with one weight changed."""

    def save(self: Any, folder: Path, **options: Any) -> None:
        state = {key: value.clone() for key, value in self.state_dict().items()}
        weight = state[name]
        flat = weight.view(-1)
        flat[int((flat != 0).nonzero()[0])] = 0
        type(self).__mro__[2].save_pretrained(self, folder, state_dict=state, **options)

    return save


def test_a_weight_that_differs_is_never_offered(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(source.model), "save_pretrained", _spoilt("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(UserError, match="the weight model.layers.1.mlp.up_proj.weight differs"):
        export(source, "folder", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        ({"missing_keys": ["a"]}, "1 missing keys, the first is a"),
        ({"unexpected_keys": ["b", "a"]}, "2 unexpected keys, the first is a"),
        ({"mismatched_keys": [("a", 1, 2)]}, "1 mismatched keys"),
    ],
)
def test_keys_that_do_not_match_are_refused(report: dict[str, Any], sentence: str, source: Source) -> None:
    with pytest.raises(verifying.Differs, match=sentence):
        verifying.compared(source, None, source.model, report)  # type: ignore[arg-type]


def test_other_logits_are_refused(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = verifying.logits
    calls = iter((0.0, 1e-7))
    monkeypatch.setattr(verifying, "logits", lambda model, ids: real(model, ids) + next(calls))
    with pytest.raises(UserError, match="answers a prompt otherwise"):
        export(source, "folder", tmp_path / "out")


def test_a_quantised_model_is_refused_and_a_marked_one_is_not(source_of: Callable[..., Source], tmp_path: Path) -> None:
    """What transformers reads from a GGUF file is marked as quantised, though its numbers are full ones."""
    model = zeroed(random_llama(vocab_size=2048))
    model.is_quantized = True
    export(source_of(model), "folder", tmp_path / "marked")
    assert model.is_quantized is True
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(UserError, match="quantised"):
        export(source_of(model), "folder", tmp_path / "really")
