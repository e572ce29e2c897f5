"""One model of each family for all tests of a module; whoever prunes takes a copy."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from neuroal.blocks import Captured, DecoderStack
from tests.families.table import FAMILIES, VOCABULARY, Family


@dataclass(frozen=True)
class Case:
    """A family, its dense model, and the model as a stack after a capture in micro-batches of 3, 3 and 1 sequences."""

    family: Family
    model: nn.Module
    tokens: torch.Tensor
    stack: DecoderStack
    captured: Captured


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest) -> Case:
    """Tokens: int64 [7, 10]: two micro-batches of one size with other content, and a smaller one."""
    family = FAMILIES[request.param]
    model = family.build()
    tokens = torch.randint(3, VOCABULARY, (7, 10), generator=torch.Generator().manual_seed(1))
    stack = DecoderStack(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroal.blocks.MICRO_BATCH_TOKENS", 3 * tokens.shape[1])
        captured = stack.capture(tokens)
    return Case(family, model, tokens, stack, captured)
