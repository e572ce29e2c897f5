"""How one block is pruned: the pruner, with all that modifies it. The search and the final pruning both come here.

What modifies a pruner: an N:M pattern, a top-up that refines the mask (DSnoT), and linears that no token reached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroal.blocks import DecoderStack, Linear
from neuroal.errors import UserError
from neuroal.masks import pruned, select, zeroed
from neuroal.options import Options
from neuroal.patterns import Pattern
from neuroal.pruners import PRUNERS
from neuroal.statistics import Gathered, Gram
from neuroal.topups import TOP_UPS


class Method:
    """A pruner, a top-up and their options, ready to prune blocks.

    Attributes:
        pruner: its metric and its statistics.
        top_up: asked to refine masks, where it does.
        of: M of the N:M pattern, or None.
        needs_data: False when nothing that it does looks at activations.
    """

    def __init__(self, pruner: str, top_up: str, options: Options) -> None:
        self.options = options
        self.pruner = PRUNERS.get(pruner)(options)
        self.top_up = TOP_UPS.get(top_up)(options)
        self.pattern = Pattern.parse(options.pattern) if options.pattern else None
        self.of = self.pattern.of if self.pattern else None
        self.needs_data = self.pruner.needs_data or self.top_up.refines or options.reconstruct
        self._troubles: dict[str, list[str]] = defaultdict(list)
        self._heard: list[str] = []  # sentences from elsewhere
        self._told: set[str] = set()
        self._sound: set[str] = set()  # paths whose dense weights were seen to be finite

    def statistics(self, *, refit: bool = True) -> Any:
        """What gathers the input of a consumer group before it is pruned.

        Args:
            refit: False where the weights will not be refitted: a search compares masked ones.
        """
        parts = [self.pruner.statistics()]
        if self.top_up.refines:
            parts += self.top_up.refining_statistics()
        if refit and self.options.reconstruct and not self.pruner.needs_gram:
            parts.append(Gram())
        return Gathered(*parts) if len(parts) > 1 else parts[0]

    def pruned(
        self,
        stack: DecoderStack,
        b: int,
        statistics: Mapping[Linear, Any],
        sparsity: Mapping[str, float | np.ndarray],
        linears: Iterable[Linear] | None = None,
    ) -> dict[Linear, Tensor]:
        """The pruned weights of a block, as new tensors.

        Args:
            statistics: of the input of each linear; empty when ``needs_data`` is False.
            sparsity: by path; a linear without a ratio stays dense and is left out.
            linears: those of the block that are looked at; None for all.

        Raises:
            UserError: activations that are not finite, or a pruner's own refusal; with the path of the linear.
        """
        ready: dict[int, list[Linear]] = {}  # by what they share: the statistics of their input
        for linear in stack.linears[b] if linears is None else linears:
            if linear.path not in sparsity:
                continue
            stat = _of_calls(statistics, linear)
            if self.needs_data and stat is None:
                self._troubles["no calibration token reached it, so it stays dense"].append(linear.path)
                continue
            self._check_weight(b, linear)
            ready.setdefault(id(stat), []).append(linear)
        firsts = [(sharing[0], _of_calls(statistics, sharing[0])) for sharing in ready.values()]
        _check_activations(b, [(linear, stat) for linear, stat in firsts if stat is not None])
        if self.pruner.row_by_row and not self.top_up.refines:
            return self._at_once([linear for sharing in ready.values() for linear in sharing], statistics, sparsity)
        weights = {}
        for sharing in ready.values():
            stat = _of_calls(statistics, sharing[0])
            weights |= zip(sharing, self._together(stack, b, sharing, stat, sparsity), strict=True)
        return weights

    def _check_weight(self, b: int, linear: Linear) -> None:
        if linear.path not in self._sound:
            if not _all_finite(linear.weight):
                raise UserError(
                    f"The weights of {linear.path} (block {b}) are not finite numbers; check the checkpoint."
                )
            self._sound.add(linear.path)

    def _at_once(
        self, linears: list[Linear], statistics: Mapping[Linear, Any], sparsity: Mapping[str, float | np.ndarray]
    ) -> dict[Linear, Tensor]:
        """The pruned weights of linears whatever they share, so that threads are shared out among all of their rows."""
        asked = [self.pruner.asked(x.weight, _of_calls(statistics, x), sparsity[x.path]) for x in linears]
        return dict(zip(linears, pruned(asked, self.of), strict=True))

    def _together(
        self, stack: DecoderStack, b: int, linears: list[Linear], stat: Any, sparsity: Mapping[str, float | np.ndarray]
    ) -> list[Tensor]:
        """The pruned weights of linears that share their input."""
        if self.top_up.refines and any(self.top_up.reaches(stack, b, linear) for linear in linears):
            return [self._refined(stack, b, linear, stat, sparsity[linear.path]) for linear in linears]
        weights, ratios = [linear.weight for linear in linears], [sparsity[linear.path] for linear in linears]
        try:
            pruned = self.pruner.prune_together(weights, stat, ratios, self.of)
        except UserError as error:
            raise UserError(f"{linears[0].path} (block {b}): {error}") from error
        self._hear(linears[0])
        return pruned

    def _refined(self, stack: DecoderStack, b: int, linear: Linear, stat: Any, ratio: float | np.ndarray) -> Tensor:
        mask = select(self.pruner.metric(linear.weight, stat), ratio, self.of)
        if self.top_up.reaches(stack, b, linear):
            mask, trouble = self.top_up.refine(linear.weight, mask, stat)
            if trouble:
                self._troubles[trouble].append(linear.path)
        return zeroed(linear.weight, mask)

    def _hear(self, linear: Linear) -> None:
        """Takes the pruner's notices, under the name of the linear they are about."""
        for notice in self.pruner.notices:
            self._troubles[notice].append(linear.path)
        self.pruner.notices.clear()

    def hear(self, sentences: Iterable[str]) -> None:
        """Takes the troubles of one like this that pruned elsewhere."""
        self._heard += sentences

    def troubles(self) -> Iterator[str]:
        """One sentence for each kind of trouble since the last call, naming the linears; none of them twice."""
        sentences, self._heard = self._heard, []
        for trouble, paths in self._troubles.items():
            paths = list(dict.fromkeys(paths))
            others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            sentences.append(f"{paths[0]}{others}: {trouble}.")
        self._troubles.clear()
        for sentence in sentences:
            if sentence not in self._told:
                self._told.add(sentence)
                yield sentence


def _of_calls(statistics: Mapping[Linear, Any], linear: Linear) -> Any:
    """What was gathered; None for a linear that is chosen token by token and was called in another pass only."""
    stat = statistics.get(linear)
    return stat if stat is not None and stat.sequences else None


def _all_finite(weight: Tensor) -> bool:
    """By the sum, which is not finite if an entry is not; looked at closer only where the sum itself overflows."""
    return bool(torch.isfinite(weight.sum())) or bool(torch.isfinite(weight).all())


def _check_activations(b: int, gathered: list[tuple[Linear, Any]]) -> None:
    """Refuses inputs that are not finite. One look at all of a block: on a GPU each look has to be waited for."""
    sums = [stat.norm.sum() for _, stat in gathered]
    if not sums or bool(torch.isfinite(torch.stack(sums)).all()):
        return
    for linear, stat in gathered:
        if not bool(torch.isfinite(stat.norm).all()):
            raise UserError(
                f"The activations that reach {linear.path} (block {b}) are not finite numbers, so it cannot be pruned; "
                "try another precision, or check the checkpoint."
            )
