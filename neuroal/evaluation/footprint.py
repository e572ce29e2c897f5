"""What a model's weights need in a file, dense and sparsely encoded: made from the real tensors, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, fields
from itertools import chain, groupby

import torch
from torch import Tensor, nn

from neuroal.blocks import DecoderStack
from neuroal.errors import UserError
from neuroal.evaluation.encoding import LEVEL, compressed, sizes
from neuroal.evaluation.semi_structured import is_two_four
from neuroal.heap import working_heap
from neuroal.masks import true_entries
from neuroal.residence import read_parameter


@dataclass(frozen=True)
class Footprint:
    """Bytes and counts over all parameters, tied ones once; names, shapes and headers of a file come on top.

    Attributes:
        dense: bytes of the dense model.
        dense_zstd: the same through zstd: what compression does without any pruning.
        bitmask: of the pruned model, each tensor as it is or as bitmask and values, whichever is smaller.
        bitmask_zstd: the same through zstd, for each tensor the form that is then smaller.
        zstd: of the pruned model, its dense bytes through zstd.
        weights, nonzeros: entries of the pruned model, and those that are not zero.
        prunable, prunable_nonzeros: the same for the linears of the decoder blocks.
        pruned_linears: those with at least one zero.
        two_four: those of them in the pattern 2:4 (see semi_structured.py).
        largest: path of the largest of these; empty where there is none.
    """

    dense: int
    dense_zstd: int
    bitmask: int
    bitmask_zstd: int
    zstd: int
    weights: int
    nonzeros: int
    prunable: int
    prunable_nonzeros: int
    pruned_linears: int
    two_four: int
    largest: str


COUNTS = tuple(field.name for field in fields(Footprint) if field.type == "int")


@torch.no_grad()
def iter_footprint(
    dense: nn.Module, pruned: DecoderStack, level: int = LEVEL
) -> Generator[tuple[int, int], None, Footprint]:
    """Measures group by group: a decoder block, or a module outside the blocks.

    Yields:
        (groups done, groups in all).

    Raises:
        UserError: the two are not the same model.
    """
    names = parameter_names(dense)
    if shapes(dense) != shapes(pruned.model):
        raise UserError("The pruned model is not a pruned copy of the dense one; measure a model beside its own twin.")
    entries = {name: p.numel() for name, p in pruned.model.named_parameters()}
    linears = {f"{linear.path}.weight": linear for linear in pruned.all_linears()}
    groups = [list(group) for _, group in groupby(names, lambda name: _group(name, pruned.path))]
    found, largest = Counter(dict.fromkeys(COUNTS, 0)), ""
    with working_heap():
        for done, group in enumerate(groups, 1):
            for name in group:
                before, after = (read_parameter(model, name).cpu() for model in (dense, pruned.model))
                counts = _measured(before, after, level)
                found.update(counts)
                if name not in linears:
                    continue
                found.update(prunable=counts["weights"], prunable_nonzeros=counts["nonzeros"])
                if counts["nonzeros"] < counts["weights"]:
                    found["pruned_linears"] += 1
                    if is_two_four(linears[name].stored(after)):
                        found["two_four"] += 1
                        largest = max(largest, name, key=lambda each: entries.get(each, 0))
            yield done, len(groups)
    return Footprint(**found, largest=largest.removesuffix(".weight"))


def shapes(model: nn.Module) -> dict[str, torch.Size]:
    """Of all parameters by name, tied ones under each of their names."""
    return {name: p.shape for name, p in model.named_parameters(remove_duplicate=False)}


def resident_bytes(*models: nn.Module) -> int:
    """Bytes of the parameters and buffers that are in memory; what several share counts once."""
    tensors = {id(t): t for m in models for t in chain(m.parameters(), m.buffers()) if t.device.type != "meta"}
    return sum(t.numel() * t.element_size() for t in tensors.values())


def group_count(dense: nn.Module, path: str) -> int:
    """How many groups :func:`iter_footprint` goes through; ``path``: of the decoder blocks."""
    return sum(1 for _ in groupby(parameter_names(dense), lambda name: _group(name, path)))


def _measured(dense: Tensor, pruned: Tensor, level: int) -> Counter[str]:
    """The fields of :class:`Footprint` that one tensor adds to."""
    found = sizes(pruned, level)
    same = dense.dtype == pruned.dtype and torch.equal(dense, pruned)
    return Counter(
        dense=dense.nbytes,
        dense_zstd=found.dense_zstd if same else len(compressed(dense, level)),
        bitmask=min(found.dense, found.bitmask),
        bitmask_zstd=min(found.dense_zstd, found.bitmask_zstd),
        zstd=found.dense_zstd,
        weights=pruned.numel(),
        nonzeros=true_entries(pruned != 0),
    )


def parameter_names(model: nn.Module) -> list[str]:
    """The names of all parameters in the order of their registration; of those that are one tensor, the first.

    Where weights are loaded and freed again, tied ones are told apart no longer; then what the model declares is asked.
    """
    names = dict(model.named_parameters())
    for target, source in (getattr(model, "all_tied_weights_keys", None) or {}).items():
        pair = names.get(target), names.get(source)
        if target != source and None not in pair and any(p.device.type == "meta" for p in pair):
            del names[target]
    return list(names)


def _group(name: str, path: str) -> str:
    """The decoder block that a parameter belongs to, or the module that owns it."""
    rest = name.removeprefix(f"{path}.")
    return f"{path}.{rest.split('.')[0]}" if rest != name else name.rpartition(".")[0]
