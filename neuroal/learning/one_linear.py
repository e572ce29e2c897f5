"""Scenes about a single linear: its weights and inputs, what two metrics choose, and how a row is cut."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroal.learning.asked import Asked
from neuroal.learning.ground import Ground
from neuroal.masks import prune_count, select
from neuroal.pruners import PRUNERS

# The two whose choices are laid over each other.
BY_WEIGHT, BY_PRODUCT = "magnitude", "wanda"


def matrix(ground: Ground, asked: Asked) -> dict[str, Any]:
    """The weights of a linear and the activation norms of its inputs in the dense model.

    Returns:
        ``cells``: |weight| as packed bytes in row-major order, 255 for the largest, on a square-root scale, so that
        small ones are told apart; ``norms``: one per input.
    """
    linear = ground.linear(asked)
    weight, norm = linear.weight.float().abs(), ground.dense[asked.block][linear].norm
    scaled = (weight / weight.max()).sqrt() * 255
    loudest = int(norm.argmax())
    return {
        **_shape(linear.name, weight),
        "cells": packed(scaled.round().to(torch.uint8)),
        "norms": rounded(norm),
        "loudest": loudest,
        "louder": float(norm[loudest] / norm.median()),
        "largest": float(weight.max()),
        "median": float(weight.median()),
    }


def choice(ground: Ground, asked: Asked) -> dict[str, Any]:
    """Which weights of a linear magnitude and Wanda keep at the same sparsity, and what each does to the outputs.

    Returns:
        ``cells``: 0 kept by neither, 1 by magnitude only, 2 by Wanda only, 3 by both, as packed bytes; ``errors``: by
        metric, ‖(W - Ŵ) X‖ / ‖W X‖ over the calibration samples.
    """
    linear = ground.linear(asked)
    weight, stat = linear.weight.float(), ground.dense[asked.block][linear]
    pruned = {
        name: select(PRUNERS.get(name)().metric(weight, stat), asked.sparsity) for name in (BY_WEIGHT, BY_PRODUCT)
    }
    kept = {name: ~mask for name, mask in pruned.items()}
    cells = kept[BY_WEIGHT].to(torch.uint8) + 2 * kept[BY_PRODUCT].to(torch.uint8)
    rescued = int((kept[BY_PRODUCT] & pruned[BY_WEIGHT]).sum())
    return {
        **_shape(linear.name, weight),
        "cells": packed(cells),
        "errors": {name: _error(weight, mask, stat.gram) for name, mask in pruned.items()},
        "pruned": int(pruned[BY_WEIGHT].sum()),
        "rescued": rescued,
        "norms": rounded(stat.norm),
    }


def row(ground: Ground, asked: Asked) -> dict[str, Any]:
    """One row of a linear: its weights, the norms of its inputs, the metric of each weight and which are kept."""
    linear = ground.linear(asked)
    weight, stat = linear.weight.float(), ground.dense[asked.block][linear]
    r = min(asked.row, weight.shape[0] - 1)
    metric = PRUNERS.get(asked.pruner)().metric(weight, stat)
    mask = select(metric, asked.sparsity)[r]
    order = metric[r].sort(stable=True).indices
    return {
        **_shape(linear.name, weight),
        "row": r,
        "weights": rounded(weight[r]),
        "norms": rounded(stat.norm),
        "metric": rounded(metric[r]),
        "kept": (~mask).tolist(),
        "order": order.tolist(),
        "count": prune_count(weight.shape[1], asked.sparsity),
    }


def _shape(name: str, weight: Tensor) -> dict[str, Any]:
    return {"linear": name, "rows": weight.shape[0], "columns": weight.shape[1]}


def _error(weight: Tensor, pruned: Tensor, gram: Tensor) -> float:
    """Relative error of the outputs, from the inputs' Gram matrix: ‖D X‖² is the trace of D Gram Dᵀ, up to a factor."""
    lost = weight * pruned
    return float((((lost @ gram) * lost).sum() / ((weight @ gram) * weight).sum()).clamp_min(0).sqrt())


def packed(cells: Tensor) -> str:
    """uint8 cells of any shape as base64, in row-major order."""
    return base64.b64encode(np.ascontiguousarray(cells.numpy()).tobytes()).decode("ascii")


def rounded(values: Tensor | np.ndarray, digits: int = 5) -> list[float]:
    """To significant digits: what a chart can show, in a third of the bytes."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=np.float64).ravel()]
