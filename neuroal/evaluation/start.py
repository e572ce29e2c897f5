"""The token in front of a text: some models predict nothing sensible without it.

Perplexity is measured on windows out of the middle of a text, without a token in front, as the literature does. A model
that was trained with a start token in front of every sequence may depend on it entirely (reported for one: perplexity
12 with, 529 without). Whether a model does is not asked of its name but tried.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neuroal.api import drain
from neuroal.evaluation.perplexity import iter_perplexity

# A perplexity so many times as high without the token is more than the little that any token in front helps.
FACTOR = 2.0


def start_token(model: nn.Module, tokenizer: Any, windows: Tensor) -> int | None:
    """The token that has to stand in front of each window, or None.

    Tried on the last window, and only where the tokenizer puts such a token in front of a text by itself.

    Args:
        windows: int64 [n, length].
    """
    token, window = tokenizer.bos_token_id, windows[-1:]
    encoded = tokenizer("a", verbose=False).input_ids
    if token is None or not encoded or encoded[0] != token or int(window[0, 0]) == token:
        return None
    without, with_it = (drain(iter_perplexity(model, ids)).value for ids in (window, begun(window, token)))
    return token if without > FACTOR * with_it else None


def begun(windows: Tensor, token: int) -> Tensor:
    """The windows with a token in front, int64 [n, length + 1]; where a window began with it, it is there twice."""
    return torch.cat([torch.full((len(windows), 1), token, dtype=windows.dtype), windows], dim=1)
