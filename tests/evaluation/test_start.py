"""Whether a model needs its start token is tried on it, and windows then begin with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import neuroal
from neuroal.evaluation.start import begun, start_token
from neuroal.runs.events import CalibrationReady, Measured, Notice
from neuroal.runs.spec import RunSpec
from tests.events import drained

START = 1


class Tokenizer:
    """Of digits; puts the start token in front unless told otherwise."""

    bos_token_id: int | None = START

    def __init__(self, adds: bool = True) -> None:
        self.adds = adds

    def __call__(self, text: str, **_: Any) -> Any:
        return SimpleNamespace(input_ids=[START] * self.adds + [5] * len(text))


class Counting(nn.Module):
    """Predicts the token that came last, with a probability that depends on the first token: e^4 : 1, or 1 : 1."""

    def __init__(self, needs: bool) -> None:
        super().__init__()
        self.needs = needs
        self.weight = nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(max_position_embeddings=64))

    def forward(self, input_ids: Tensor, **_: Any) -> Any:
        sure = (input_ids[:, :1] == START) | (not self.needs)
        return SimpleNamespace(logits=4.0 * nn.functional.one_hot(input_ids, 10) * sure[..., None])


@pytest.mark.parametrize(("needs", "adds", "expected"), [(True, True, START), (False, True, None), (True, False, None)])
def test_only_a_model_that_needs_it_gets_it(needs: bool, adds: bool, expected: int | None) -> None:
    windows = torch.full((2, 8), 5)
    assert start_token(Counting(needs), Tokenizer(adds), windows) == expected


def test_a_window_that_begins_with_it_tells_nothing() -> None:
    assert start_token(Counting(True), Tokenizer(), torch.tensor([[START, 5, 5]])) is None


def test_no_start_token_none_needed() -> None:
    tokenizer = Tokenizer()
    tokenizer.bos_token_id = None
    assert start_token(Counting(True), tokenizer, torch.full((1, 8), 5)) is None


def test_windows_get_one_token_longer() -> None:
    assert begun(torch.tensor([[5, 6], [7, 8]]), START).tolist() == [[START, 5, 6], [START, 7, 8]]


def test_a_run_says_so_and_measures_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RunSpec(model="tiny", top_up="uniform", samples=2, length=16, eval_windows=3, eval_length=32)
    plain, _ = drained(neuroal.run(spec))
    assert not [e for e in plain if isinstance(e, Notice)], "the teaching model can do without"
    monkeypatch.setattr("neuroal.runs.run.start_token", lambda *_: START)
    log, _ = drained(neuroal.run(spec))
    assert any("in front" in e.message for e in log if isinstance(e, Notice))
    lm = neuroal.load("tiny")
    windows = begun(neuroal.held_out_windows(lm.tokenizer, windows=3, length=32), START)
    dense = next(e for e in log if isinstance(e, Measured) and e.variant == "dense")
    assert dense.value == pytest.approx(neuroal.perplexity(lm.model, windows))
    assert (dense.tokens, dense.length) == (3 * 32, 33)
    assert any(isinstance(e, CalibrationReady) and e.length == 16 for e in log), "calibration is as ever"
