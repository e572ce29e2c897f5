"""The cost card: what pruning saves, and what it does not, in bytes, memory and tokens per second on this machine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from neuroal.blocks import DecoderStack
from neuroal.calibration import held_out_windows
from neuroal.errors import UserError
from neuroal.evaluation.footprint import Footprint, group_count, iter_footprint, resident_bytes
from neuroal.evaluation.semi_structured import Products, has_units, measure_products
from neuroal.evaluation.throughput import READ, WRITE, Throughput, iter_throughput, trial_count
from neuroal.models.memory import gigabytes
from neuroal.residence import execution_device, is_offloaded, read_weight
from neuroal.runs.events import Evaluated
from neuroal.twin import own_bytes

MOST_REPEATS = 100

# Largest over smallest speed of the same thing from which on the machine was not quiet.
UNSTEADY = 1.5

# Below this share of its bytes, zstd makes more of a dense model than half-precision weights of any model allow.
REDUNDANT = 2 / 3


@dataclass(frozen=True)
class Memory:
    """Bytes in this process.

    Attributes:
        dense, pruned: of the parameters and buffers of each, as if it were alone.
        twin: of the pruned model, what it does not share with the dense one.
        encoded: of the pruned model's parameters in the sparse encoding, were they kept so.
    """

    dense: int
    pruned: int
    twin: int
    encoded: int


@dataclass(frozen=True)
class Cost:
    """The card; made of plain numbers, strings and tuples throughout.

    Attributes:
        sizes: bytes in a file, weights and non-zeros.
        dense, pruned: tokens per second of both.
        memory: what both need in this process.
        read, write: tokens that were read and written in each trial.
        products: dense against semi-structured product of the largest linear; empty where there is no such thing.
        sentence: why the speed is what it is, and what would change it.
        notices: what makes a figure less than it seems.
    """

    sizes: Footprint
    dense: Throughput
    pruned: Throughput
    memory: Memory
    read: int
    write: int
    products: tuple[Products, ...]
    sentence: str
    notices: tuple[str, ...]


def iter_cost(
    dense: nn.Module, pruned: nn.Module, tokenizer: Any, *, variant: str = "", repeats: int = 5
) -> Generator[Evaluated, None, Cost]:
    """Measures both models; neither is written to. Weights that are offloaded are read one by one.

    Args:
        dense: the model before pruning.
        pruned: the same model pruned, usually its sparse twin.
        tokenizer: of both; what is read is held-out prose.
        variant: names the pruned model in the events.
        repeats: trials of each model, 1 to 100.

    Yields:
        Evaluated after each group of tensors and after each trial.

    Raises:
        UserError: the two are not one model, its context is too short, or ``repeats`` is out of range.
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or not 1 <= repeats <= MOST_REPEATS:
        raise UserError(f"Repeats are {repeats!r}; they must be a whole number from 1 to {MOST_REPEATS}.")
    stack, prompt = DecoderStack(pruned), _prompt(dense, tokenizer)
    groups, trials = group_count(dense, stack.path), trial_count(2, repeats)

    def tell(done: int) -> Evaluated:
        return Evaluated(variant, done, groups + trials + 1)

    sizes = yield from _told(iter_footprint(dense, stack), tell, 0)
    models = {"dense": dense, "pruned": pruned}
    rates = yield from _told(iter_throughput(models, prompt, write=WRITE, repeats=repeats), tell, groups)
    device = execution_device(pruned)
    outcome = _products(stack, sizes, device, repeats)
    yield tell(groups + trials + 1)
    memory = Memory(resident_bytes(dense), resident_bytes(pruned), own_bytes(pruned, dense), sizes.bitmask)
    return Cost(
        sizes=sizes,
        **rates,
        memory=memory,
        read=prompt.shape[1],
        write=WRITE,
        products=outcome if isinstance(outcome, tuple) else (),
        sentence=explained(sizes, rates["dense"], rates["pruned"], device, outcome),
        notices=tuple(_notices(models, sizes, rates, prompt.shape[1])),
    )


def _told(
    steps: Generator[tuple[int, int], None, Any], tell: Callable[[int], Evaluated], before: int
) -> Generator[Evaluated, None, Any]:
    """The steps of one part as events of the whole, with as many done before it."""
    while True:
        try:
            done, _ = next(steps)
        except StopIteration as end:
            return end.value
        yield tell(before + done)


def _prompt(model: nn.Module, tokenizer: Any) -> Tensor:
    """int64 [1, tokens]: held-out prose, shorter where the context is."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    length = min(READ, context - WRITE - 1) if context else READ
    if length < 1:
        raise UserError(
            f"This model's context is {context} tokens, too short to write {WRITE}; choose another model to measure."
        )
    return held_out_windows(tokenizer, windows=1, length=length)


def _products(
    stack: DecoderStack, sizes: Footprint, device: torch.device, repeats: int
) -> tuple[Products, ...] | str | None:
    """The products of the largest linear in the pattern, as in reading and as in writing; or why not, as the end of a
    sentence; None where there is nothing to try."""
    if not sizes.two_four or not has_units(device):
        return None
    linear = next(linear for linear in stack.all_linears() if linear.path == sizes.largest)
    weight = linear.stored(read_weight(stack.model, linear.path)).to(device)
    found = [measure_products(weight, tokens, repeats) for tokens in (READ, 1)]
    refusal = next((each for each in found if isinstance(each, str)), None)
    return refusal or tuple(found)


def explained(
    sizes: Footprint,
    dense: Throughput,
    pruned: Throughput,
    device: torch.device,
    outcome: tuple[Products, ...] | str | None,
) -> str:
    """Why the pruned model is as fast as it is on ``device``, and what would make it faster.

    Args:
        outcome: of the semi-structured product: its times, or why there are none; None where it was not tried.
    """
    if not sizes.pruned_linears:
        return "No linear has a zero, so there is nothing to gain, neither bytes nor time."
    times = " and ".join((_ratio("reads", dense, pruned), _ratio("writes", dense, pruned)))
    measured = f"Measured here, the pruned model {times} times the dense speed.{_smaller(sizes)}"
    if not sizes.two_four:
        return (
            "Unstructured zeros do not speed up dense kernels, which multiply a zero like any other number. What would "
            "be faster: zeros in the pattern 2:4 on an NVIDIA GPU of compute capability 8.0 or newer, kernels written "
            f"for sparse matrices, or whole rows taken out. {measured}"
        )
    share = "All" if sizes.two_four == sizes.pruned_linears else f"{sizes.two_four} of"
    pattern = f"{share} {sizes.pruned_linears} pruned linears have their zeros in the pattern 2:4"
    if isinstance(outcome, tuple):
        return (
            f"{pattern}, which this GPU multiplies faster if asked to: the semi-structured product of the largest is "
            f"{' and '.join(map(_gain, outcome))}. The model as it is runs on dense kernels, which multiply a zero "
            "like any other number; torch.sparse.to_sparse_semi_structured converts its weights. " + measured
        )
    if outcome:
        return (
            f"{pattern}, for which this GPU may have units, but {outcome}; dense kernels multiply a zero like any "
            f"other number. {measured}"
        )
    return (
        f"{pattern}, but {_named(device)} has no units for it, and dense kernels multiply a zero like any other "
        "number. What would be faster: the same weights on an NVIDIA GPU of compute capability 8.0 or newer. "
        + measured
    )


def _ratio(verb: str, dense: Throughput, pruned: Throughput) -> str:
    """By pairs of trials that followed each other, so that what slows the machine for a while slows both."""
    sides = [(t.reading if verb == "reads" else t.writing).trials for t in (dense, pruned)]
    ratios = [p / d for d, p in zip(*sides, strict=True)]
    return f"{verb} at {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _gain(products: Products) -> str:
    times = f"{products.speedup:.2f} times as fast as the dense one"
    spread = f"{min(products.speedups):.2f} to {max(products.speedups):.2f}"
    return f"{times} for {products.tokens} token{'s' * (products.tokens > 1)} at once ({spread})"


def _named(device: torch.device) -> str:
    return {"cpu": "this CPU", "cuda": "this GPU"}.get(device.type, f"this device ({device.type})")


def _smaller(sizes: Footprint) -> str:
    if sizes.bitmask >= sizes.dense:
        return ""
    return f" What gets smaller is the file: {gigabytes(sizes.bitmask)} instead of {gigabytes(sizes.dense)}."


def _notices(models: dict[str, nn.Module], sizes: Footprint, rates: dict[str, Throughput], read: int) -> Iterator[str]:
    """One sentence for each thing that makes a figure less than it seems."""
    if any(map(is_offloaded, models.values())):
        yield (
            "Some weights are kept elsewhere and brought in for every pass: the memory is what stays in memory, and "
            "the speed is mostly that of moving them."
        )
    if read < READ:
        yield f"The context of this model is short, so {read} tokens are read instead of {READ}."
    if sizes.dense_zstd < REDUNDANT * sizes.dense:
        yield (
            f"zstd alone takes the dense model to {sizes.dense_zstd / sizes.dense:.0%} of its bytes, because its "
            "numbers are coarser than their precision allows; compare the compressed sizes with that."
        )
    measured = [rate for each in rates.values() for rate in (each.reading, each.writing)]
    if any(rate.largest > UNSTEADY * rate.smallest for rate in measured):
        yield "Trials of the same thing differ by more than half: something else uses this machine, so measure again."
