"""Loading tiny random models: complete and frozen, or a sentence."""

from __future__ import annotations

import builtins
import os
import pickle
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from neuroal.errors import UserError
from neuroal.models import loading
from neuroal.models.loading import load
from neuroal.models.memory import Memory
from neuroal.models.precision import pick_device, pick_dtype


@pytest.fixture
def copy(llama_folder: Path, tmp_path: Path) -> Path:
    """A checkpoint to damage."""
    return Path(shutil.copytree(llama_folder, tmp_path / "copy"))


def rewrite(folder: Path, change: Any) -> None:
    """Changes the tensors of a checkpoint."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def as_pickle(folder: Path) -> None:
    """The same weights as a ``pytorch_model.bin``."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("family", ["llama_folder", "gpt2_folder"])
def test_loaded_frozen_and_described(family: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(family)
    lm = load(str(folder), device="cpu")
    assert not lm.model.training
    assert not any(p.requires_grad for p in lm.model.parameters())
    info = lm.info
    assert (info.source, info.folder, info.dtype, info.device) == ("a local folder", str(folder), "float32", "cpu")
    assert info.seconds > 0
    assert info.notices == ()
    assert info.blocks == 2
    assert lm.tokenizer("w3 w5")["input_ids"] == [3, 5]
    assert lm.stack is lm.stack
    assert len(lm.stack) == 2


def test_loaded_by_several_threads_at_once(llama_folder: Path) -> None:
    """transformers alone would leave ``tie_weights`` or the default dtype replaced for good; see building.py."""
    tie_weights = loading.PreTrainedModel.tie_weights
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda dtype: load(str(llama_folder), dtype=dtype), ["bfloat16", "float32"] * 6))
    assert all(lm.info.tied for lm in loaded)
    assert loading.PreTrainedModel.tie_weights is tie_weights
    assert torch.get_default_dtype() is torch.float32


def test_precision_is_followed(llama_folder: Path) -> None:
    lm = load(str(llama_folder), device="cpu", dtype="bfloat16", attn_implementation="eager")
    assert {p.dtype for p in lm.model.parameters()} == {torch.bfloat16}
    assert lm.info.dtype == "bfloat16"
    assert lm.model.config._attn_implementation == "eager"


def test_same_weights_as_saved(llama_folder: Path) -> None:
    saved, loaded = load_file(llama_folder / "model.safetensors"), load(str(llama_folder)).model.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in saved.items())


def test_local_folder_needs_no_network(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load(str(llama_folder))


def test_from_the_hub_with_its_commit(fake_hub: Any, llama_folder: Path, said: list[str]) -> None:
    fake_hub.add("o/m", llama_folder)
    lm = load("o/m", revision="v1", say=said.append)
    assert lm.info.source == "the Hugging Face Hub"
    assert len(lm.info.revision) == 40
    assert said


def test_missing_weight_is_refused(copy: Path) -> None:
    rewrite(copy, lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(UserError, match=r"1 weights are missing, the first is model.layers.1.mlp.up_proj.weight"):
        load(str(copy))


def test_weight_of_another_shape_is_refused(copy: Path) -> None:
    rewrite(copy, lambda tensors: tensors.update({"model.norm.weight": torch.ones(8)}))
    with pytest.raises(UserError, match=r"1 weights have another shape, the first is model.norm.weight"):
        load(str(copy))


def test_extra_tensor_is_a_notice(copy: Path) -> None:
    rewrite(copy, lambda tensors: tensors.update({"extra.weight": torch.ones(8)}))
    assert load(str(copy)).info.notices == (
        "1 tensors of the checkpoint do not belong to the model and were ignored: extra.weight ...",
    )


def test_truncated_file_is_a_sentence(copy: Path) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged or incomplete"):
        load(str(copy))


def test_no_weights_at_all_is_a_sentence(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(UserError, match="damaged or incomplete"):
        load(str(copy))


def test_no_tokenizer_is_a_sentence(copy: Path) -> None:
    for file in copy.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UserError, match="The tokenizer of"):
        load(str(copy))


def test_tensors_in_a_pickle_are_loaded(copy: Path) -> None:
    as_pickle(copy)
    assert load(str(copy)).info.parameters == 5712


def test_code_in_a_pickle_is_refused_and_not_run(copy: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    as_pickle(copy)
    torch.save({"x": Evil()}, copy / "pytorch_model.bin")
    with pytest.raises(UserError, match="never done here; choose a copy with safetensors"):
        load(str(copy))
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError):
        load(str(copy))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")]
)
def test_out_of_memory_is_a_sentence(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch, error: builtins.BaseException
) -> None:
    def run_out(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(loading.AutoModelForCausalLM, "from_pretrained", run_out)
    with pytest.raises(UserError, match="not enough memory"):
        load(str(llama_folder))


def test_too_large_is_refused_before_loading(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "machine_memory", lambda _: Memory("cpu", 10**8, 10**12))
    monkeypatch.setattr(loading, "locate", lambda *_: pytest.fail("was located"))
    with pytest.raises(UserError, match="only 100 MB are free"):
        load(str(llama_folder))


def test_sentences_name_no_path_of_the_server(fake_hub: Any, copy: Path, tmp_path: Path) -> None:
    rewrite(copy, lambda tensors: tensors.pop("model.norm.weight"))
    fake_hub.add("o/m", copy)
    with pytest.raises(UserError) as caught:
        load("o/m")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("device", "sentence"), [("gpu", "is not known"), ("meta", "has no device"), ("cuda:9", "no device")]
)
def test_devices_that_are_not_there(device: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        pick_device(device)


def test_automatic_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert pick_dtype("auto", cpu) is torch.float32
    assert pick_dtype("auto", torch.device("mps")) is torch.float32
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert pick_dtype("auto", cuda) is torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert pick_dtype("auto", cuda) is torch.float16
    assert pick_dtype("float16", cpu) is torch.float16
    with pytest.raises(UserError, match="choose auto, float32, bfloat16, float16"):
        pick_dtype("int8", cpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device() == torch.device("mps")
