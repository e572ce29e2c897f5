"""Two answers side by side: the same as each model's own, stoppable, and split cleanly where they part."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from threading import get_native_id
from typing import Any

import pytest
import torch
from torch import nn

from neuroal import generation, matvec
from neuroal.errors import UserError
from neuroal.generation import (
    MAX_CHARACTERS,
    GumbelNoise,
    Pair,
    Settings,
    StopWhen,
    first_difference,
    generate_pair,
    split_at,
)
from neuroal.models.loading import LanguageModel
from neuroal.threads import NICENESS
from neuroal.twin import skeleton, sparse_twin

PROMPT = "Once upon a time there was"
SAMPLED = {"temperature": 0.9, "top_p": 0.95}


class ByteTokenizer:
    """One token is one byte, so that a character takes up to four of them; token 256 is special."""

    def decode(self, ids: list[int], **_: Any) -> str:
        return bytes(i for i in ids if i < 256).decode("utf-8", errors="replace")


class Failing(nn.Module):
    """A model that is there, and fails when it is asked."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.config, self.generation_config, self.device = model.config, model.generation_config, model.device

    def generate(self, **_: Any) -> None:
        raise RuntimeError("a secret path")


@pytest.fixture(scope="module")
def twin(tiny: LanguageModel) -> nn.Module:
    """The tiny model with seven of ten weights gone at random: it cannot but answer otherwise."""
    random = torch.Generator().manual_seed(0)
    twin = sparse_twin(tiny.model, [linear.path for linear in tiny.stack.all_linears()])
    for linear in tiny.stack.all_linears():
        weight = twin.get_submodule(linear.path).weight
        weight.data[torch.rand(weight.shape, generator=random) < 0.7] = 0
    return twin


def answer(lm: LanguageModel, pruned: nn.Module, prompt: str = PROMPT, chat: bool = False, **settings: Any) -> Pair:
    """The last update of a whole answer."""
    settings = {"max_tokens": 16, **settings}
    *_, last = generate_pair(lm.model, pruned, lm.tokenizer, prompt, Settings(**settings), chat=chat)
    return last


def running(name: str = "generate-") -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def wait_until_none_runs(seconds: float = 5.0) -> float:
    """Seconds until no side's thread is left."""
    started = time.perf_counter()
    while running() and time.perf_counter() - started < seconds:
        time.sleep(0.002)
    assert not running()
    return time.perf_counter() - started


# --- what is answered ------------------------------------------------------------------------------------------------


def test_identical_models_never_part(tiny: LanguageModel) -> None:
    pair = answer(tiny, skeleton(tiny.model))
    assert pair.diverged is None
    assert pair.dense.ids == pair.pruned.ids
    assert pair.dense.before == pair.dense.text and not pair.dense.at and not pair.dense.after
    assert pair.dense.done and pair.pruned.done and pair.dense.rate > 0


@pytest.mark.parametrize("numpy_is_faster", [True, False])
def test_greedy_is_what_each_model_answers_alone(
    numpy_is_faster: bool, tiny: LanguageModel, twin: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matvec, "faster", lambda threads: numpy_is_faster)
    pair = answer(tiny, twin)
    given = tiny.tokenizer(PROMPT, return_tensors="pt")
    for model, side in ((tiny.model, pair.dense), (twin, pair.pruned)):
        alone = model.generate(**given, max_new_tokens=16, do_sample=False)[0, given.input_ids.shape[1] :]
        assert list(side.ids) == alone.tolist()
        assert side.text == tiny.tokenizer.decode(alone, skip_special_tokens=True)


def test_a_pruned_model_parts_and_the_seam_is_marked(tiny: LanguageModel, twin: nn.Module) -> None:
    pair = answer(tiny, twin)
    assert pair.diverged == first_difference(pair.dense.ids, pair.pruned.ids) is not None
    assert pair.dense.before == pair.pruned.before
    for side in (pair.dense, pair.pruned):
        assert side.text == tiny.tokenizer.decode(list(side.ids), skip_special_tokens=True)


def test_sampling_is_a_function_of_the_seed(tiny: LanguageModel) -> None:
    first, again = (answer(tiny, skeleton(tiny.model), seed=1, **SAMPLED) for _ in range(2))
    other = answer(tiny, skeleton(tiny.model), seed=2, **SAMPLED)
    assert first.diverged is None  # both sides see the same noise
    assert first.dense.ids == again.dense.ids
    assert first.dense.ids != other.dense.ids


def test_sampling_leaves_the_process_generator_alone(tiny: LanguageModel) -> None:
    before = torch.get_rng_state()
    answer(tiny, tiny.model, seed=1, **SAMPLED)
    assert torch.equal(before, torch.get_rng_state())


def test_the_noise_samples_from_the_softmax() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0, -torch.inf]])
    noise = GumbelNoise(0)
    counts = torch.zeros(4)
    for _ in range(4000):
        counts[noise(torch.empty(0), scores).argmax()] += 1
    assert torch.allclose(counts / 4000, scores.softmax(-1)[0], atol=0.03)


def test_an_end_token_of_the_tokenizer_ends_an_answer(tiny: LanguageModel) -> None:
    """Some chat models declare the end of a turn only there; here the first token is declared to be it."""
    first = answer(tiny, tiny.model).dense.ids[0]
    tokenizer = _Ending(tiny.tokenizer, first)
    *_, pair = generate_pair(tiny.model, tiny.model, tokenizer, PROMPT, Settings(max_tokens=16), chat=False)
    assert pair.dense.ids == (first,) and pair.dense.done


def test_updates_are_snapshots_that_grow(tiny: LanguageModel) -> None:
    updates = list(generate_pair(tiny.model, tiny.model, tiny.tokenizer, PROMPT, Settings(max_tokens=64), chat=False))
    lengths = [len(update.dense.ids) for update in updates]
    assert lengths == sorted(lengths) and lengths[-1] <= 64
    assert all(later.dense.text.startswith(sooner.dense.text) for sooner, later in pairwise(updates))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a thread has a priority of its own on Linux only")
@pytest.mark.parametrize("aside", [False, True])
def test_an_answer_may_come_after_others(tiny: LanguageModel, aside: bool) -> None:
    seen = set()
    note = tiny.model.register_forward_pre_hook(lambda *_: seen.add(os.getpriority(os.PRIO_PROCESS, get_native_id())))
    try:
        settings = Settings(max_tokens=2)
        list(generate_pair(tiny.model, tiny.model, tiny.tokenizer, PROMPT, settings, chat=False, aside=aside))
    finally:
        note.remove()
    usual = os.getpriority(os.PRIO_PROCESS, get_native_id())
    assert seen == {NICENESS if aside else usual}


def test_who_makes_way_rests_for_as_long_as_asked_after_each_token(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rests, stop = [10.0], [], threading.Event()
    monkeypatch.setattr(generation.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(stop, "wait", lambda seconds: rests.append(seconds) or now.__setitem__(0, now[0] + seconds))
    ids, usual, resting = torch.zeros(1, 1), StopWhen(stop), StopWhen(stop, rest=2.0)
    for took in (0.5, 0.25):
        now[0] += took
        assert [bool(each(ids, ids)) for each in (usual, resting)] == [False, False]
    assert rests == [1.0, 0.5], "the rest itself is no work"
    stop.set()
    assert bool(usual(ids, ids))


def test_nothing_is_printed(tiny: LanguageModel, caplog: pytest.LogCaptureFixture, recwarn: Any) -> None:
    """Not even for a model whose own settings sample, as most published chat models' do."""
    model = skeleton(tiny.model)
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9, top_k=20, min_p=0.1, max_length=200)
    model.generation_config.pad_token_id = None
    transformers = logging.getLogger("transformers")
    transformers.addHandler(caplog.handler)
    try:
        answer(tiny, model)
        answer(tiny, model, seed=1, **SAMPLED)
    finally:
        transformers.removeHandler(caplog.handler)
    assert not caplog.messages
    assert not [w for w in recwarn if "generation" in str(w.message)]


def test_a_chat_template_is_used_where_there_is_one_and_wanted(tiny: LanguageModel) -> None:
    plain = answer(tiny, tiny.model, chat=True)
    chatty = _Templated(tiny.tokenizer, "Question: {{ messages[0].content }} Answer:")
    with_template, without = (
        list(generate_pair(tiny.model, tiny.model, chatty, PROMPT, Settings(max_tokens=16), chat=chat))[-1]
        for chat in (True, False)
    )
    assert with_template.dense.ids != plain.dense.ids
    assert without.dense.ids == plain.dense.ids


# --- stopping and failing --------------------------------------------------------------------------------------------


def test_closing_stops_both_within_ten_tokens(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = _count_steps(monkeypatch)
    pairs = generate_pair(tiny.model, tiny.model, tiny.tokenizer, PROMPT, Settings(max_tokens=400), chat=False)
    while not (seen := next(pairs)).dense.ids or not seen.pruned.ids:
        pass
    at_stop = len(steps)
    pairs.close()
    wait_until_none_runs()
    assert len(steps) - at_stop <= 2 * 10


def test_a_failing_side_does_not_hold_up_the_other(tiny: LanguageModel) -> None:
    pair = answer(tiny, Failing(tiny.model))
    assert pair.pruned.error == "This model could not answer (RuntimeError); try a shorter prompt."
    assert pair.pruned.done and not pair.pruned.ids
    assert len(pair.dense.ids) == 16 and not pair.dense.error
    wait_until_none_runs()


def test_each_side_computes_on_half_of_the_threads(tiny: LanguageModel, on_threads: Callable[[int], None]) -> None:
    class Telling(Failing):
        def generate(self, **_: Any) -> None:
            counts.append(torch.get_num_threads())

    on_threads(4)
    counts: list[int] = []
    model = Telling(tiny.model)
    *_, last = generate_pair(model, model, tiny.tokenizer, PROMPT, Settings(), chat=False)
    assert last.dense.done and not last.dense.error
    assert counts == [2, 2]
    assert torch.get_num_threads() == 4


def test_both_may_fail(tiny: LanguageModel) -> None:
    failing = Failing(tiny.model)
    *_, pair = generate_pair(failing, failing, tiny.tokenizer, PROMPT, Settings(), chat=False)
    assert pair.dense.error and pair.pruned.error and pair.diverged is None


def test_two_people_may_ask_the_same_models_at_once(tiny: LanguageModel) -> None:
    expected = answer(tiny, tiny.model).dense.ids
    found: list[tuple[int, ...]] = []
    people = [threading.Thread(target=lambda: found.append(answer(tiny, tiny.model).pruned.ids)) for _ in range(2)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert found == [expected, expected]


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "sentence"),
    [
        (" \n", 16, "The prompt is empty"),
        ("word " * 600, 16, "this model's context is"),
        ("word", 1024, "shorten one of them"),
        ("x" * (MAX_CHARACTERS + 1), 16, f"at most {MAX_CHARACTERS}"),
    ],
)
def test_prompts_that_are_refused(tiny: LanguageModel, prompt: str, max_tokens: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        answer(tiny, tiny.model, prompt, max_tokens=max_tokens)
    assert not running()


def test_a_template_that_fails_is_told(tiny: LanguageModel) -> None:
    broken = _Templated(tiny.tokenizer, "{{ raise_exception('no') }}")
    with pytest.raises(UserError, match="switch it off"):
        next(generate_pair(tiny.model, tiny.model, broken, PROMPT, Settings(max_tokens=16), chat=True))


@pytest.mark.parametrize(
    "bad",
    [
        {"max_tokens": 0},
        {"max_tokens": 1025},
        {"max_tokens": 8.5},
        {"max_tokens": True},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": "hot"},
        {"top_p": 0},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": 10**99},
        {"seed": None},
    ],
)
def test_settings_out_of_range_are_named(bad: dict[str, Any]) -> None:
    label = next(iter(bad)).replace("_", " ").capitalize()
    with pytest.raises(UserError, match=rf"{label} is .{{1,50}}; it must be a .*number from"):
        Settings(**bad)


# --- where two texts part --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "index", "parts"),
    [
        ("abc", 1, ("a", "b", "c")),
        ("abc", 0, ("", "a", "bc")),
        ("abc", None, ("abc", "", "")),
        ("aéz", 1, ("a", "é", "z")),  # the first byte of é
        ("aéz", 2, ("a", "é", "z")),  # its second: the character is the middle, whole
        ("a🎈z", 3, ("a", "🎈", "z")),
        ("a🎈é", 5, ("a🎈", "é", "")),
    ],
)
def test_a_split_never_cuts_a_character(text: str, index: int | None, parts: tuple[str, str, str]) -> None:
    assert split_at(ByteTokenizer(), list(text.encode()), index) == parts


def test_every_split_of_an_answer_joins_to_it(tiny: LanguageModel) -> None:
    text = "Straße, 東京 and a balloon 🎈: déjà vu…"
    ids = tiny.tokenizer(text, add_special_tokens=False).input_ids
    whole = "".join(split_at(tiny.tokenizer, ids, None))
    for index in range(len(ids)):
        parts = split_at(tiny.tokenizer, ids, index)
        assert "".join(parts) == whole
        assert all("\N{REPLACEMENT CHARACTER}" not in part for part in parts)


def test_an_unfinished_character_waits_for_its_rest() -> None:
    ids = list("aé".encode())[:-1]
    assert split_at(ByteTokenizer(), ids, None, done=False) == ("a", "", "")
    assert split_at(ByteTokenizer(), ids, 1, done=False) == ("a", "", "")
    assert split_at(ByteTokenizer(), ids, 1, done=True) == ("a", "\N{REPLACEMENT CHARACTER}", "")


def test_a_special_token_has_no_text() -> None:
    assert split_at(ByteTokenizer(), [97, 256], 1) == ("a", "", "")


def test_the_first_difference() -> None:
    assert first_difference([1, 2, 3], [1, 2, 3]) is None
    assert first_difference([1, 2], [1, 2, 3]) is None  # as far as both go
    assert first_difference([1, 2, 3], [1, 4]) == 1
    assert first_difference([], [1]) is None


# --- stand-ins -------------------------------------------------------------------------------------------------------


class _Wrapped:
    """A tokenizer with one thing changed; the shared one is left alone."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._tokenizer(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


class _Ending(_Wrapped):
    def __init__(self, tokenizer: Any, end: int) -> None:
        super().__init__(tokenizer)
        self.eos_token_id = end


class _Templated(_Wrapped):
    def __init__(self, tokenizer: Any, template: str) -> None:
        super().__init__(tokenizer)
        self.chat_template = template

    def get_chat_template(self) -> str:
        return self.chat_template


def _count_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that gets one entry per token of either side."""
    from neuroal import generation

    steps: list[str] = []
    original = generation._ToQueue.put

    def put(self: Any, value: torch.Tensor) -> None:
        steps.append(self.name)
        original(self, value)

    monkeypatch.setattr(generation._ToQueue, "put", put)
    return steps
