"""Dense and pruned side by side: one prompt, one seed, two streams, and the first token at which they part."""

from __future__ import annotations

import logging
import os
import queue
import reprlib
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria, TemperatureLogitsWarper, TopPLogitsWarper
from transformers.generation.streamers import BaseStreamer

from neuroal.errors import UserError
from neuroal.heap import working_heap
from neuroal.matvec import by_numpy
from neuroal.models.containment import tokenizing
from neuroal.residence import execution_device
from neuroal.templates.rendering import RENDERER
from neuroal.threads import numpy_on_one_thread, on_a_share, stand_back
from neuroal.twin import skeleton

log = logging.getLogger(__name__)

SIDES = ("dense", "pruned")

# Seconds between two updates for a viewer.
PERIOD = 0.1

# Of an answer that makes way for others: after each token, as a multiple of what it took.
ASIDE_REST = 2.0

# Checked before the prompt is tokenized, so that a huge paste costs nothing.
MAX_CHARACTERS = 20_000

# What a decoder writes for bytes that are no character, or not yet one.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

LIMITS = {"max_tokens": (1, 1024), "temperature": (0, 2), "top_p": (0.05, 1), "seed": (0, 2**31 - 1)}


@dataclass(frozen=True)
class Settings:
    """How to answer. ``temperature`` 0 is greedy; ``top_p`` and ``seed`` matter above it.

    Raises:
        UserError: a value is out of its range in ``LIMITS``, or no number.
    """

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            kind, word = (int, "a whole number") if name in ("max_tokens", "seed") else ((int, float), "a number")
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
                label = name.replace("_", " ").capitalize()
                raise UserError(f"{label} is {reprlib.repr(value)}; it must be {word} from {low} to {high}.")


@dataclass(frozen=True)
class Side:
    """One model's answer so far.

    Attributes:
        ids: the new tokens, the one that ends the answer included.
        before, at, after: the text up to, of, and behind the first token in which the two sides differ. While they
            agree all of it is in ``before``. Special tokens have no text.
        seconds: from the start of both to the newest token.
        done: nothing more will come.
        error: why this model could not go on, as a sentence; empty if it could.
    """

    ids: tuple[int, ...] = ()
    before: str = ""
    at: str = ""
    after: str = ""
    seconds: float = 0.0
    done: bool = False
    error: str = ""

    @property
    def text(self) -> str:
        return self.before + self.at + self.after

    @property
    def rate(self) -> float:
        """Tokens per second, reading the prompt included; 0 before the first token."""
        return len(self.ids) / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Pair:
    """Both answers so far. ``diverged``: index of the first differing token, None while they agree."""

    dense: Side
    pruned: Side
    diverged: int | None


def generate_pair(
    dense: nn.Module,
    pruned: nn.Module,
    tokenizer: Any,
    prompt: str,
    settings: Settings,
    *,
    chat: bool,
    aside: bool = False,
) -> Generator[Pair, None, None]:
    """Streams both answers about ten times a second; closing the generator stops both within a few tokens.

    With a temperature both sides see the same noise at the same step (Gumbel-max sampling with one seed), so that they
    part only where their predictions do. A model that fails ends its own side, which then has an ``error``.

    Args:
        chat: wrap the prompt in the tokenizer's chat template, where it has one.
        aside: compute with what others leave over, and rest between tokens for as long as two take.

    Raises:
        UserError: the prompt is empty or too long.
    """
    prompt_ids = encode(dense, tokenizer, prompt, settings, chat=chat)
    stop, news = threading.Event(), queue.SimpleQueue()
    streams = {name: _Stream() for name in SIDES}
    started = time.perf_counter()
    threads = [
        threading.Thread(
            target=_answer,
            args=(name, model, tokenizer, prompt_ids, settings, stop, news, aside),
            daemon=True,
            name=f"generate-{name}",
        )
        for name, model in zip(SIDES, (dense, pruned), strict=True)
    ]
    try:
        for thread in threads:
            thread.start()
        while not all(stream.done for stream in streams.values()):
            _take(news, threads, streams, started)
            diverged = first_difference(*(streams[name].ids for name in SIDES))
            yield Pair(*(streams[name].seen(tokenizer, diverged) for name in SIDES), diverged)
    finally:
        stop.set()  # and no join: whoever closes the generator may be an event loop


def first_difference(a: Sequence[int], b: Sequence[int]) -> int | None:
    """Index of the first token at which two answers differ, None as far as both agree."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)


def split_at(tokenizer: Any, ids: Sequence[int], index: int | None, *, done: bool = True) -> tuple[str, str, str]:
    """The text before, of and after the token at ``index``; joined they are the whole text. None: all of it is before.

    A token may be a part of a character only. Then the character belongs to the middle, as a whole, so that no
    replacement sign appears at a seam; and of an answer that is not ``done``, a last unfinished character is left out.
    """
    text = _decode(tokenizer, ids)
    if not done:
        text = text.rstrip(REPLACEMENT)
    if index is None:
        return text, "", ""
    start = len(os.path.commonprefix([text, _decode(tokenizer, ids[:index])]))
    end = start
    for last in range(index + 1, min(index + 4, len(ids)) + 1):  # a character has at most four bytes
        so_far = _decode(tokenizer, ids[:last])
        end = max(end, len(os.path.commonprefix([text, so_far])))
        if text.startswith(so_far):
            break
    return text[:start], text[start:end], text[end:]


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Without the clean-up of spaces: it looks ahead, so that a longer text would not begin with a shorter one."""
    return tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)


@dataclass
class _Stream:
    """What has arrived from one side."""

    ids: list[int] = field(default_factory=list)
    seconds: float = 0.0
    done: bool = False
    error: str = ""

    def seen(self, tokenizer: Any, diverged: int | None) -> Side:
        parts = split_at(tokenizer, self.ids, diverged, done=self.done)
        return Side(tuple(self.ids), *parts, self.seconds, self.done, self.error)


@dataclass(frozen=True)
class _News:
    """From a side's thread: new tokens and when they came, or, with ``error`` not None, that it has ended."""

    side: str
    ids: list[int]
    moment: float
    error: str | None = None


def _take(
    news: queue.SimpleQueue[_News], threads: Sequence[threading.Thread], streams: dict[str, _Stream], started: float
) -> None:
    """Hands out what has arrived by the end of one period, or as soon as both sides have ended.

    Not token by token: whoever wakes takes the interpreter from a side that computes.
    """
    until = time.perf_counter() + PERIOD
    for thread in threads:
        thread.join(max(0.0, until - time.perf_counter()))
    while not news.empty():
        item = news.get()
        stream = streams[item.side]
        if item.error is None:
            stream.ids += item.ids
            stream.seconds = item.moment - started
        else:
            stream.done, stream.error = True, item.error


def encode(model: nn.Module, tokenizer: Any, prompt: str, settings: Settings, *, chat: bool) -> Tensor:
    """A prompt's tokens, int64 [1, tokens].

    Raises:
        UserError: it is empty, or too long for the model's context.
    """
    if not prompt.strip():
        raise UserError("The prompt is empty; write a sentence, or click one of the examples.")
    if len(prompt) > MAX_CHARACTERS:
        raise UserError(f"The prompt has {len(prompt)} characters; at most {MAX_CHARACTERS} are taken, so shorten it.")
    templated = chat and bool(tokenizer.chat_template)
    text = _in_template(tokenizer, prompt) if templated else prompt
    # A template writes the special tokens itself. Not verbose: the length is checked here, in a sentence of our own.
    with tokenizing():
        ids = tokenizer(text, add_special_tokens=not templated, return_tensors="pt", verbose=False).input_ids
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context and ids.shape[1] + settings.max_tokens > context:
        raise UserError(
            f"The prompt has {ids.shape[1]} tokens and {settings.max_tokens} are asked for, "
            f"but this model's context is {context}; shorten one of them."
        )
    return ids


def _in_template(tokenizer: Any, prompt: str) -> str:
    messages = [{"role": "user", "content": prompt}]
    try:
        return RENDERER.render(tokenizer, messages)
    except Exception as failure:  # a template is a program of the model's author; it can fail in any way
        log.warning("A chat template failed", exc_info=failure)
        raise UserError("This model's chat template does not work; switch it off.") from failure


def _answer(
    name: str,
    model: nn.Module,
    tokenizer: Any,
    prompt_ids: Tensor,
    settings: Settings,
    stop: threading.Event,
    news: queue.SimpleQueue[_News],
    aside: bool,
) -> None:
    """One side, in its own thread; always ends with a closing message."""
    error = ""
    if aside:
        stand_back()
    try:
        # A token is hundreds of small operations: what each costs the interpreter, the other side waits for.
        with working_heap(), torch.inference_mode(), on_a_share(len(SIDES)), numpy_on_one_thread:
            prompt_ids = prompt_ids.to(execution_device(model))
            writer = without_habits(model, "repetition_penalty", "no_repeat_ngram_size")
            by_numpy(writer)
            writer.generate(
                input_ids=prompt_ids,
                attention_mask=torch.ones_like(prompt_ids),
                logits_processor=_sampling(settings),
                stopping_criteria=[StopWhen(stop, ASIDE_REST if aside else 0.0)],
                streamer=_ToQueue(name, news),
                **greedy_options(model, tokenizer, settings),
            )
    except Exception as failure:
        log.warning("The %s model failed to answer", name, exc_info=failure)
        error = f"This model could not answer ({type(failure).__name__}); try a shorter prompt."
    finally:
        news.put(_News(name, [], time.perf_counter(), error))


def without_habits(model: Any, *kept: str) -> Any:
    """A model that answers as it is told, and not as its generation_config.json says: that may ask for a million
    answers at once, for a cache that is compiled first, or for decoding whose code is fetched.

    Args:
        kept: habits of it that it may keep.

    Returns:
        a skeleton: some families keep the state of a pass in their modules, and others use this model.
    """
    writer, known = skeleton(model), model.generation_config
    habits = {name: getattr(known, name, None) for name in ("pad_token_id", "eos_token_id", *kept)}
    writer.generation_config = GenerationConfig(**{name: value for name, value in habits.items() if value is not None})
    return writer


def greedy_options(model: nn.Module, tokenizer: Any, settings: Settings) -> dict[str, Any]:
    """What overrides the model's own generation settings; its repetition penalty, if it has one, stays.

    Sampling is done by processors of ours, so for transformers everything is greedy; None silences its remarks about
    settings that have no effect then.
    """
    ends = model.generation_config.eos_token_id
    ends = [] if ends is None else list(ends) if isinstance(ends, (list, tuple)) else [ends]
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        ends.append(tokenizer.eos_token_id)  # some chat models declare the end of a turn only here
    greedy = dict.fromkeys(("temperature", "top_p", "top_k", "min_p", "typical_p", "max_length", "penalty_alpha"))
    padding = {"pad_token_id": ends[0], "eos_token_id": ends} if ends else {}
    return {**greedy, **padding, "do_sample": False, "num_beams": 1, "max_new_tokens": settings.max_tokens}


def _sampling(settings: Settings) -> list[LogitsProcessor]:
    """Empty for greedy answers."""
    if settings.temperature <= 0:
        return []
    return [
        TemperatureLogitsWarper(float(settings.temperature)),
        TopPLogitsWarper(float(settings.top_p)),
        GumbelNoise(settings.seed),
    ]


class GumbelNoise(LogitsProcessor):
    """Sampling as an argmax: logits plus Gumbel noise from a seed of one's own, not from the process's generator."""

    def __init__(self, seed: int) -> None:
        self._random = torch.Generator().manual_seed(seed)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """``scores``: [batch, vocabulary]."""
        uniform = torch.rand(scores.shape, generator=self._random).clamp_(1e-9, 1 - 1e-7)
        return scores.float() - torch.log(-torch.log(uniform)).to(scores.device)


class _ToQueue(BaseStreamer):
    """Passes new token ids on; the first call holds the prompt."""

    def __init__(self, name: str, news: queue.SimpleQueue[_News]) -> None:
        self.name, self.news, self._prompt_seen = name, news, False

    def put(self, value: Tensor) -> None:
        if self._prompt_seen:
            self.news.put(_News(self.name, value.reshape(-1).tolist(), time.perf_counter()))
        self._prompt_seen = True

    def end(self) -> None:
        """The closing message is sent by the thread itself, also after a failure."""


class StopWhen(StoppingCriteria):
    """Ends every sequence once an event is set.

    Args:
        rest: after each token, as a multiple of the time that it took. The threads of a process share its interpreter
            whatever their priority, so that making way for others takes rests.
    """

    def __init__(self, stop: threading.Event, rest: float = 0.0) -> None:
        self.stop, self.rest = stop, rest
        self._begun = time.perf_counter()

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        if self.rest:
            self.stop.wait(self.rest * (time.perf_counter() - self._begun))
            self._begun = time.perf_counter()
        return torch.full((input_ids.shape[0],), self.stop.is_set(), dtype=torch.bool, device=input_ids.device)
