"""Perplexity: exp of the mean cross-entropy over all next-token predictions of a set of windows."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neuroal.batches import at_once
from neuroal.errors import UserError
from neuroal.evaluation.base import BATCH_TOKENS
from neuroal.finiteness import first_not_finite
from neuroal.residence import execution_device
from neuroal.runs.events import Evaluated
from neuroal.twin import skeleton


@dataclass(frozen=True)
class Perplexity:
    """``value`` with its standard error by the delta method over windows, and the number of predictions."""

    value: float
    stderr: float
    predictions: int


@torch.no_grad()
def iter_perplexity(model: nn.Module, windows: Tensor, *, variant: str = "") -> Generator[Evaluated, None, Perplexity]:
    """Measures window by window.

    Args:
        windows: int64 [n, length], length >= 2; each window is scored on its own, without a token added in front.
        variant: names the model in the events.

    Yields:
        Evaluated after each batch.

    Returns:
        The perplexity with its standard error, as the value of the generator's StopIteration.

    Raises:
        UserError: the windows have another shape, or the predictions are not finite.

    Example:
        >>> lm = neuroal.load("tiny")
        >>> windows = neuroal.held_out_windows(lm.tokenizer, windows=2, length=64)
        >>> [(event.done, event.total) for event in neuroal.iter_perplexity(lm.model, windows)]
        [(2, 2)]
    """
    if windows.dim() != 2 or windows.shape[0] < 1 or windows.shape[1] < 2:
        raise UserError(f"Windows have the shape {tuple(windows.shape)}; they must be [n, length] with length >= 2.")
    device = execution_device(model)
    model = skeleton(model)  # some families keep state of a pass in their modules, and others may be using this model
    losses: list[float] = []
    for batch in windows.split(at_once(BATCH_TOKENS, windows.shape[1])):
        losses += _window_losses(model, batch.to(device))
        yield Evaluated(variant, len(losses), windows.shape[0])
    mean = sum(losses) / len(losses)
    if not math.isfinite(mean):
        batch = windows[next(n for n, loss in enumerate(losses) if not math.isfinite(loss))].unsqueeze(0)
        place = first_not_finite(model, batch.to(device))
        since = f" (the first are at {place})" if place else ""
        raise UserError(
            f"The model's predictions are not finite numbers{since}, so it has no perplexity; "
            "try another precision, or check the checkpoint."
        )
    value = math.exp(min(mean, 700.0))
    return Perplexity(value, value * _standard_error(losses), windows.shape[0] * (windows.shape[1] - 1))


def perplexity(model: nn.Module, windows: Tensor) -> float:
    """Perplexity: :func:`neuroal.iter_perplexity`, drained to its value.

    Args:
        windows: int64 [n, length], length >= 2; each window is scored on its own, without a token added in front.

    Returns:
        exp of the mean cross-entropy over all next-token predictions; lower is better.

    Raises:
        UserError: the windows have another shape, or the predictions are not finite.

    Example:
        >>> lm = neuroal.load("tiny")
        >>> windows = neuroal.held_out_windows(lm.tokenizer, windows=2, length=64)
        >>> 1 < neuroal.perplexity(lm.model, windows) < 1000
        True
    """
    from neuroal.api import drain

    return drain(iter_perplexity(model, windows)).value


def _window_losses(model: nn.Module, batch: Tensor) -> list[float]:
    """Mean cross-entropy of each window in nats; logits in float32, sums in float64."""
    logits = model(input_ids=batch, use_cache=False).logits
    losses = []
    for window, ids in zip(logits[:, :-1], batch[:, 1:], strict=True):
        losses.append(float(F.cross_entropy(window.float(), ids, reduction="none").double().mean()))
    return losses


def _standard_error(losses: list[float]) -> float:
    """Standard error of the mean of the window losses; 0 for a single window, which tells nothing about spread."""
    n = len(losses)
    if n < 2:
        return 0.0
    mean = sum(losses) / n
    return math.sqrt(sum((x - mean) ** 2 for x in losses) / (n - 1) / n)
