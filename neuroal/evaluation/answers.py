"""Greedy answers to several prompts at once, and how likely another model finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neuroal.errors import UserError
from neuroal.evaluation.collapse import newly_said
from neuroal.heap import working_heap
from neuroal.residence import execution_device

# Kullback-Leibler divergence in nats up to which padding counts as harmless: rounding is below, a mask that is
# overlooked far above.
HARMLESS_FLOAT32, HARMLESS_HALF = 1e-5, 1e-2


def _padded_left(prompts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Ids and mask, both int64 [prompts, tokens of the longest]. Any token will do for padding, and 0 always exists."""
    width = max(len(ids) for ids in prompts)
    ids, mask = torch.zeros(2, len(prompts), width, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = prompt
        mask[row, width - len(prompt) :] = 1
    return ids, mask


@torch.inference_mode()
def padding_is_harmless(model: nn.Module, prompts: Sequence[Tensor], options: dict[str, Any]) -> bool:
    """Whether a padded batch predicts what a prompt alone does: a model may know no mask, or count padding as text.

    Args:
        prompts: int64 [tokens] each. The shortest one, which needs most padding, is tried beside the longest.
        options: as for :func:`write`.
    """
    shortest, longest = min(prompts, key=len), max(prompts, key=len)
    if len(shortest) == len(longest):
        return True
    device = execution_device(model)
    options = {**options, "max_new_tokens": 1, "return_dict_in_generate": True, "output_logits": True}
    log_p = []
    for batch in ([shortest], [shortest, longest]):
        ids, mask = (t.to(device) for t in _padded_left(batch))
        out = model.generate(input_ids=ids, attention_mask=mask, **options)
        log_p.append(out.logits[0][0].float().log_softmax(-1))
    divergence = float((log_p[0].exp() * (log_p[0] - log_p[1])).sum())
    half = next(model.parameters()).dtype in (torch.float16, torch.bfloat16)
    return divergence <= (HARMLESS_HALF if half else HARMLESS_FLOAT32)


@torch.inference_mode()
def write(model: nn.Module, prompts: Sequence[Tensor], options: dict[str, Any]) -> list[tuple[list[int], bool]]:
    """Answers to a batch of prompts.

    Args:
        prompts: int64 [tokens] each; padded on the left.
        options: for ``generate``, such as those of :func:`neuroal.generation.greedy_options`.

    Returns:
        For each prompt the new tokens without the one that ends them, and whether there was one.
    """
    device, ends = execution_device(model), set(options.get("eos_token_id", ()))
    ids, mask = (t.to(device) for t in _padded_left(prompts))
    with working_heap():
        out = model.generate(input_ids=ids, attention_mask=mask, **options)[:, ids.shape[1] :].tolist()
    written = []
    for row in out:
        end = next((i for i, token in enumerate(row) if token in ends), None)
        written.append((row[:end], end is not None))
    return written


@torch.inference_mode()
def mean_losses(model: nn.Module, prompt: Tensor, answer: list[int]) -> tuple[float | None, float | None]:
    """Mean cross-entropy in nats of an answer's tokens given all that stands before them.

    Args:
        prompt: int64 [tokens]; answer: its tokens.

    Returns:
        Of all tokens, and of those that end a 4-gram for the first time; None where there are none.

    Raises:
        UserError: a prediction is no finite number.
    """
    if not answer:
        return None, None
    ids = torch.cat([prompt, torch.tensor(answer)]).to(execution_device(model))
    logits = model(input_ids=ids[None], use_cache=False).logits[0, len(prompt) - 1 : -1]  # [answer, vocabulary]
    losses = F.cross_entropy(logits.float(), ids[len(prompt) :], reduction="none").cpu().double()
    if not losses.isfinite().all():
        raise UserError("The dense model's predictions are not finite numbers, so no text can be judged by them.")
    new = newly_said(prompt.tolist(), answer)
    return float(losses.mean()), float(losses[new].mean()) if new else None
