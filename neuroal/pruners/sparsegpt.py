"""SparseGPT: prune column by column and let the remaining weights make up for each loss (arXiv 2301.00774)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from neuroal.errors import UserError
from neuroal.pruners.base import PRUNERS, Pruner

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

# Of the mean of the Hessian's diagonal, added to it; and the columns whose mask is chosen together.
DAMPING, CHUNK = 0.01, 128

# Where the damped Hessian still has no Cholesky factor the damping grows by this factor, up to MOST_DAMPING.
DAMPING_STEP, MOST_DAMPING = 10.0, 1e4


@PRUNERS.register
class SparseGPT(Pruner):
    """The mask is chosen from ``W_ij² / U_jj²`` chunk by chunk on weights already compensated; ``U`` is the upper
    Cholesky factor of the inverse Hessian. Kept weights change."""

    name = "sparsegpt"
    label = "SparseGPT: prune, then compensate in what is left"
    summary = (
        "the weights whose loss the others can best make up for, column by column "
        "([2301.00774](https://arxiv.org/abs/2301.00774))"
    )
    needs_gram = True
    moves_weights = True
    gathering = 1.0
    selecting = 6000
    rank = 40

    def norms(self) -> Any:
        """The reference lets early sequences dominate; ``exact_statistics`` takes the plain mean."""
        from neuroal.statistics import FadingNorm, InputNorm

        return InputNorm() if self.options.exact_statistics else FadingNorm()

    def metric(self, weight: Tensor, statistics: Any) -> Tensor:
        """Saliency before any compensation, ``W_ij² / U_jj²``, float32 [out, in]."""
        weight, factor = self._prepared(weight, statistics)
        return (weight / factor.diagonal()).square()

    def prune(self, weight: Tensor, statistics: Any, sparsity: float | np.ndarray, of: int | None = None) -> Tensor:
        """The pruned and compensated weight, [out, in]. Ratios by row are an extension of the method: each row's
        count is spread evenly over the chunks."""
        return self.prune_together([weight], statistics, [sparsity], of)[0]

    def prune_together(
        self,
        weights: Sequence[Tensor],
        statistics: Any,
        sparsities: Sequence[float | np.ndarray],
        of: int | None = None,
    ) -> list[Tensor]:
        """The columns of all these linears in one loop, their rows below each other; each keeps a mask of its own."""
        import torch

        work, factor = self._prepared(torch.cat(list(weights)), statistics)
        rows, columns = [len(weight) for weight in weights], work.shape[1]
        size = CHUNK if of is None else of * max(1, CHUNK // of)
        for start in range(0, columns, size):
            end = min(start + size, columns)
            local = factor[start:end, start:end]
            rules = [_rule(local, columns, (start, end), sparsity, of) for sparsity in sparsities]
            errors = _chunk(work[:, start:end], local, _joined(rules, rows))
            work[:, end:].sub_(errors @ factor[start:end, end:])
        return [part.to(weight.dtype) for part, weight in zip(work.split(rows), weights, strict=True)]

    def _prepared(self, weight: Tensor, statistics: Any) -> tuple[Tensor, Tensor]:
        """A float32 copy of the weight without what no input reaches, and the factor U [in, in].

        The factor is kept with the statistics: the linears of a consumer group share it.
        """
        dead = statistics.gram.diagonal() == 0
        if not hasattr(statistics, "factor"):
            # float32 as the original: the factor of few tokens is ill-conditioned, and its last bits decide masks
            hessian = statistics.gram.double() if self.options.exact_statistics else statistics.gram.clone()
            hessian.diagonal()[dead] = 1
            statistics.factor = self._factor(hessian).float()
        return weight.float().masked_fill(dead, 0), statistics.factor

    def _factor(self, hessian: Tensor) -> Tensor:
        """Upper Cholesky factor of the inverse of the damped Hessian.

        Raises:
            UserError: it is not finite, or no damping up to MOST_DAMPING gives a factor.
        """
        import torch

        mean, share = hessian.diagonal().mean(), DAMPING
        while share <= MOST_DAMPING:
            hessian.diagonal().add_((share if share == DAMPING else share * (1 - 1 / DAMPING_STEP)) * mean)
            lower, failed = torch.linalg.cholesky_ex(hessian)
            if not failed:
                upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
                if not failed and bool(torch.isfinite(upper).all()):
                    if share > DAMPING:
                        self.notices.append(
                            f"the Hessian was not positive definite, so its damping was raised from {DAMPING:.0%} "
                            f"to {share:.0%}"
                        )
                    return upper
            share *= DAMPING_STEP
        raise UserError(
            "SparseGPT cannot invert the Hessian of this layer's input; use more or other calibration text."
        )


# From the column of a chunk and the chunk's weights now, [out, c], its mask where it is (re)chosen, or None.
Rule = Callable[[int, "Tensor"], "Tensor | None"]


def _joined(rules: list[Rule], rows: list[int]) -> Rule:
    """One rule for linears that lie below each other. They (re)choose at the same columns."""
    import torch

    def rule(i: int, work: Tensor) -> Tensor | None:
        masks = [part(i, weight) for part, weight in zip(rules, work.split(rows), strict=True)]
        return None if masks[0] is None else torch.cat(masks)

    return rules[0] if len(rules) == 1 else rule


def _chunk(work: Tensor, factor: Tensor, rule: Rule) -> Tensor:
    """Prunes the columns of one chunk in place, left to right, each paying its error into those right of it.

    Works on a transposed copy, where a column is contiguous: faster than on the rows.

    Args:
        work: [out, c], a view of the weight. factor: [c, c]. rule: masks by column, see :func:`_rule`.

    Returns:
        the errors, [out, c], still to be paid by the columns after the chunk.
    """
    import torch

    columns = work.t().contiguous()
    errors, mask = torch.empty_like(columns), None
    for i, (column, error) in enumerate(zip(columns, errors, strict=True)):
        chosen = rule(i, columns.t())
        mask = chosen.t().contiguous() if chosen is not None else mask
        torch.mul(column, mask[i], out=error)  # what is lost: the weight where it is pruned
        error.div_(factor[i, i])
        columns[i + 1 :].sub_(factor[i, i + 1 :, None] * error)  # two steps: a fused one rounds unlike the original
        column.masked_fill_(mask[i], 0)
    work.copy_(columns.t())
    return errors.t()


def _rule(factor: Tensor, columns: int, chunk: tuple[int, int], sparsity: float | np.ndarray, of: int | None) -> Rule:
    """The rule of one linear."""
    import numpy as np
    import torch

    from neuroal.masks import keep_counts, keep_largest, prune_in_groups

    def saliency(work: Tensor) -> Tensor:
        return work.square() / factor.diagonal().square()

    def by_threshold(i: int, work: Tensor) -> Tensor | None:
        """All rows of the chunk together: everything up to the entry at the wanted rank, itself included."""
        if i:
            return None
        scores = saliency(work)
        if not sparsity:
            return torch.zeros_like(scores, dtype=torch.bool)
        rank = min(int(scores.numel() * float(sparsity)), scores.numel() - 1)
        return scores <= scores.flatten().kthvalue(rank + 1).values

    def by_row(i: int, work: Tensor) -> Tensor | None:
        """Row r has lost its share of its count by the end of the chunk, rounded down; all of it by the last one."""
        if i:
            return None
        count = columns - keep_counts(columns, sparsity)
        here = count * chunk[1] // columns - count * chunk[0] // columns
        return keep_largest(saliency(work), work.shape[1] - here)

    def by_group(i: int, work: Tensor) -> Tensor | None:
        """The next M columns, on weights as compensated so far."""
        if i % of:
            return None
        group = slice(i, i + of)
        scores = work[:, group].square() / factor.diagonal()[group].square()
        mask = torch.zeros_like(work, dtype=torch.bool)
        mask[:, group] = prune_in_groups(scores, round(float(sparsity) * of), of)
        return mask

    if of is not None:
        return by_group
    return by_row if isinstance(sparsity, np.ndarray) else by_threshold
