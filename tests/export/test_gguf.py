"""GGUF files: read back by gguf and by transformers as the same model; what cannot be checked is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from neuroal.errors import UserError
from neuroal.export import Source, export
from neuroal.export import gguf_file as gguf_files
from neuroal.export.gguf_layout import layout_of, stored
from neuroal.export.gguf_tokens import rule_of, tokens_of
from neuroal.models.loading import LanguageModel
from tests.export.conftest import conv1d, zeroed, zeros_of
from tests.toys import random_llama

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
BPE = {"type": "BPE", "byte_fallback": False, "ignore_merges": False}


def biased() -> Any:
    """A model with biases on some of its linears, untied."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=2048, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    return Qwen2ForCausalLM(config).eval().requires_grad_(False)


MODELS: dict[str, Callable[[], Any]] = {
    "grouped-query": lambda: random_llama(vocab_size=2048),
    "tied": lambda: random_llama(vocab_size=2048, tie_word_embeddings=True),
    "biased": biased,
    "transposed": lambda: conv1d(1024),  # the number that transformers takes where a GGUF file has none
}


@pytest.mark.parametrize("name", MODELS)
def test_it_is_read_back_as_the_same_model(name: str, source_of: Callable[..., Source], tmp_path: Path) -> None:
    model = zeroed(MODELS[name]())
    made = export(source_of(model, licence="MIT"), "gguf", tmp_path / "model.gguf")
    read = AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file="model.gguf", quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    assert zeros_of(read) == zeros_of(model)
    ids = torch.arange(12)[None]
    assert torch.equal(read(ids).logits, model(ids).logits)
    assert "no weight missing or unexpected" in made.told.checked and "cuts texts alike" in made.told.checked
    assert [p.name for p in tmp_path.iterdir()] == ["model.gguf"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half(dtype: torch.dtype, source_of: Callable[..., Source], tmp_path: Path) -> None:
    model = zeroed(random_llama(vocab_size=2048).to(dtype))
    made = export(source_of(model), "gguf", tmp_path / "model.gguf")
    weights = sum(p.numel() for p in model.parameters())
    assert made.told.bytes < 2 * weights + 120_000
    kinds = {t.name: t.tensor_type.name for t in GGUFReader(made.path).tensors}
    assert kinds["blk.0.attn_q.weight"] == {torch.float16: "F16", torch.bfloat16: "BF16"}[dtype]
    assert kinds["blk.0.attn_norm.weight"] == "F32"


def test_what_llama_cpp_reads_of_it(tiny: LanguageModel, tmp_path: Path) -> None:
    """The rows of q and k by hand: the halves of each head, which transformers rotates, become even and odd rows."""
    model = zeroed(random_llama(vocab_size=2048))
    from neuroal.export import of_model

    made = export(of_model(model, tiny.tokenizer, licence="Apache-2.0"), "gguf", tmp_path / "model.gguf")
    reader = GGUFReader(made.path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "llama" and fields["general.license"] == "apache-2.0"
    assert fields["llama.block_count"] == 3 and fields["llama.attention.head_count_kv"] == 2
    assert fields["llama.rope.freq_base"] == 10000.0 and fields["llama.vocab_size"] == 2048
    assert fields["llama.attention.key_length"] == fields["llama.rope.dimension_count"] == 4
    assert fields["tokenizer.ggml.model"] == "gpt2" and fields["tokenizer.ggml.pre"] == "gpt-2"
    assert fields["tokenizer.ggml.bos_token_id"] == 0 and fields["tokenizer.ggml.eos_token_id"] == 1
    assert fields["tokenizer.ggml.add_bos_token"] is True and fields["tokenizer.ggml.add_eos_token"] is False
    assert fields["tokenizer.ggml.tokens"][:2] == ["<s>", "</s>"] and fields["tokenizer.ggml.token_type"][:3] == [
        3,
        3,
        1,
    ]
    assert len(fields["tokenizer.ggml.tokens"]) == 2048 and fields["tokenizer.ggml.merges"]
    weights = {tensor.name: tensor.data for tensor in reader.tensors}
    query = model.model.layers[0].self_attn.q_proj.weight.numpy()
    rows = [0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15]  # 4 heads of 4 rows
    assert np.array_equal(weights["blk.0.attn_q.weight"], query[rows])
    assert np.array_equal(weights["blk.0.attn_v.weight"], model.model.layers[0].self_attn.v_proj.weight.numpy())


@pytest.mark.parametrize("options", [{}, {"quantization_config": GgufConfig(dequantize=True)}])
def test_what_was_read_from_a_gguf_file_can_be_exported(
    options: dict[str, Any], source: Source, source_of: Callable[..., Source], tmp_path: Path
) -> None:
    """transformers marks it as quantised, and refuses to save it itself."""
    export(source, "gguf", tmp_path / "model.gguf")
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf", dtype=torch.float32, **options)
    marks = getattr(read, "is_quantized", False), getattr(read, "hf_quantizer", None)
    made = export(source_of(read), "folder", tmp_path / "out")
    assert zeros_of(AutoModelForCausalLM.from_pretrained(made.path)) == zeros_of(source.model)
    assert (getattr(read, "is_quantized", False), getattr(read, "hf_quantizer", None)) == marks
    assert "quantization_config" not in (made.path / "config.json").read_text()


# --- the order of the numbers -----------------------------------------------------------------------------------------


class Reader:
    """A reader that does something to a tensor."""

    def __init__(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        self.change = change

    def process(self, weights: np.ndarray, name: str, **_: Any) -> Any:
        return type("Read", (), {"weights": self.change(weights), "name": name})()


@pytest.mark.parametrize(
    "change",
    [lambda w: w, lambda w: w.T, lambda w: w[::-1], lambda w: w.reshape(3, 2, 2).swapaxes(0, 1).reshape(6, 2).T],
)
def test_whatever_the_reader_moves_is_moved_back(change: Callable[[np.ndarray], np.ndarray]) -> None:
    weight = torch.randn(2, 6)
    layout = type("Layout", (), {"reader": Reader(change), "names": {}})()
    kept = stored(layout, "blk.0.x", weight)
    assert np.array_equal(change(kept.numpy()), weight.numpy())


@pytest.mark.parametrize("change", [lambda w: w - 1, lambda w: w * 0, lambda w: w[:1], lambda w: np.log(w + 1.0)])
def test_a_reader_that_computes_is_refused(change: Callable[[np.ndarray], np.ndarray]) -> None:
    layout = type("Layout", (), {"reader": Reader(change), "names": {}})()
    with pytest.raises(UserError, match="keeps blk.0.x as other numbers"):
        stored(layout, "blk.0.x", torch.randn(2, 6))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_type": "nothing"}, "'nothing' is not among the architectures of gguf"),
        ({"model_type": "gpt_neox"}, "llama.cpp was not seen to answer alike for the type 'gpt_neox'"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, "rotary embedding is scaled"),
        ({"layer_types": ["sliding_attention"] * 3}, "see a window only"),
    ],
)
def test_what_could_not_be_checked_is_refused(changes: dict[str, Any], sentence: str) -> None:
    model = random_llama()
    model.config = copy.copy(model.config)
    for name, value in changes.items():
        object.__setattr__(model.config, name, value)
    with pytest.raises(UserError, match=sentence):
        layout_of(model)


# --- the tokenizer ----------------------------------------------------------------------------------------------------


def split(expression: str, **changes: Any) -> dict[str, Any]:
    cut = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False, **changes}
    return {"type": "Sequence", "pretokenizers": [cut, {**BYTES, "use_regex": False}]}


def expression_of(name: str) -> str:
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    return GGUF_PRE_TOKENIZER_SPLITS[name]


def test_the_rule_by_which_text_is_cut_is_found_by_what_it_does() -> None:
    digits = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTES]}
    assert rule_of({"model": BPE, "pre_tokenizer": BYTES}) == "gpt-2"
    assert rule_of({"model": BPE, "pre_tokenizer": digits}) == "smollm"
    qwen = {"model": BPE, "normalizer": {"type": "NFC"}, "pre_tokenizer": split(expression_of("qwen2"))}
    assert rule_of(qwen) == "qwen2"
    whole = BPE | {"ignore_merges": True}
    assert rule_of({"model": whole, "pre_tokenizer": split(expression_of("llama-bpe"))}) == "llama3"


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        ({"model": {"type": "Unigram"}, "pre_tokenizer": BYTES}, "not byte-level BPE"),
        ({"model": {}, "pre_tokenizer": BYTES}, "not byte-level BPE"),
        ({"model": BPE | {"byte_fallback": True}, "pre_tokenizer": BYTES}, "not byte-level BPE"),
        ({"model": BPE, "normalizer": {"type": "Lowercase"}, "pre_tokenizer": BYTES}, "rewrites text"),
        ({"model": BPE, "pre_tokenizer": None}, "the rule by which"),
        ({"model": BPE, "pre_tokenizer": BYTES | {"add_prefix_space": True}}, "the rule by which"),
        ({"model": BPE, "pre_tokenizer": split("a+")}, "the rule by which"),
        ({"model": BPE, "pre_tokenizer": split("a+", behavior="Removed")}, "the rule by which"),
        ({"model": BPE | {"ignore_merges": True}, "pre_tokenizer": BYTES}, "the rule by which"),
    ],
)
def test_other_tokenizers_are_refused(described: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        rule_of(described)


def test_ids_without_a_token_are_marked_as_unused(tiny: LanguageModel) -> None:
    tokens, types = tokens_of(tiny.tokenizer, 2050)
    assert tokens[2048:] == ["[PAD2048]", "[PAD2049]"] and types[2048:] == [5, 5]
    with pytest.raises(UserError, match="more tokens than its embedding"):
        tokens_of(tiny.tokenizer, 2000)


@pytest.mark.parametrize("change", ["another token", "another cut"])
def test_a_tokenizer_that_comes_back_otherwise_is_never_offered(
    change: str, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = AutoTokenizer.from_pretrained

    def read(*given: Any, **options: Any) -> Any:
        found = real(*given, **options)
        if change == "another cut":
            found.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
            return found
        vocabulary = {token: index ^ 1 for token, index in found.get_vocab().items()}
        found.get_vocab = lambda: vocabulary
        return found

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", read)
    with pytest.raises(UserError, match="was read back as another one|cuts a text otherwise"):
        export(source, "gguf", tmp_path / "model.gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_in_another_order_is_never_offered(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_files, "stored", lambda _, __, weight: weight)
    with pytest.raises(UserError, match="self_attn.q_proj.weight differs"):
        export(source, "gguf", tmp_path / "model.gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_chat_template_goes_along(source: Source, tmp_path: Path) -> None:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=source.tokenizer.backend_tokenizer, bos_token="<s>", eos_token="</s>"
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    from neuroal.export import of_model

    made = export(of_model(source.model, tokenizer), "gguf", tmp_path / "model.gguf")
    assert GGUFReader(made.path).fields["tokenizer.chat_template"].contents() == tokenizer.chat_template
