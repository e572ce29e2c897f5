"""Exact-count selection: which weights of each row are zeroed, given an importance metric.

Shapes: a linear has a metric of shape [out, in]; a mask has the same shape, True where the weight is pruned.

The two granularities round in opposite directions, and break ties in opposite directions, as the original
implementation of NeuroAL does:

    "row"     one ratio s for the whole linear: floor(in * s) smallest of every row are pruned;
              among equal metrics the lower column is pruned first
    "neuron"  one ratio s_r per row: floor((1 - s_r) * in) largest of the row are kept;
              among equal metrics the lower column is kept first

With an N:M pattern the count is taken in every group of M consecutive columns instead of the whole row.

On a CPU the k-th value is found by numpy, whose partition uses the widest vectors the machine has. On a GPU torch's own
selection stays on the device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

# Entries of a matrix from which on its rows are shared among threads.
SHARED = 2**18

# Entries that each thread selects from at a time: few enough to stay in its cache, and beside a large matrix the memory
# of a part is nothing (on one thread a fifth less time than the whole at once, for 1536 x 576 and for 4096 x 4096).
PART = 2**18

# Columns from which on threads share rows that are looked at one by one; before, they queue for the interpreter.
WIDE = 2048


def prune_count(columns: int, sparsity: float) -> int:
    """Weights pruned of each row at granularity "row": floor(columns * sparsity), in float64."""
    return int(columns * float(sparsity))


def keep_counts(columns: int, sparsity: np.ndarray) -> np.ndarray:
    """Weights kept of each row at granularity "neuron". ``sparsity``: float64 [rows]; returns int64 [rows]."""
    return ((1.0 - sparsity) * columns).astype(np.int64)


def prune_smallest(metric: Tensor, count: int) -> Tensor:
    """Mask of the ``count`` smallest entries of every row; ties prune the lower column first.

    Args:
        metric: [out, in], float; no NaN.
        count: 0..in.

    Returns:
        bool [out, in], True = pruned, exactly ``count`` per row.
    """
    columns = metric.shape[1]
    if count <= 0 or count >= columns:
        return torch.full_like(metric, count >= columns, dtype=torch.bool)
    if metric.device.type == "cpu":
        parted = torch.from_numpy(_by_rows(lambda rows, _: rows.partition(count, axis=1), _as_numpy(metric)))
        mask = _below(metric, parted[:, count : count + 1].to(metric.dtype))
        if true_entries(mask) == metric.shape[0] * count:
            return mask  # no row has a tie across its threshold
        kth = parted[:, :count].amax(1, keepdim=True).to(metric.dtype)
    else:
        kth = metric.kthvalue(count, dim=1, keepdim=True).values
    below = metric < kth
    return below | _first_ties(metric == kth, count - below.sum(1, keepdim=True))


def keep_largest(metric: Tensor, counts: np.ndarray) -> Tensor:
    """Mask that keeps the ``counts[r]`` largest entries of row r; ties keep the lower column first.

    Args:
        metric: [out, in], float; no NaN.
        counts: int64 [out], each 0..in.

    Returns:
        bool [out, in], True = pruned.
    """
    columns = metric.shape[1]
    keep = torch.from_numpy(np.ascontiguousarray(counts)).to(metric.device).unsqueeze(1)  # [out, 1]
    threshold = _ranked(metric, (columns - keep).clamp(0, columns - 1))  # the smallest kept value, [out, 1]
    if metric.device.type == "cpu":  # on a GPU the number of entries would have to be waited for
        mask = _below(metric, threshold)
        if true_entries(mask) == mask.numel() - int(counts.sum()):
            return mask
    above = metric > threshold
    kept = above | _first_ties(metric == threshold, keep - above.sum(1, keepdim=True))
    return ~(kept & (keep > 0))


def prune_in_groups(metric: Tensor, pruned: int, of: int) -> Tensor:
    """N:M: in every ``of`` consecutive columns of each row the ``pruned`` smallest go; ties prune the lower column.

    A last group that is shorter keeps up to ``of - pruned`` weights, as if it were padded with zeros.

    Args:
        metric: [out, in], float; no NaN.

    Returns:
        bool [out, in], True = pruned.
    """
    rows, columns = metric.shape
    padding = -columns % of
    padded = torch.nn.functional.pad(metric.float(), (0, padding), value=float("-inf"))
    return prune_smallest(padded.reshape(-1, of), pruned).reshape(rows, -1)[:, :columns]


def select(metric: Tensor, sparsity: float | np.ndarray, of: int | None = None) -> Tensor:
    """The mask for a ratio (granularity "row") or a vector of row ratios (granularity "neuron").

    Args:
        of: M of an N:M pattern: the ratio is then a multiple of 1/M, pruned in every group of M columns.
    """
    if of is not None:
        return prune_in_groups(metric, round(float(sparsity) * of), of)
    if isinstance(sparsity, np.ndarray):
        return keep_largest(metric, keep_counts(metric.shape[1], sparsity))
    return prune_smallest(metric, prune_count(metric.shape[1], sparsity))


def pruned(
    weight: Tensor, metric: Callable[[slice], Tensor], sparsity: float | np.ndarray, of: int | None = None
) -> Tensor:
    """The weight with what :func:`select` names zeroed, as a new tensor; on a CPU part by part.

    Args:
        weight: [out, in], any float dtype.
        metric: gives the metric of some rows, [rows, in].
    """
    rows, columns = weight.shape
    step = max(1, PART * torch.get_num_threads() // columns)
    if weight.device.type != "cpu" or step >= rows:
        return zeroed(weight, select(metric(slice(rows)), sparsity, of))
    product = torch.empty_like(weight)
    for start in range(0, rows, step):
        part = slice(start, start + step)
        ratios = sparsity[part] if isinstance(sparsity, np.ndarray) else sparsity
        product[part] = zeroed(weight[part], select(metric(part), ratios, of))
    return product


def zeroed(weight: Tensor, mask: Tensor) -> Tensor:
    """``weight.masked_fill(mask, 0)`` as a new tensor, for finite weights.

    On a CPU as a product, which is vectorised (0.4 against 2.9 ms for 1536 x 576); adding zero makes -0 to 0.
    """
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return weight.masked_fill(mask, 0)
    product = np.multiply(weight.numpy(), ~mask.numpy())
    product += np.float32(0)
    return torch.from_numpy(product)


def true_entries(mask: Tensor) -> int:
    """How many entries of a bool tensor are True."""
    return int(np.count_nonzero(mask.numpy())) if mask.device.type == "cpu" else int(mask.sum())


def _below(metric: Tensor, threshold: Tensor) -> Tensor:
    """``metric < threshold`` on a CPU, for a threshold of each row; in float32 numpy takes half the time of torch."""
    if metric.dtype != torch.float32:
        return metric < threshold
    return torch.from_numpy(np.less(metric.numpy(), threshold.numpy()))


def _ranked(metric: Tensor, rank: Tensor) -> Tensor:
    """The value at ``rank`` (from 0, [out, 1]) of each row in ascending order, [out, 1]."""
    if metric.device.type != "cpu":
        return metric.sort(dim=1).values.gather(1, rank)
    own = rank.squeeze(1).numpy()
    parted = _by_rows(_part_each, _as_numpy(metric), own, least=WIDE)
    return torch.from_numpy(parted).gather(1, rank).to(metric.dtype)


def _part_each(rows: np.ndarray, ranks: np.ndarray) -> None:
    for row, rank in zip(rows, ranks.tolist(), strict=True):
        row.partition(rank)


def _by_rows(
    work: Callable[[np.ndarray, np.ndarray], None], values: np.ndarray, own: np.ndarray | None = None, least: int = 0
) -> np.ndarray:
    """A copy of ``values`` on whose rows ``work`` was done in place, by as many threads as torch has.

    numpy itself uses one, and lets go of the interpreter meanwhile.

    Args:
        own: a value for each row, that ``work`` gets beside the rows.
        least: columns below which one thread does it all.
    """
    copy, threads = np.array(values, order="C"), torch.get_num_threads()
    own = np.zeros(len(copy)) if own is None else own
    # Numbers that are not negative have the order of their bits, and integers are compared faster.
    rows = copy.view(np.int32) if copy.dtype == np.float32 and copy.size and copy.min() >= 0 else copy
    if threads == 1 or copy.size < SHARED or copy.shape[1] < least:
        work(rows, own)
    else:
        list(_pool(threads).map(work, np.array_split(rows, threads), np.array_split(own, threads)))
    return copy


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "neuroal-rows")


def _as_numpy(metric: Tensor) -> np.ndarray:
    """numpy has no bfloat16; float32 holds every half precision value exactly, so the order is unchanged."""
    return metric.float().numpy() if metric.dtype in (torch.bfloat16, torch.float16) else metric.numpy()


def _first_ties(ties: Tensor, wanted: Tensor) -> Tensor:
    """Of the True entries of each row, the ``wanted`` [out, 1] first ones."""
    if ties.device.type != "cpu":
        return ties & (ties.cumsum(1) <= wanted)
    rows = (ties.sum(1, keepdim=True) != wanted).squeeze(1)  # the others want all of theirs
    ties[rows] &= ties[rows].cumsum(1, dtype=torch.int32) <= wanted[rows]
    return ties
