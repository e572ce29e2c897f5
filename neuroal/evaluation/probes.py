"""Collapse probes: a pruned model goes on with a few fixed prompts, and what it writes is looked at.

A perplexity is a mean over text that people wrote; it does not show what the model itself writes. A model may predict
passably and still say the same four words over and over, which one look at its text betrays.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from neuroal.batches import at_once
from neuroal.errors import UserError
from neuroal.evaluation.answers import mean_losses, padding_is_harmless, write
from neuroal.evaluation.collapse import distinct, english, non_words, repetition, without_cut_word, words
from neuroal.evaluation.verdict import Figures, Mean, doubts, judge
from neuroal.generation import Settings, encode, greedy_options, split_at, without_habits
from neuroal.runs.events import Evaluated
from neuroal.twin import skeleton

# Beginnings that any language model, chat or not, can go on with: a story, a fact, a list, a dialogue, an instruction,
# a letter, an argument, a description. Each is followed by many different words in a healthy text.
PROMPTS = (
    "The old lighthouse keeper opened the door and found",
    "Water boils when it is heated because",
    "Five things to pack for a day in the mountains:\n1.",
    '"Where have you been all afternoon?" asked Anna.',
    "To make a simple vegetable soup, first",
    "Dear Tom,\nThank you for your letter. I am writing to tell you that",
    "There are good reasons to learn a second language. One of them is",
    "The market opens early in the morning. On the stalls you can see",
)

# Prompts answered at a time: what a cancelled run still finishes.
BATCH_PROMPTS = 8

# They would hide what is looked for here.
NO_PENALTIES = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "num_return_sequences": 1}


@dataclass(frozen=True)
class Answer:
    """One prompt and what the model made of it.

    Attributes:
        text: the answer without special tokens; it follows the prompt directly.
        tokens: its number of tokens, without the one that ended it.
        ended: the model ended it by itself.
        repetition, distinct_1, distinct_2: as in :class:`Figures`; None for fewer than four tokens.
        non_words: the same; None without words in Latin letters.
        loss, loss_new: mean cross-entropy in nats under the dense model, of all tokens and of those that repeat
            nothing; None where there are none.
    """

    prompt: str
    text: str
    tokens: int
    ended: bool
    repetition: float | None
    distinct_1: float | None
    distinct_2: float | None
    non_words: float | None
    loss: float | None
    loss_new: float | None


@dataclass(frozen=True)
class Probes:
    """What was found.

    Attributes:
        figures, dense: of the model, and of the dense model's own answers, which are what it is compared with.
        answers, dense_answers: the texts, in the order of the prompts.
        verdict: "healthy", "degraded" or "collapsed".
        reasons: a sentence for each figure that crossed a threshold; empty for a healthy model.
        notices: what could not be judged, and why.
        max_tokens: as asked for.
    """

    figures: Figures
    dense: Figures
    answers: tuple[Answer, ...]
    dense_answers: tuple[Answer, ...]
    verdict: str
    reasons: tuple[str, ...]
    notices: tuple[str, ...]
    max_tokens: int


def iter_probes(
    dense: nn.Module,
    model: nn.Module,
    tokenizer: Any,
    *,
    variant: str = "",
    max_tokens: int = 48,
    prompts: Sequence[str] = PROMPTS,
    reference: Probes | None = None,
) -> Generator[Evaluated, None, Probes]:
    """Lets a model go on with the prompts, greedily, and judges its texts beside the dense model's.

    No chat template is used, so that base and chat models are asked the same; and no repetition penalty, if the model
    comes with one, because it would hide what is looked for.

    Args:
        dense: scores the texts, and writes those that the model's are compared with.
        model: the pruned one, or the dense one itself.
        variant: names the model in the events.
        max_tokens: tokens of an answer, unless the model ends it earlier; 1 to 1024.
        reference: an earlier result with the same dense model, prompts and ``max_tokens``: its answers of the dense
            model are used again, which halves the time.

    Yields:
        Evaluated after each batch of prompts; with answers of the dense model still to be written, those count too.

    Raises:
        UserError: no prompts, an empty or overlong one, ``max_tokens`` out of range, a reference to other prompts, or
            the dense model predicts no finite numbers.
    """
    settings = Settings(max_tokens=max_tokens)
    asked = _Asked(tuple(prompts), [encode(dense, tokenizer, p, settings, chat=False)[0] for p in prompts], settings)
    if not asked.prompts:
        raise UserError("There are no prompts to answer; give at least one.")
    if reference is not None and not asked.same_as(reference):
        raise UserError("The reference has other prompts or another max_tokens; leave it out, or ask the same.")
    return _iter_probes(dense, model, tokenizer, asked, variant, reference)


@dataclass(frozen=True)
class _Asked:
    """The prompts as texts, and as int64 [tokens] each."""

    prompts: tuple[str, ...]
    ids: list[Tensor]
    settings: Settings

    def same_as(self, other: Probes) -> bool:
        prompts = tuple(answer.prompt for answer in other.dense_answers)
        return (prompts, other.max_tokens) == (self.prompts, self.settings.max_tokens)


def _iter_probes(dense, model, tokenizer, asked, variant, reference):
    """The generator behind ``iter_probes``, so that its checks run at the call and not at the first event."""
    lexicon = english() | {word for prompt in asked.prompts for word in words(prompt)}
    n, itself = len(asked.prompts), model is dense
    total = n if itself or reference is not None else 2 * n
    if reference is None:
        of_dense = yield from _iter_answers(dense, dense, tokenizer, asked, lexicon, (variant, 0, total))
    else:
        of_dense = reference.dense_answers
    answers = of_dense
    if not itself:
        # A name that the dense model invents as well is no sign of damage.
        lexicon |= {word for answer in of_dense for word in words(answer.text)}
        answers = yield from _iter_answers(dense, model, tokenizer, asked, lexicon, (variant, total - n, total))
    figures, compared = _figures(answers), _figures(of_dense)
    verdict, reasons = judge(figures, compared)
    limit = asked.settings.max_tokens
    return Probes(figures, compared, answers, of_dense, verdict, reasons, doubts(compared), limit)


def _iter_answers(
    dense: nn.Module,
    model: nn.Module,
    tokenizer: Any,
    asked: _Asked,
    lexicon: Collection[str],
    progress: tuple[str, int, int],
) -> Generator[Evaluated, None, tuple[Answer, ...]]:
    """Batch by batch: written by ``model``, scored by ``dense``."""
    variant, done, total = progress
    writer, scorer = without_habits(model), skeleton(dense)  # some families keep state of a pass in their modules
    options = {**greedy_options(model, tokenizer, asked.settings), **NO_PENALTIES}
    size = at_once(BATCH_PROMPTS) if padding_is_harmless(writer, asked.ids, options) else 1
    answers: list[Answer] = []
    for first in range(0, len(asked.ids), size):
        batch = slice(first, first + size)
        written = write(writer, asked.ids[batch], options)
        for prompt, ids, (new, ended) in zip(asked.prompts[batch], asked.ids[batch], written, strict=True):
            text = "".join(split_at(tokenizer, ids.tolist() + new, len(ids))[1:])
            unknown = non_words(text if ended else without_cut_word(text), lexicon)
            losses = mean_losses(scorer, ids, new)
            answers.append(Answer(prompt, text, len(new), ended, *_variety(new), unknown, *losses))
        yield Evaluated(variant, done + len(answers), total)
    return tuple(answers)


def _variety(ids: list[int]) -> tuple[float | None, float | None, float | None]:
    """Repetition, distinct-1 and distinct-2, of texts long enough for all three."""
    repeated = repetition(ids)
    return (None, None, None) if repeated is None else (repeated, distinct(ids, 1), distinct(ids, 2))


def _figures(answers: Sequence[Answer]) -> Figures:
    names = ("repetition", "distinct_1", "distinct_2", "non_words", "loss", "loss_new", "tokens")
    *means, loss, loss_new, length = (Mean.of(getattr(answer, name) for answer in answers) for name in names)
    empty = Mean.of(float(not any(map(str.isalnum, answer.text))) for answer in answers)
    return Figures(*means, _perplexity(loss), _perplexity(loss_new), length, empty)


def _perplexity(loss: Mean) -> Mean:
    if loss.value is None:
        return loss
    value = math.exp(min(loss.value, 700.0))
    return Mean(value, value * loss.stderr, loss.n)
