"""Divergence: how far a pruned model's next-token predictions are from those of the dense model on the same text.

Both models read the same windows (teacher forcing), so that each pair of predictions follows the same tokens.

Shapes: n windows, L tokens in each, T predictions, V vocabulary, k most likely tokens.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from neuroal.batches import at_once
from neuroal.errors import UserError
from neuroal.generation import first_difference
from neuroal.residence import execution_device
from neuroal.runs.events import Evaluated
from neuroal.twin import skeleton

# Half of what perplexity reads at once: the logits of two models are there at the same time.
BATCH_TOKENS = 512

# Log-probabilities worked on at once: 16 MB in float32.
CHUNK = 2**22

TOP = 5


@dataclass(frozen=True)
class Divergence:
    """Figures over all predictions; each ``_stderr`` is the standard error of the mean over windows.

    Attributes:
        kl: mean Kullback-Leibler divergence KL(dense || pruned) of the predicted distributions, in nats.
        median_kl, p95_kl: quantiles over predictions, in nats; a few large divergences move the mean only.
        top1: share of predictions in which both models find the same token the most likely one.
        top5: mean share of the dense model's five most likely tokens that are among the pruned model's five.
        loss_difference: mean cross-entropy of the pruned model minus that of the dense one, in nats. Its standard
            error is paired, that of the differences of the windows: what makes a window hard for both models cancels.
        predictions: n * (L - 1).
        notices: what is degraded, one sentence each.
    """

    kl: float
    kl_stderr: float
    median_kl: float
    p95_kl: float
    top1: float
    top1_stderr: float
    top5: float
    top5_stderr: float
    loss_difference: float
    loss_difference_stderr: float
    predictions: int
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Predictions:
    """Two models' predictions of the same T tokens, on the processor.

    Attributes:
        kl: float64 [T], KL(dense || pruned) in nats.
        dense, pruned: float32 [T], log-probability of the token that came.
        dense_top, pruned_top: int64 [T, k], the k most likely tokens, the likeliest first; the lower id on ties.
        dense_top_log_p, pruned_top_log_p: float32 [T, k], their log-probabilities.
    """

    kl: Tensor
    dense: Tensor
    pruned: Tensor
    dense_top: Tensor
    pruned_top: Tensor
    dense_top_log_p: Tensor
    pruned_top_log_p: Tensor

    def figures(self) -> Tensor:
        """float64 [T, 4]: KL, agreement of the first tokens (0 or 1), shared part of the top k, loss difference."""
        first = self.dense_top[:, 0] == self.pruned_top[:, 0]
        shared = (self.dense_top[:, :, None] == self.pruned_top[:, None, :]).any(-1).double().mean(-1)
        return torch.stack([self.kl, first.double(), shared, self.dense.double() - self.pruned.double()], dim=-1)


@torch.no_grad()
def iter_divergence(
    dense: nn.Module, pruned: nn.Module, windows: Tensor, *, variant: str = ""
) -> Generator[Evaluated, None, Divergence]:
    """Measures batch by batch; neither model is written to.

    Args:
        windows: int64 [n, L], L >= 2; each window is read on its own, without a token added in front.
        variant: names the pruned model in the events.

    Yields:
        Evaluated after each batch.

    Raises:
        UserError: windows of a wrong shape, models of different vocabularies, predictions that are not finite.
    """
    if windows.dim() != 2 or windows.shape[0] < 1 or windows.shape[1] < 2:
        raise UserError(f"Windows have the shape {tuple(windows.shape)}; they must be [n, length] with length >= 2.")
    check_ids(dense, windows)
    n, length = windows.shape
    dense_reads, pruned_reads = reader(dense), reader(pruned)
    figures: list[Tensor] = []
    for batch in windows.split(at_once(BATCH_TOKENS, length)):
        for ids, p, q in zip(batch, dense_reads(batch), pruned_reads(batch), strict=True):
            figures.append(compare(p[:-1], q[:-1], ids[1:], TOP).figures())
        yield Evaluated(variant, len(figures), n)
    return _summary(torch.stack(figures))


def _summary(figures: Tensor) -> Divergence:
    """``figures``: float64 [n, T, 4]."""
    if not figures.isfinite().all():
        raise UserError(
            "A model gives a token of the held-out text no chance at all, so the losses have no difference; "
            "check that both models are meant for this tokenizer."
        )
    means = figures.mean(1).T.tolist()  # [4, n]
    kl, top1, top5, loss = (statistics.fmean(column) for column in means)
    errors = [_standard_error(column) for column in means]
    median, p95 = figures[..., 0].flatten().quantile(figures.new_tensor([0.5, 0.95])).tolist()
    notices = ("One window tells nothing about the spread: the standard errors are unknown, shown as 0.",)
    return Divergence(
        kl=kl,
        kl_stderr=errors[0],
        median_kl=median,
        p95_kl=p95,
        top1=top1,
        top1_stderr=errors[1],
        top5=top5,
        top5_stderr=errors[2],
        loss_difference=loss,
        loss_difference_stderr=errors[3],
        predictions=figures.shape[0] * figures.shape[1],
        notices=notices if len(figures) == 1 else (),
    )


def _standard_error(values: Sequence[float]) -> float:
    """Of the mean; 0 for a single value."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def check_ids(model: nn.Module, ids: Tensor) -> None:
    """Raises UserError unless ``ids`` are whole numbers in the model's vocabulary."""
    vocabulary = model.get_input_embeddings().num_embeddings
    if ids.is_floating_point() or int(ids.min()) < 0 or int(ids.max()) >= vocabulary:
        raise UserError(f"Token ids must be whole numbers from 0 to {vocabulary - 1}; use this model's own tokenizer.")


def reader(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function from ids, int64 [n, L], to logits [n, L, V], on modules of its own."""
    device = execution_device(model)
    own = skeleton(model)  # some families keep state of a pass in their modules, and others may be using this model
    return lambda ids: own(input_ids=ids.to(device), use_cache=False).logits


def compare(dense: Tensor, pruned: Tensor, came: Tensor, top: int) -> Predictions:
    """Compares two models' predictions, a chunk of tokens at a time so that little memory is needed.

    Args:
        dense, pruned: logits [T, V] of any floating dtype; -inf rules a token out.
        came: int64 [T], the tokens that came.
        top: k; at most V are listed.

    Raises:
        UserError: different vocabularies, predictions that are no numbers, a divergence that is infinite.
    """
    if dense.shape != pruned.shape:
        raise UserError(
            f"The models' vocabularies have {dense.shape[-1]} and {pruned.shape[-1]} tokens; "
            "only models with the same tokens can be compared."
        )
    rows = max(1, CHUNK // dense.shape[-1])
    chunks = zip(dense.split(rows), pruned.split(rows), came.split(rows), strict=True)
    parts = [_compare(p.float(), q.to(p.device).float(), ids.to(p.device), top) for p, q, ids in chunks]
    names = [field.name for field in fields(Predictions)]
    whole = Predictions(*(torch.cat([getattr(part, name) for part in parts]).cpu() for name in names))
    _check(whole)
    return whole


def _compare(dense: Tensor, pruned: Tensor, came: Tensor, top: int) -> Predictions:
    """``dense``, ``pruned``: logits, float32 [T, V]."""
    log_p, log_q = dense.log_softmax(-1), pruned.log_softmax(-1)
    dense_top, pruned_top = _likeliest(dense, top), _likeliest(pruned, top)
    return Predictions(
        kl=_kl(log_p, log_q),
        dense=log_p.gather(-1, came[:, None])[:, 0],
        pruned=log_q.gather(-1, came[:, None])[:, 0],
        dense_top=dense_top,
        pruned_top=pruned_top,
        dense_top_log_p=log_p.gather(-1, dense_top),
        pruned_top_log_p=log_q.gather(-1, pruned_top),
    )


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) in nats, float64 [T].

    q and p both sum to 1, so that q - p adds nothing to it but takes off what float32 got wrong of these sums: with it
    each term is at least 0, and a small shift of all of log q, its rounded normalisation, cancels.
    """
    p = log_p.exp()
    terms = torch.where(p > 0, p * (log_p - log_q), 0.0)  # a token that p rules out contributes none
    return terms.add_(log_q.exp()).sub_(p).sum(-1, dtype=torch.float64)


def _likeliest(logits: Tensor, k: int) -> Tensor:
    """int64 [T, k], the likeliest first, the lower id on ties: half precision has many, and topk leaves them open."""
    vocabulary = logits.shape[-1]
    k = min(k, vocabulary)
    values, ids = logits.topk(min(k + 1, vocabulary))
    for row in (values[:, k - 1] == values[:, -1]).nonzero().flatten().tolist() if k < vocabulary else ():
        tied = (logits[row] >= values[row, -1]).nonzero().flatten()  # ids in ascending order
        ids[row, :k] = tied[logits[row, tied].sort(dim=-1, descending=True, stable=True).indices[:k]]
    ids = ids[:, :k].sort(-1).values
    order = logits.gather(-1, ids).sort(dim=-1, descending=True, stable=True).indices
    return ids.gather(-1, order)


def _check(predictions: Predictions) -> None:
    for name in ("dense", "pruned"):
        if getattr(predictions, name).isnan().any():
            raise UserError(f"The {name} model's predictions are not finite numbers, so they cannot be compared.")
    if not predictions.kl.isfinite().all():
        raise UserError(
            "The pruned model rules out tokens that the dense model finds possible, so the divergence is infinite; "
            "choose a lower sparsity or load the model in float32."
        )


def agreement(a: Sequence[int], b: Sequence[int]) -> float:
    """Share of equal tokens from the first differing one on, as far as both sequences go; 1.0 if they never differ."""
    first = first_difference(a, b)
    if first is None:
        return 1.0
    return statistics.fmean(x == y for x, y in zip(a[first:], b[first:], strict=False))
