"""What one hook gathers from the input of a linear, sequence by sequence, always in float32.

With ``N`` sequences ``X^(n)`` of shape [T, in]. Running means take the sequences one by one, in order, so that a result
does not depend on how they were batched.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor


class InputNorm:
    """The activation norm of each input feature: the root of the mean over sequences of the sum over tokens of x².

    ``norm_j = sqrt(1/N Σ_n Σ_t (X^(n)_tj)²)``; not divided by T.
    Source: Wanda (arXiv 2306.11695), as used by NeuroAL (arXiv 2411.07066).
    """

    def __init__(self) -> None:
        self.sequences = 0
        self._mean_square: Tensor | None = None
        self._norm: Tensor | None = None

    def update(self, inputs: Tensor) -> None:
        """Takes in a batch of sequences, [batch, tokens, in]; [tokens, in] counts as one sequence."""
        self._norm = None
        squares = column_norms(as_sequences(inputs).float()).square_()  # [batch, in]
        if squares.device.type == "cpu":
            self._take_each(squares.numpy())
        else:
            self._take(squares)

    def _take_each(self, squares: np.ndarray) -> None:
        """One by one, so that the last bits do not depend on how sequences were batched. By numpy: its steps are as
        small as these vectors, a tenth of a search on the tiny model is gone with torch's."""
        mean = None if self._mean_square is None else self._mean_square.numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # whoever prunes says what is not finite
            for square in squares:
                n = self.sequences = self.sequences + 1
                square = square * self.weight(n)
                if mean is None:
                    mean = square
                    continue
                mean *= (n - 1) / n
                mean += square / n
        self._mean_square = None if mean is None else torch.from_numpy(mean)

    def _take(self, squares: Tensor) -> None:
        """The same mean, a batch at a time: few steps, where each is a launch."""
        count, before = squares.shape[0], self.sequences
        weights = [self.weight(n) / (before + count) for n in range(before + 1, before + count + 1)]
        share = torch.tensor(weights, dtype=squares.dtype).to(squares.device, non_blocking=True) @ squares
        if self._mean_square is not None:
            share = share + self._mean_square * (before / (before + count))
        self._mean_square, self.sequences = share, before + count

    def weight(self, n: int) -> float:
        """Weight of the n-th sequence (from 1) in the mean."""
        return 1.0

    @property
    def norm(self) -> Tensor:
        """Activation norms, float32 [in].

        Raises:
            RuntimeError: nothing was gathered: the linear was never called.
        """
        if self._mean_square is None:
            raise RuntimeError("No input reached this linear, so it has no activation norm.")
        if self._norm is None:  # asked for part by part, by threads that should not start MKL's for a root
            self._norm = self._mean_square.sqrt()
        return self._norm


class FadingNorm(InputNorm):
    """The norm as the reference's SparseGPT keeps it: the n-th sequence weighs 2/n, so the early ones dominate."""

    def weight(self, n: int) -> float:
        """2/n."""
        return 2.0 / n


class Gram:
    """``gram = (2/N) Σ_n X^(n)ᵀ X^(n)``, float32 [in, in]: the Hessian of the layer-wise squared error (SparseGPT)."""

    def __init__(self) -> None:
        self.sequences = 0
        self.gram: Tensor | None = None

    def update(self, inputs: Tensor) -> None:
        """Takes in a batch of sequences, [batch, tokens, in]. One by one and scaled before the product, as the original
        does: in the last bits of this sum a weight at SparseGPT's threshold is decided, and all that follow it."""
        for x in as_sequences(inputs).float():
            self.sequences += 1
            if self.gram is None:
                self.gram = x.new_zeros(x.shape[1], x.shape[1])
            x = math.sqrt(2 / self.sequences) * x.t()
            self.gram.mul_((self.sequences - 1) / self.sequences).add_(x @ x.t())


class Moments:
    """Mean and variance of each input feature, as DSnoT (arXiv 2310.08915) uses them; float32 [in].

    ``mean_j = 1/N Σ_n Σ_t X^(n)_tj`` (a sum over tokens), and ``variance`` the mean of the variances *within* each
    sequence, weighted by tokens. The reference leaves out what differs between sequences; ``PooledMoments`` does not.
    """

    def __init__(self) -> None:
        self.sequences = 0
        self.tokens = 0
        self.mean: Tensor | None = None
        self.variance: Tensor | None = None

    def update(self, inputs: Tensor) -> None:
        """Takes in a batch of sequences, [batch, tokens, in]."""
        for x in as_sequences(inputs).float():
            count = x.shape[0]
            total, variance = x.sum(0), torch.var(x, dim=0, unbiased=False)
            if self.mean is None or self.variance is None:
                self.mean, self.variance = total, variance
            else:
                n, tokens = self.sequences, self.tokens
                self.mean = self.mean * (n / (n + 1)) + total / (n + 1)
                self.variance = self._merged(x, variance, tokens)
            self.sequences, self.tokens = self.sequences + 1, self.tokens + count

    def _merged(self, x: Tensor, variance: Tensor, tokens: int) -> Tensor:
        """The variance with one more sequence taken in."""
        count = x.shape[0]
        return (self.variance * tokens + variance * count) / (tokens + count)


class PooledMoments(Moments):
    """Moments whose variance is that of all tokens together."""

    def __init__(self) -> None:
        super().__init__()
        self._centre: Tensor | None = None

    def update(self, inputs: Tensor) -> None:
        """Takes in a batch of sequences, [batch, tokens, in]."""
        if self._centre is None:
            self._centre = as_sequences(inputs)[0].float().mean(0)
        super().update(inputs)

    def _merged(self, x: Tensor, variance: Tensor, tokens: int) -> Tensor:
        """Chan's rule for joining two samples: no cancellation, whatever the mean."""
        count = x.shape[0]
        shift = x.mean(0) - self._centre
        between = shift.square() * (tokens * count / (tokens + count))
        self._centre = self._centre + shift * (count / (tokens + count))
        return (self.variance * tokens + variance * count + between) / (tokens + count)


class Gathered:
    """Several statistics of one input behind one ``update``; what they offer is found by its name."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def update(self, inputs: Tensor) -> None:
        """Hands a batch, [batch, tokens, in], to every part."""
        for part in self.parts:
            part.update(inputs)

    def __getattr__(self, name: str) -> Any:
        if name != "parts":
            for part in self.parts:
                if hasattr(part, name):
                    return getattr(part, name)
        raise AttributeError(name)


def column_norms(inputs: Tensor) -> Tensor:
    """The norm over tokens of each feature of each sequence, ``torch.linalg.vector_norm(inputs, dim=1)``.

    On a CPU numpy adds up the squares: in the same order and to the same bits as torch (2.13; 2.6 had another order),
    whose kernel for this reduction is not vectorised (0.2 against 4.3 ms for [8, 128, 1536]).

    Args:
        inputs: float32 [batch, tokens, in].

    Returns:
        float32 [batch, in].
    """
    if inputs.device.type != "cpu":
        return torch.linalg.vector_norm(inputs, dim=1)
    values = np.ascontiguousarray(inputs.detach().numpy())
    return torch.from_numpy(np.sqrt(np.einsum("btd,btd->bd", values, values)))


def as_sequences(inputs: Tensor) -> Tensor:
    """[batch, tokens, in]; what arrives as [tokens, in] (a layer that works on loose tokens) is one sequence."""
    return inputs.unsqueeze(0) if inputs.dim() == 2 else inputs
