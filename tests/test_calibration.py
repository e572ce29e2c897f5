"""From text to tokens: deterministic draws, held-out windows that calibration never saw."""

from __future__ import annotations

import pytest
import torch

import neuroal
from neuroal.errors import UserError
from neuroal.models.loading import LanguageModel
from neuroal.texts import PROSE, calibration_documents, held_out_text


def test_draws_depend_on_the_seed_only(tiny: LanguageModel) -> None:
    first = neuroal.calibration_tokens(tiny.tokenizer, samples=4, length=32, seed=0)
    assert first.shape == (4, 32) and first.dtype == torch.int64
    assert torch.equal(first, neuroal.calibration_tokens(tiny.tokenizer, samples=4, length=32, seed=0))
    assert torch.equal(first, neuroal.calibration_tokens(tiny.tokenizer, samples=9, length=32, seed=0)[:4])
    assert not torch.equal(first, neuroal.calibration_tokens(tiny.tokenizer, samples=4, length=32, seed=1))


def test_the_global_generators_are_left_alone(tiny: LanguageModel) -> None:
    before = torch.random.get_rng_state()
    neuroal.calibration_tokens(tiny.tokenizer, samples=2, length=16)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_own_text_is_drawn_from_and_a_short_one_refused(tiny: LanguageModel) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 40
    drawn = neuroal.calibration_tokens(tiny.tokenizer, source="own", text=text, samples=2, length=16)
    assert all(tiny.tokenizer.decode(ids).strip() in text for ids in drawn)
    with pytest.raises(UserError, match="too few for sequences of 64"):
        neuroal.calibration_tokens(tiny.tokenizer, source="own", text="Too short.", length=64)


def test_windows_are_spread_over_the_text_without_overlap(tiny: LanguageModel) -> None:
    ids = tiny.tokenizer(held_out_text("prose"), verbose=False).input_ids
    windows = neuroal.held_out_windows(tiny.tokenizer, windows=10, length=100)
    starts = [i * (len(ids) // 100) // 10 * 100 for i in range(10)]
    assert windows.tolist() == [ids[s : s + 100] for s in starts]
    assert neuroal.held_out_windows(tiny.tokenizer, windows=4096, length=512).shape[0] == len(ids) // 512


def test_the_bundled_prose_is_large_and_its_parts_are_apart() -> None:
    calibration, held_out = calibration_documents("prose"), held_out_text("prose")
    assert sum(p.stat().st_size for p in PROSE.rglob("*.txt")) >= 150_000
    kinds = {path.name.partition("-")[0] for path in PROSE.rglob("*.txt")}
    assert kinds == {"encyclopedic", "narrative", "dialogue", "instructions", "technical"}
    paragraphs = {p for document in calibration for p in document.split("\n\n") if len(p) > 60}
    assert not [p for p in held_out.split("\n\n") if p in paragraphs]


@pytest.mark.parametrize("source", ["wikitext2", "ptb", "c4"])
def test_the_literatures_texts_are_asked_for_by_their_ids_and_joined_as_usual(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def fake(path: str, *args: str, **kwargs: object) -> object:
        asked[path] = (args, kwargs)
        rows = [{"text": "one", "sentence": "one"}, {"text": "two", "sentence": "two"}]
        return rows if kwargs.get("streaming") else {"text": ["one", "two"], "sentence": ["one", "two"]}

    monkeypatch.setattr("datasets.load_dataset", fake)
    monkeypatch.setattr("neuroal.models.hub.reachable", lambda: True)
    assert held_out_text(source) == {"wikitext2": "one\n\ntwo", "ptb": "one two", "c4": "one two"}[source]
    assert (
        asked
        == {
            "wikitext2": {"Salesforce/wikitext": (("wikitext-2-raw-v1",), {"split": "test"})},
            "ptb": {"ptb-text-only/ptb_text_only": ((), {"revision": "refs/convert/parquet", "split": "test"})},
            "c4": {
                "allenai/c4": (
                    (),
                    {
                        "data_files": {"validation": "en/c4-validation.00000-of-00008.json.gz"},
                        "split": "validation",
                        "streaming": True,
                    },
                )
            },
        }[source]
    )


def test_a_hub_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroal.models.hub.reachable", lambda: False)
    with pytest.raises(UserError, match="choose the bundled prose"):
        held_out_text("wikitext2")
