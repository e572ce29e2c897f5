"""Facts from the configuration alone: figures by hand, and what is refused before a weight is touched."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertLMHeadModel, T5Config

from neuroal.errors import UserError
from neuroal.models import facts as facts_module
from neuroal.models.facts import check_fits, inspect
from neuroal.models.memory import Memory


def with_config(folder: Path, **changes: Any) -> Path:
    """A folder that holds nothing but a configuration."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(changes))
    return folder


def changed(source: Path, folder: Path, **changes: Any) -> Path:
    """A copy of a checkpoint's configuration with other values."""
    return with_config(folder, **{**json.loads((source / "config.json").read_text()), **changes})


def test_llama_by_hand(llama_folder: Path) -> None:
    facts = inspect(str(llama_folder))
    assert facts.prunable == 2 * (256 + 128 + 128 + 256 + 3 * 512)
    assert facts.parameters == facts.prunable + 64 * 16 + 5 * 16
    assert (facts.blocks, facts.hidden, facts.context, facts.tied) == (2, 16, 40, True)
    assert facts.linears[:4] == tuple(f"self_attn.{x}_proj" for x in "qkvo")
    assert facts.architecture == "LlamaForCausalLM"


def test_gpt2_by_hand(gpt2_folder: Path) -> None:
    facts = inspect(str(gpt2_folder))
    assert facts.prunable == 2 * (16 * 48 + 16 * 16 + 16 * 64 + 64 * 16)
    assert (facts.blocks, facts.hidden, facts.context, facts.tied) == (2, 16, 24, True)
    assert facts.linears == ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


def test_no_weight_is_needed(llama_folder: Path, tmp_path: Path) -> None:
    assert inspect(str(changed(llama_folder, tmp_path / "m"))) == inspect_as(llama_folder, tmp_path / "m")


def inspect_as(folder: Path, name: Path) -> facts_module.ModelFacts:
    """The facts of one folder under the name of another."""
    import dataclasses

    return dataclasses.replace(inspect(str(folder)), name=str(name))


def test_other_threads_keep_real_tensors_of_their_own_precision(
    llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one visitor's model is described on the meta device, another's pruning goes on."""
    build, seen = facts_module.AutoModelForCausalLM.from_config, []

    def meanwhile(*args: Any, **kwargs: Any) -> nn.Module:
        other = threading.Thread(target=lambda: seen.append(nn.Linear(2, 2).weight))
        other.start()
        other.join()
        return build(*args, **kwargs)

    monkeypatch.setattr(facts_module.AutoModelForCausalLM, "from_config", meanwhile)
    inspect(str(changed(llama_folder, tmp_path / "m", dtype="float16")))
    assert (seen[0].device.type, seen[0].dtype) == ("cpu", torch.float32)


def test_packaged_model_is_known_without_network(no_hub: list[str]) -> None:
    facts = inspect("SmolLM2-135M-Instruct")
    assert facts.parameters == 134_515_008
    assert facts.prunable == 106_168_320
    assert (facts.blocks, facts.hidden, facts.context, facts.tied) == (30, 576, 8192, True)


def test_untied_embeddings_are_counted_twice(llama_folder: Path, tmp_path: Path) -> None:
    facts = inspect(str(changed(llama_folder, tmp_path / "m", tie_word_embeddings=False)))
    assert not facts.tied
    assert facts.parameters == 4608 + 2 * 64 * 16 + 5 * 16


def test_hub_says_whether_it_is_gated(fake_hub: Any, llama_folder: Path) -> None:
    fake_hub.add("o/m", llama_folder)
    assert not inspect("o/m").gated
    fake_hub.add("o/g", llama_folder)
    fake_hub.gated.add("o/g")
    with pytest.raises(UserError, match="o/g is gated"):
        inspect("o/g")


@pytest.mark.parametrize("architectures", [["BertModel"], ["BertForMaskedLM"], None])
def test_encoder_is_refused(tmp_path: Path, architectures: list[str] | None) -> None:
    values = {**BertConfig(num_hidden_layers=1).to_dict(), "architectures": architectures}
    with pytest.raises(UserError, match="is not a causal language model; choose a decoder-only"):
        inspect(str(with_config(tmp_path / "m", **values)))


def test_encoder_made_into_a_decoder_is_one(tmp_path: Path) -> None:
    config = BertConfig(
        num_hidden_layers=1, hidden_size=16, intermediate_size=16, num_attention_heads=2, vocab_size=8, is_decoder=True
    )
    BertLMHeadModel(config).save_pretrained(tmp_path / "m")
    assert inspect(str(tmp_path / "m")).blocks == 1


def test_encoder_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is an encoder-decoder model"):
        inspect(str(with_config(tmp_path / "m", **T5Config(num_layers=1).to_dict())))


def test_head_for_another_task_is_refused(llama_folder: Path, tmp_path: Path) -> None:
    folder = changed(llama_folder, tmp_path / "m", architectures=["LlamaForSequenceClassification"])
    with pytest.raises(UserError, match="is not a causal language model"):
        inspect(str(folder))


def test_code_of_its_own_is_refused_and_not_run(tmp_path: Path) -> None:
    folder = with_config(
        tmp_path / "m", model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}
    )
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UserError, match="which is never run here"):
        inspect(str(folder))
    assert not (tmp_path / "ran").exists()


def test_known_type_with_code_uses_the_class_of_transformers(llama_folder: Path, tmp_path: Path) -> None:
    folder = changed(llama_folder, tmp_path / "m", auto_map={"AutoModelForCausalLM": "own.M"})
    assert inspect(str(folder)).architecture == "LlamaForCausalLM"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model_type": "from_the_future"}, "Model type 'from_the_future' .* is unknown to transformers"),
        ({}, "names no model type"),
        ({"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}, "is quantised"),
        ({"model_type": "llama", "hidden_size": "many"}, "is not valid for model type|cannot be built"),
    ],
)
def test_configurations_that_cannot_be_used(tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        inspect(str(with_config(tmp_path / "m", **values)))


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_configuration_that_is_not_one(tmp_path: Path, text: str) -> None:
    folder = with_config(tmp_path / "m")
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"The config.json of"):
        inspect(str(folder))


def test_too_large_for_this_machine(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_module, "machine_memory", lambda _: Memory("cpu", 10**8, 2 * 10**8))
    with pytest.raises(UserError, match="needs about 537 MB of memory .* this machine has 200 MB; choose a smaller"):
        inspect(str(llama_folder))
    assert inspect(str(llama_folder), must_fit=False).blocks == 2


def test_check_fits_by_hand(llama_folder: Path) -> None:
    facts = inspect(str(llama_folder))
    needed = 2 * (facts.parameters + facts.prunable) + 512 * 2**20
    check_fits(facts, Memory("cuda", needed, needed), 2)
    with pytest.raises(UserError, match="only 537 MB are free"):
        check_fits(facts, Memory("cuda", needed - 1, 2 * needed), 2)
    check_fits(facts, Memory("cuda", needed - 1, 2 * needed), 2, whole=True)


def test_shipped_model(no_hub: list[str]) -> None:
    from neuroal.models.menu import find_entry

    entry, facts = find_entry("tiny"), inspect("tiny")
    assert (facts.parameters, facts.blocks, facts.hidden) == (entry.parameters, entry.blocks, entry.hidden)
