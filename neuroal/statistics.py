"""What one hook gathers from the input of a linear, sequence by sequence, always in float32."""

from __future__ import annotations

import torch
from torch import Tensor


class InputNorm:
    """The activation norm of each input feature: the root of the mean over sequences of the sum over tokens of x².

    With ``N`` sequences ``X^(n)`` of shape [T, in]:  ``norm_j = sqrt(1/N Σ_n Σ_t (X^(n)_tj)²)``; not divided by T.
    Source: Wanda (arXiv 2306.11695), as used by NeuroAL (arXiv 2411.07066). The running mean takes the sequences one by
    one, in order, so that the result does not depend on how they were batched.
    """

    def __init__(self) -> None:
        self.sequences = 0
        self._mean_square: Tensor | None = None

    def update(self, inputs: Tensor) -> None:
        """Takes in a batch of sequences, [batch, tokens, in]; [tokens, in] counts as one sequence."""
        if inputs.dim() == 2:
            inputs = inputs.unsqueeze(0)
        squares = torch.linalg.vector_norm(inputs.float(), dim=1).square()  # [batch, in]
        for square in squares:
            self.sequences += 1
            if self._mean_square is None:
                self._mean_square = square.clone()
                continue
            self._mean_square.mul_((self.sequences - 1) / self.sequences).add_(square / self.sequences)

    @property
    def norm(self) -> Tensor:
        """Activation norms, float32 [in].

        Raises:
            RuntimeError: nothing was gathered: the linear was never called.
        """
        if self._mean_square is None:
            raise RuntimeError("No input reached this linear, so it has no activation norm.")
        return self._mean_square.sqrt()
