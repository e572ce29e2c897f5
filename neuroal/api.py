"""The public functions: allocate, prune, and the generators they drain."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from neuroal.allocation import Allocation
from neuroal.blocks import Captured, DecoderStack, Linear
from neuroal.errors import UserError, did_you_mean
from neuroal.excluding import included
from neuroal.heap import working_heap
from neuroal.method import Method
from neuroal.options import Options
from neuroal.pruning import PruneReport, iter_prune
from neuroal.residence import is_offloaded
from neuroal.runs.events import Event, Notice
from neuroal.runs.spec import MODES
from neuroal.scoring import Problem, Scorer
from neuroal.topups import TOP_UPS
from neuroal.vectors import fast_bfloat16

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from neuroal.options import OptionValues

Result = TypeVar("Result")

DEFAULT_SPARSITY = 0.6

QUICK = (
    "Lambdas are compared in bfloat16, at which this processor is faster: their scores are within about 1 % of exact "
    "ones. The exact mode computes in float32 throughout."
)


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
    sparsity: float | None = None,
    mode: str = "auto",
    known: Mapping[tuple[str, float], float] | None = None,
    scorer: Callable[[Problem], Scorer] | None = None,
    **options: Unpack[OptionValues],
) -> Generator[Event, None, Allocation]:
    """Chooses sparsity ratios; yields what happens. The model is left bit-identical and is never hooked.

    Args:
        model: any loaded causal language model of transformers.
        tokens: int64 [samples, length], calibration sequences without padding; all of them are used.
        pruner, top_up: names in ``neuroal.pruners`` and ``neuroal.topups``.
        step: "block", "row" or "both"; looked at by NeuroAL only.
        sparsity: fraction of the prunable weights to be zeroed, between 0 and 1; 0.6 unless a pattern decides it.
        mode: "exact" scores every candidate of the reference, "auto" as few as show where the lowest score is
            (neuroal/landscape.py), in bfloat16 on a CPU that has it. An own grid (``lambdas``) is scored in full.
        known: scores of candidates finished before an interruption, by (step, lambda).
        scorer: makes what scores candidates, where that is not to be done here alone.
        options: see :class:`neuroal.options.Options`.

    Yields:
        SearchStarted, CandidateStarted, BlockScored, CandidateFinished and LambdaChosen of a search, or BlockRated;
        then AllocationReady (``neuroal.runs.events``). Closing the generator stops the search.

    Returns:
        The allocation, as the value of the generator's StopIteration; :func:`neuroal.allocate` returns it plainly.

    Raises:
        TypeError: an unknown option. ValueError: a value that is not allowed; the message says what is.

    Example:
        >>> from neuroal.runs.events import CandidateFinished
        >>> lm = neuroal.load("tiny")
        >>> tokens = neuroal.calibration_tokens(lm.tokenizer, samples=2, length=32)
        >>> events = neuroal.iter_allocate(lm.model, tokens, step="block", lambdas=(0.05, 0.1))
        >>> [event.lam for event in events if isinstance(event, CandidateFinished)]
        [0.05, 0.1]
    """
    parsed = Options.parse(dict(options), TOP_UPS.get(top_up).name)
    method = Method(pruner, top_up, parsed)
    _check(sparsity, mode, step, method.top_up.steps)
    method.top_up.refuse(method.pruner, method.of, step)
    return _allocate(model, tokens, method, step, sparsity, mode, known or {}, scorer)


def _allocate(model, tokens, method, step, sparsity, mode, known, scorer):
    """The generator behind ``iter_allocate``, so that its checks run at the call and not at the first event."""
    problem = posed(model, tokens, method, step, sparsity, mode)
    problem.known, problem.scorer = known, scorer
    for notice in _premises(problem.stack, problem.included, method.options, sparsity, problem.sparsity):
        yield Notice(notice)
    if problem.quick:
        yield Notice(QUICK)
    with working_heap():
        allocation = yield from method.top_up.allocate(problem)
    return dataclasses.replace(allocation, mode=mode, options=dataclasses.asdict(method.options))


def posed(model: nn.Module, tokens: Tensor, method: Method, step: str, sparsity: float | None, mode: str) -> Problem:
    """What a top-up is asked; the arguments are those of :func:`iter_allocate`."""
    top_up, options, stack = method.top_up, method.options, DecoderStack(model)
    kept = included(stack, options.exclude)
    captured = stack.capture(checked_tokens(tokens, model)) if top_up.needs_data else Captured([], [])
    target = float(DEFAULT_SPARSITY if sparsity is None else sparsity)
    if method.pattern:
        target = method.pattern.sparsity
    every = mode == "exact" or options.lambdas is not None
    together = is_offloaded(stack.model)
    quick = bool(top_up.steps) and not every and _is_quicker(captured)
    return Problem(stack, captured, top_up.name, method, target, step, options, kept, every, quick, together)


def _is_quicker(captured: Captured) -> bool:
    """Whether passes are faster in bfloat16 than as they are."""
    hidden = captured.hidden[0]
    return hidden.device.type == "cpu" and hidden.dtype == torch.float32 and fast_bfloat16()


def _premises(
    stack: DecoderStack, kept: tuple[Linear, ...], options: Options, sparsity: float | None, target: float
) -> Iterator[str]:
    """What is not as a person may think before anything is computed, one sentence each."""
    if sparsity is not None and abs(target - sparsity) > 1e-9:
        yield f"The pattern {options.pattern} fixes the sparsity at {target:.1%}; the ratio {sparsity:.1%} is not used."
    left = sum(1 for _ in stack.all_linears()) - len(kept)
    if left:
        yield f"{left} linears are excluded and stay dense; the target holds for the others."
    dense = stack.left_dense()
    if dense:
        total = sum(size for _, size in dense) + sum(linear.weight.numel() for linear in stack.all_linears())
        share = sum(size for _, size in dense) / total
        names = ", ".join(name for name, _ in dense[:4])
        yield (
            f"{share:.0%} of the weights in the blocks stay dense because they are not stored as linear layers "
            f"({names}{', ...' if len(dense) > 4 else ''})."
        )


def allocate(
    model: nn.Module,
    tokens: Tensor,
    *,
    pruner: str = "wanda",
    top_up: str = "neuroal",
    step: str = "both",
    sparsity: float | None = None,
    mode: str = "auto",
    **options: Unpack[OptionValues],
) -> Allocation:
    """Chooses sparsity ratios: :func:`neuroal.iter_allocate`, drained. The model is left bit-identical.

    Args:
        model: any loaded causal language model of transformers.
        tokens: int64 [samples, length], calibration sequences without padding; all of them are used.
        pruner: "wanda", "magnitude", "multiflow", "sparsegpt", "alps" or "random".
        top_up: "neuroal", "uniform", "owl", "alphapruning", "dsnot" or "custom".
        step: "block", "row" or "both"; looked at by NeuroAL only.
        sparsity: fraction of the prunable weights to be zeroed, between 0 and 1; 0.6 unless a pattern decides it.
        mode: "exact" scores every candidate of the reference, "auto" as few as show where the lowest score is.
        options: see :class:`neuroal.options.Options`, such as ``pattern="2:4"`` or ``lambdas=(0.05, 0.1)``.

    Returns:
        The ratios and how they were found.

    Raises:
        TypeError: an unknown option. ValueError: a value that is not allowed; the message says what is.

    Example:
        >>> lm = neuroal.load("tiny")
        >>> tokens = neuroal.calibration_tokens(lm.tokenizer, samples=2, length=32)
        >>> allocation = neuroal.allocate(lm.model, tokens, step="block", sparsity=0.6, lambdas=(0.05, 0.1))
        >>> allocation.block_lambda in (0.05, 0.1), sorted(allocation.block_scores)
        (True, [0.05, 0.1])

        Any model that is loaded already will do, here one of random weights:

        >>> import torch
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> config = LlamaConfig(
        ...     vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
        ... )
        >>> model = LlamaForCausalLM(config)
        >>> allocation = neuroal.allocate(model, torch.randint(64, (2, 8)), top_up="owl", sparsity=0.5)
        >>> len(allocation.sparsity)
        14
    """
    asked = {"pruner": pruner, "top_up": top_up, "step": step, "sparsity": sparsity, "mode": mode}
    return drain(iter_allocate(model, tokens, **asked, **options))


def prune(model: nn.Module, tokens: Tensor, allocation: Allocation) -> PruneReport:
    """Prunes a model in place: :func:`neuroal.iter_prune`, drained.

    Args:
        model: the one that the allocation was made for, or a copy; its weights are written to.
        tokens: int64 [samples, length], calibration; not looked at by a pruner that needs no data.
        allocation: from :func:`neuroal.allocate`; it knows its pruner and options.

    Returns:
        The sparsity that was achieved, counted on the weights.

    Raises:
        UserError: the allocation was made for another model, or the tokens are no ids of this one.

    Example:
        >>> import copy
        >>> lm = neuroal.load("tiny")
        >>> tokens = neuroal.calibration_tokens(lm.tokenizer, samples=2, length=32)
        >>> allocation = neuroal.allocate(lm.model, tokens, top_up="uniform", sparsity=0.5)
        >>> pruned = copy.deepcopy(lm.model)  # or prune lm.model itself, where nothing else uses it
        >>> round(neuroal.prune(pruned, tokens, allocation).overall, 2)
        0.5
    """
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


def _check(sparsity: float | None, mode: str, step: str, steps: tuple[str, ...]) -> None:
    number = isinstance(sparsity, (int, float)) and not isinstance(sparsity, bool)
    if sparsity is not None and not (number and 0 < sparsity < 1):
        raise UserError(f"Sparsity ratio is {sparsity!r}; it must be a number between 0 and 1, such as 0.6.")
    if mode not in MODES:
        raise UserError(f"Search mode {mode!r} is not known.{did_you_mean(str(mode), MODES)}")
    if steps and step not in steps:
        raise UserError(f"NeuroAL step {step!r} is not known.{did_you_mean(str(step), steps)}")
