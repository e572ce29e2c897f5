"""One text token by token: the figures against the models' own softmax, and texts that join to the whole."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from neuroal.api import drain
from neuroal.errors import UserError
from neuroal.evaluation.divergence import iter_divergence
from neuroal.evaluation.tokenwise import ComparedTokens, iter_compared, pieces
from neuroal.models.loading import LanguageModel
from neuroal.twin import sparse_twin
from tests.toys import random_llama

TEXT = "Straße, 東京 and a balloon 🎈: déjà vu… Once upon a time there was a small house on a hill."


class ByteTokenizer:
    """One token is one byte, so that a character takes up to four of them; token 256 is special."""

    def decode(self, ids: list[int], *, skip_special_tokens: bool, **_: Any) -> str:
        parts = [b"<end>" * (not skip_special_tokens) if i == 256 else bytes([i]) for i in ids if i <= 256]
        return b"".join(parts).decode("utf-8", errors="replace")


class WordTokenizer:
    """As SentencePiece does it: each word has a space in front, but the first word of a text loses it.

    Token 0 is special, and there are fewer tokens than a padded vocabulary has.
    """

    words = ("<s>", " once", " upon", " a", " time")

    def decode(self, ids: list[int], *, skip_special_tokens: bool, **_: Any) -> str:
        return "".join(self.words[i] for i in ids if i < 5 and (i or not skip_special_tokens)).removeprefix(" ")


class RunTokenizer:
    """One token is one byte, and bytes that are no text as a whole are a replacement sign each, as in SentencePiece."""

    def decode(self, ids: list[int], **_: Any) -> str:
        try:
            return bytes(ids).decode()
        except UnicodeDecodeError:
            return "\N{REPLACEMENT CHARACTER}" * len(ids)


@pytest.fixture(scope="module")
def twin(tiny: LanguageModel) -> nn.Module:
    """The tiny model with half of its weights gone at random."""
    random = torch.Generator().manual_seed(0)
    paths = [linear.path for linear in tiny.stack.all_linears()]
    twin = sparse_twin(tiny.model, paths)
    for path in paths:
        weight = twin.get_submodule(path).weight
        weight.data[torch.rand(weight.shape, generator=random) < 0.5] = 0
    return twin


@pytest.fixture(scope="module")
def ids(tiny: LanguageModel) -> Tensor:
    return tiny.tokenizer(TEXT, return_tensors="pt").input_ids


@pytest.fixture(scope="module")
def told(tiny: LanguageModel, twin: nn.Module, ids: Tensor) -> list[ComparedTokens]:
    return list(iter_compared(tiny.model, twin, tiny.tokenizer, ids))


def joined(told: list[ComparedTokens], name: str) -> list[Any]:
    return [entry for each in told for entry in getattr(each, name)]


# --- the figures -----------------------------------------------------------------------------------------------------


def test_every_token_is_told_once_in_pieces_of_sixteen(told: list[ComparedTokens], ids: Tensor) -> None:
    length = ids.shape[1]
    assert [each.start for each in told] == list(range(0, length, 8)) and len(told) > 2
    assert {each.total for each in told} == {length}
    for each in told:
        assert {len(x) for x in dataclasses.astuple(each)[2:]} == {min(8, length - each.start)}


def test_equal_to_the_models_own_softmax(
    tiny: LanguageModel, twin: nn.Module, told: list[ComparedTokens], ids: Tensor
) -> None:
    log_p, log_q = (model(input_ids=ids).logits[0].detach().double().log_softmax(-1) for model in (tiny.model, twin))
    kl = (log_p.exp() * (log_p - log_q)).sum(-1).tolist()
    assert joined(told, "kl") == [None, *(pytest.approx(x, rel=1e-3) for x in kl[:-1])]
    for name, log in (("dense", log_p), ("pruned", log_q)):
        came = [float(log[i, ids[0, i + 1]].exp()) for i in range(ids.shape[1] - 1)]
        assert joined(told, name) == [None, *(pytest.approx(x, rel=1e-3) for x in came)]
        likely = joined(told, f"{name}_top")
        assert likely[0] == ()
        for row, found in zip(log[:-1], likely[1:], strict=True):
            probabilities, tokens = row.exp().topk(5)
            assert [p for _, p in found] == [pytest.approx(p, rel=1e-3) for p in probabilities.tolist()]
            assert [text for text, _ in found] == [tiny.tokenizer.decode([t]) for t in tokens.tolist()]


def test_the_mean_is_that_of_the_window(
    tiny: LanguageModel, twin: nn.Module, told: list[ComparedTokens], ids: Tensor
) -> None:
    whole = drain(iter_divergence(tiny.model, twin, ids))
    kl = joined(told, "kl")[1:]
    assert sum(kl) / len(kl) == pytest.approx(whole.kl, rel=1e-4)


def test_a_model_beside_itself(tiny: LanguageModel, ids: Tensor) -> None:
    for each in iter_compared(tiny.model, tiny.model, tiny.tokenizer, ids, top=2):
        assert set(each.kl) <= {None, 0}
        assert each.dense == each.pruned and each.dense_top == each.pruned_top
        assert {len(top) for top in each.dense_top} <= {0, 2}


# --- on the wire -----------------------------------------------------------------------------------------------------


def test_the_json_has_four_digits_and_comes_back(told: list[ComparedTokens]) -> None:
    for each in told:
        record = json.loads(json.dumps(dataclasses.asdict(each)))
        assert ComparedTokens(**{name: _frozen(value) for name, value in record.items()}) == each
        numbers = [p for row in (*each.dense_top, *each.pruned_top) for _, p in row]
        for number in (*each.kl, *each.dense, *each.pruned, *numbers):
            assert number is None or number == float(f"{number:.3e}")
        assert len(json.dumps(dataclasses.asdict(each), separators=(",", ":"))) < 8 * 250


def test_a_whole_number_is_written_short(model: LlamaForCausalLM) -> None:
    """A model that is certain: probabilities 1 and 0, without a point."""
    model.lm_head.weight.zero_()
    model.lm_head.weight[7], model.lm_head.weight[8] = 1e4, -1e4
    told = next(iter_compared(model, model, ByteTokenizer(), torch.tensor([[3, 3, 3]])))
    for likely in told.dense_top[1:]:
        assert json.dumps([p for _, p in likely]) == "[1, 0, 0, 0, 0]"


# --- the texts -------------------------------------------------------------------------------------------------------


def test_the_texts_join_to_the_decoded_text(tiny: LanguageModel, told: list[ComparedTokens], ids: Tensor) -> None:
    assert "".join(joined(told, "text")) == tiny.tokenizer.decode(ids[0], skip_special_tokens=True) == TEXT
    assert all("\N{REPLACEMENT CHARACTER}" not in text for text in joined(told, "text"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", ["a", "b", "c"]),
        ("aéz", ["a", "", "é", "z"]),
        ("🎈é", ["", "", "", "🎈", "", "é"]),
        ("\N{REPLACEMENT CHARACTER}a", None),  # a real one: where it is told does not matter
    ],
)
def test_a_character_is_told_when_it_is_whole(text: str, expected: list[str] | None) -> None:
    found = pieces(ByteTokenizer(), list(text.encode()))
    assert "".join(found) == text and len(found) == len(text.encode())
    assert expected is None or found == expected


def test_bytes_that_are_no_character_are_told_too() -> None:
    broken = [97, 0xE2, 0x82, 98, 0xFF, 0xF0]
    found = pieces(ByteTokenizer(), broken)
    assert "".join(found) == bytes(broken).decode(errors="replace") and len(found) == 6
    assert found[0] == "a" and found[3].endswith("b")


def test_texts_that_later_tokens_change_join_all_the_same() -> None:
    sign = "\N{REPLACEMENT CHARACTER}"
    assert pieces(RunTokenizer(), [0xC3, 0xA9, 0xFF]) == [sign, "", 2 * sign]


def test_likely_tokens_that_are_parts_of_characters() -> None:
    """Also where the text begins with one: no part is taken for the rest of it."""
    model = random_llama(vocab_size=256)
    told = next(iter_compared(model, model, ByteTokenizer(), torch.tensor([list("🎈ab".encode())]), top=20))
    assert {len(text) for likely in told.dense_top for text, _ in likely} == {1}


def test_a_special_token_is_no_text_but_has_a_name() -> None:
    assert pieces(ByteTokenizer(), [97, 256, 98]) == ["a", "", "b"]
    model = random_llama(vocab_size=6)
    told = next(iter_compared(model, model, WordTokenizer(), torch.tensor([[0, 1, 2]]), top=20))
    assert told.text == ("", "once", " upon")
    for likely in told.dense_top[1:]:
        assert {text for text, _ in likely} == {"<s>", " once", " upon", " a", " time", "<5>"}
        assert sum(p for _, p in likely) == pytest.approx(1, abs=1e-3)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((2, 8), r"one text has the shape \[1, length\]"),
        ((8,), r"one text has the shape \[1, length\]"),
        ((1, 513), "513 tokens; from 2 to 512 can be compared, so shorten it"),
        ((1, 1), "write more"),
        ((1, 0), "write more"),
    ],
)
def test_texts_that_are_refused(tiny: LanguageModel, shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        next(iter_compared(tiny.model, tiny.model, tiny.tokenizer, torch.zeros(shape, dtype=torch.int64)))


def test_a_text_longer_than_the_context_is_refused(model: LlamaForCausalLM) -> None:
    with pytest.raises(UserError, match="from 2 to 64"):
        next(iter_compared(model, model, ByteTokenizer(), torch.zeros(1, 65, dtype=torch.int64)))


@pytest.mark.parametrize("ids", [torch.tensor([[0, 64]]), torch.tensor([[0, -1]]), torch.zeros(1, 4)])
def test_ids_that_are_refused(model: LlamaForCausalLM, ids: Tensor) -> None:
    with pytest.raises(UserError, match="whole numbers from 0 to 63"):
        next(iter_compared(model, model, ByteTokenizer(), ids))


@pytest.mark.parametrize("top", [0, 21, 2.5, True])
def test_lists_that_are_refused(model: LlamaForCausalLM, top: Any) -> None:
    with pytest.raises(UserError, match="from 1 to 20"):
        next(iter_compared(model, model, ByteTokenizer(), torch.zeros(1, 4, dtype=torch.int64), top=top))


def test_predictions_that_are_not_finite_are_one_sentence(model: LlamaForCausalLM) -> None:
    model.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="The dense model's predictions are not finite"):
        next(iter_compared(model, model, ByteTokenizer(), torch.zeros(1, 4, dtype=torch.int64)))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
