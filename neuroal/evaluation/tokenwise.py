"""Token by token: what two models expected at each place of one text, for a person to look at."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from neuroal.errors import UserError
from neuroal.evaluation.divergence import TOP, Predictions, check_ids, compare, reader
from neuroal.generation import REPLACEMENT, split_at

# Tokens told at once: with their likely alternatives a kilobyte or two.
PIECE = 8

MAX_TOKENS = 512

MAX_TOP = 20

# Candidates that are likely: (text, probability), the likeliest first.
Likely = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ComparedTokens:
    """Up to 8 consecutive tokens of a text, one entry per token in each tuple.

    Numbers have four significant digits. Nothing comes before the first token of the text, so that it has no
    prediction: None, and empty lists.

    Attributes:
        start, total: index of the first token here; number of tokens of the text.
        text: what each token adds to the text; joined over all tokens it is the text as it is decoded, without special
            tokens. Of a character of several tokens, the last one has it and the others have none.
        kl: KL(dense || pruned) of the predictions of the token, in nats.
        dense, pruned: probability of the token that came.
        dense_top, pruned_top: the most likely tokens as (text, probability); special tokens are written out.
    """

    start: int
    total: int
    text: tuple[str, ...]
    kl: tuple[float | None, ...]
    dense: tuple[float | None, ...]
    pruned: tuple[float | None, ...]
    dense_top: tuple[Likely, ...]
    pruned_top: tuple[Likely, ...]


@torch.no_grad()
def iter_compared(
    dense: nn.Module, pruned: nn.Module, tokenizer: Any, ids: Tensor, *, top: int = TOP
) -> Generator[ComparedTokens, None, None]:
    """Both models read the text once; then it is told in pieces of up to 8 tokens.

    Args:
        ids: int64 [1, L], 2 <= L <= 512 and no longer than the model's context.
        top: how many likely tokens are listed.

    Raises:
        UserError: ids of another shape, models of different vocabularies, predictions that are not finite.
    """
    _refuse(dense, ids, top)
    tokens = ids[0].tolist()
    seen = pieces(tokenizer, tokens)
    p, q = reader(dense)(ids)[0], reader(pruned)(ids)[0]
    names = _Names(tokenizer, tokens)
    for start in range(0, len(tokens), PIECE):
        end = min(start + PIECE, len(tokens))
        first = max(start, 1)  # the prediction of a token is made at the one before
        told = compare(p[first - 1 : end - 1], q[first - 1 : end - 1], ids[0, first:end], top)
        yield _told(told, names, start, len(tokens), seen[start:end])


def pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """What each token adds to the decoded text; joined they are that text.

    A token that is only a part of a character adds nothing; the one that completes the character adds it whole.
    """
    whole = _decoded(tokenizer, ids)
    ends = [len(os.path.commonprefix([whole, _decoded(tokenizer, ids[: i + 1])])) for i in range(len(ids) - 1)]
    ends = list(accumulate([0, *ends, len(whole)], max))
    return [whole[start:end] for start, end in pairwise(ends)]


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """As an answer is decoded."""
    return split_at(tokenizer, ids, None)[0]


class _Names:
    """Texts of single tokens, each decoded once.

    They are decoded behind an ordinary token of the text: some tokenizers drop the space in front of a first word.
    """

    def __init__(self, tokenizer: Any, ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}
        plain = (i for i in ids if (text := _decoded(tokenizer, [i])) and REPLACEMENT not in text)
        anchor = next(plain, None)
        self._anchor = [] if anchor is None else [anchor]

    def __getitem__(self, token: int) -> str:
        if token not in self._known:
            before, both = self._decode(self._anchor), self._decode([*self._anchor, token])
            text = both.removeprefix(before) if both.startswith(before) else self._decode([token])
            self._known[token] = text or f"<{token}>"  # in the model's vocabulary, but not in the tokenizer's
        return self._known[token]

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def _told(told: Predictions, names: _Names, start: int, total: int, text: Sequence[str]) -> ComparedTokens:
    """``told``: of the tokens from ``start`` on, but for the first of the text, which has no prediction."""
    missing = len(text) - len(told.kl)

    def numbers(values: Tensor) -> tuple[float | None, ...]:
        return (None,) * missing + tuple(map(_short, values.tolist()))

    def likely(ids: Tensor, log_p: Tensor) -> tuple[Likely, ...]:
        rows = zip(ids.tolist(), log_p.exp().tolist(), strict=True)
        return ((),) * missing + tuple(tuple((names[i], _short(p)) for i, p in zip(*row, strict=True)) for row in rows)

    return ComparedTokens(
        start=start,
        total=total,
        text=tuple(text),
        kl=numbers(told.kl),
        dense=numbers(told.dense.exp()),
        pruned=numbers(told.pruned.exp()),
        dense_top=likely(told.dense_top, told.dense_top_log_p),
        pruned_top=likely(told.pruned_top, told.pruned_top_log_p),
    )


def _short(value: float) -> float:
    """Four significant digits; whole numbers as such, which JSON writes shorter."""
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() else rounded


def _refuse(model: nn.Module, ids: Tensor, top: int) -> None:
    if ids.dim() != 2 or ids.shape[0] != 1:
        raise UserError(f"Token ids have the shape {tuple(ids.shape)}; one text has the shape [1, length].")
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or MAX_TOKENS
    longest = min(MAX_TOKENS, context)
    if not 2 <= ids.shape[1] <= longest:
        change = "shorten it" if ids.shape[1] > longest else "write more"
        raise UserError(f"The text has {ids.shape[1]} tokens; from 2 to {longest} can be compared, so {change}.")
    check_ids(model, ids)
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= MAX_TOP:
        raise UserError(f"The number of likely tokens is {top!r}; it must be a whole number from 1 to {MAX_TOP}.")
