"""From text to tokens: calibration sequences drawn at random places, held-out windows one after the other."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import torch
from torch import Tensor

from neuroal.errors import UserError
from neuroal.texts import calibration_documents, held_out_text


def calibration_tokens(
    tokenizer: Any, source: str = "prose", samples: int = 8, length: int = 256, seed: int = 0, text: str = ""
) -> Tensor:
    """Draws calibration sequences.

    As in the literature: for a corpus of many documents (C4) a document longer than the sequence is drawn, then a
    place in it; other sources are one long text and only the place is drawn. The same seed gives the same sequences,
    and the first ones of a larger draw are those of a smaller one.

    Args:
        tokenizer: of the model, called with its default special tokens.
        source: "prose" (it ships), "own", or "wikitext2", "c4" and "ptb" from the Hub.
        samples, length: how many sequences, and how many tokens each has.
        seed: decides what is drawn.
        text: used with source "own".

    Returns:
        int64 [samples, length].

    Raises:
        UserError: the text is too short for one sequence, or cannot be fetched.

    Example:
        >>> lm = neuroal.load("tiny")
        >>> neuroal.calibration_tokens(lm.tokenizer, samples=4, length=64, seed=0).shape
        torch.Size([4, 64])
        >>> own = neuroal.calibration_tokens(lm.tokenizer, "own", 2, 8, text="It was a bright cold day. " * 20)
        >>> own.shape
        torch.Size([2, 8])
    """
    documents = calibration_documents(source, text, seed)
    if source != "c4":
        documents = ["\n\n".join(documents)]
    encoded: dict[int, Tensor] = {}
    rng, drawn = random.Random(seed), []
    for _ in range(samples):
        ids = _long_enough(tokenizer, documents, encoded, length, rng)
        start = rng.randint(0, len(ids) - length - 1)
        drawn.append(ids[start : start + length])
    return torch.stack(drawn)


def held_out_windows(
    tokenizer: Any, source: str = "prose", windows: int = 16, length: int = 512, text: str = ""
) -> Tensor:
    """Non-overlapping windows of held-out text, spread evenly over it so that every kind of text takes part.

    Args:
        tokenizer: of the model, called with its default special tokens.
        source: as for :func:`neuroal.calibration_tokens`; held-out text is never calibration text.
        windows, length: at most so many windows, and how many tokens each has.
        text: used with source "own".

    Returns:
        int64 [n, length] with n <= windows; fewer when the text has fewer.

    Raises:
        UserError: the text is too short for one window, or cannot be fetched.

    Example:
        >>> lm = neuroal.load("tiny")
        >>> neuroal.held_out_windows(lm.tokenizer, windows=8, length=128).shape
        torch.Size([8, 128])
    """
    ids = _encode(tokenizer, held_out_text(source, text))
    available = len(ids) // length
    if available < 1:
        raise UserError(
            f"The held-out text has {len(ids)} tokens, fewer than one window of {length}; shorten the window."
        )
    n = min(windows, available)
    chosen = [i * available // n for i in range(n)]
    return torch.stack([ids[i * length : (i + 1) * length] for i in chosen])


def digest(tokens: Tensor) -> str:
    """What the tokens were, in 16 hex digits: two runs with the same digest saw the same calibration."""
    return hashlib.sha256(tokens.contiguous().numpy().tobytes()).hexdigest()[:16]


def _long_enough(
    tokenizer: Any, documents: list[str], encoded: dict[int, Tensor], length: int, rng: random.Random
) -> Tensor:
    """Token ids of a randomly drawn document that has more than ``length`` of them."""
    for _ in range(max(100, 5 * len(documents))):
        index = rng.randint(0, len(documents) - 1)
        if index not in encoded:
            encoded[index] = _encode(tokenizer, documents[index])
        if len(encoded[index]) > length:
            return encoded[index]
    longest = max(len(ids) for ids in encoded.values())
    raise UserError(
        f"The calibration text has {longest} tokens, too few for sequences of {length}; "
        "give more text or choose a shorter length."
    )


def _encode(tokenizer: Any, text: str) -> Tensor:
    """int64 [tokens]; ``verbose=False`` because a text longer than the context is what is wanted here."""
    return torch.tensor(tokenizer(text, verbose=False).input_ids, dtype=torch.int64)
