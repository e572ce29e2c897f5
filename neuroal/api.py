"""The public functions: allocate, prune, and the generators they drain."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from neuroal.allocation import Allocation
from neuroal.blocks import Captured, DecoderStack
from neuroal.errors import UserError, did_you_mean
from neuroal.options import Options
from neuroal.pruners import PRUNERS
from neuroal.pruning import PruneReport, iter_prune
from neuroal.runs.events import Event
from neuroal.runs.spec import MODES
from neuroal.search import Problem
from neuroal.topups import TOP_UPS

Result = TypeVar("Result")


def drain(events: Generator[Any, None, Result]) -> Result:
    """Runs a generator of events to its end and returns its result."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def iter_allocate(
    model: nn.Module,
    tokens: Tensor,
    *,
    pruner: str = "wanda",
    top_up: str = "neuroal",
    step: str = "both",
    sparsity: float = 0.6,
    mode: str = "exact",
    known: Mapping[tuple[str, float], float] | None = None,
    **options: Any,
) -> Generator[Event, None, Allocation]:
    """Chooses sparsity ratios; yields what happens. The model is left bit-identical and is never hooked.

    Args:
        model: any loaded causal language model of transformers.
        tokens: int64 [samples, length], calibration sequences without padding; all of them are used.
        pruner, top_up: names in ``neuroal.pruners`` and ``neuroal.topups``.
        step: "block", "row" or "both"; looked at by NeuroAL only.
        sparsity: fraction of the prunable weights to be zeroed, between 0 and 1.
        mode: "exact" scores every candidate of the reference.
        known: scores of candidates finished before an interruption, by (step, lambda).
        options: see :class:`neuroal.options.Options`.

    Raises:
        TypeError: an unknown option. ValueError: a value that is not allowed; the message says what is.
    """
    parsed = Options.parse(options)
    chosen_pruner, chosen = PRUNERS.get(pruner)(), TOP_UPS.get(top_up)()
    _check(sparsity, mode, step, chosen.steps)
    return _allocate(model, tokens, chosen_pruner, chosen, step, sparsity, mode, parsed, known or {})


def _allocate(model, tokens, pruner, top_up, step, sparsity, mode, options, known):
    """The generator behind ``iter_allocate``, so that its checks run at the call and not at the first event."""
    stack = DecoderStack(model)
    captured = stack.capture(checked_tokens(tokens, model)) if top_up.needs_data else Captured([], [])
    problem = Problem(stack, captured, pruner, float(sparsity), step, options, known)
    allocation = yield from top_up.allocate(problem)
    return dataclasses.replace(allocation, options={"mode": mode, **dataclasses.asdict(options)})


def allocate(model: nn.Module, tokens: Tensor, **settings: Any) -> Allocation:
    """:func:`iter_allocate`, drained."""
    return drain(iter_allocate(model, tokens, **settings))


def prune(model: nn.Module, tokens: Tensor, allocation: Allocation) -> PruneReport:
    """:func:`neuroal.iter_prune`, drained: prunes ``model`` in place."""
    return drain(iter_prune(model, checked_tokens(tokens, model), allocation))


def checked_tokens(tokens: Tensor, model: nn.Module) -> Tensor:
    """Token ids as int64 [samples, length].

    Raises:
        UserError: another shape, too short, or ids outside the model's vocabulary.
    """
    tokens = torch.as_tensor(tokens)
    if tokens.dim() != 2 or tokens.shape[0] < 1 or tokens.shape[1] < 2 or tokens.is_floating_point():
        raise UserError(
            f"Calibration tokens have the shape {tuple(tokens.shape)}; they must be whole numbers of shape "
            "[samples, length] with at least 1 sample of at least 2 tokens."
        )
    vocabulary = model.get_input_embeddings().num_embeddings
    if int(tokens.min()) < 0 or int(tokens.max()) >= vocabulary:
        raise UserError(f"Calibration tokens must be ids from 0 to {vocabulary - 1}; use this model's own tokenizer.")
    return tokens.long()


def _check(sparsity: float, mode: str, step: str, steps: tuple[str, ...]) -> None:
    if isinstance(sparsity, bool) or not isinstance(sparsity, (int, float)) or not 0 < sparsity < 1:
        raise UserError(f"Sparsity ratio is {sparsity!r}; it must be a number between 0 and 1, such as 0.6.")
    if mode not in MODES:
        raise UserError(f"Search mode {mode!r} is not known.{did_you_mean(str(mode), MODES)}")
    if steps and step not in steps:
        raise UserError(f"NeuroAL step {step!r} is not known.{did_you_mean(str(step), steps)}")
