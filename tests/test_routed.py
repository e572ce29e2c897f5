"""Linears that a router chooses token by token: one may be called in one pass and not in the next."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import neuroal


class _Block(nn.Module):
    """A linear, then for each token one of four experts."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.router = nn.Parameter(torch.randn(4, 8))
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 8)) for _ in range(4))

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.first(hidden).tanh()
        chosen, out = (hidden @ self.router.t()).argmax(-1), torch.zeros_like(hidden)
        for e, expert in enumerate(self.experts):
            if (mine := chosen == e).any():
                out[mine] = expert(hidden[mine])
        return hidden + out


class _Routed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.config, self.embed = SimpleNamespace(), nn.Embedding(64, 8)
        self.blocks = nn.ModuleList(_Block() for _ in range(3))

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embed

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Tensor:
        x = self.embed(input_ids)
        for block in self.blocks:
            x = block(x)
        return x


@pytest.mark.parametrize("reconstruct", [False, True])
@pytest.mark.parametrize("top_up", ["neuroal", "owl", "uniform"])
@pytest.mark.parametrize("pruner", ["wanda", "sparsegpt", "alps", "magnitude"])
@pytest.mark.parametrize("length", [2, 4, 8])
def test_an_expert_that_no_token_reaches_stays_dense(pruner: str, top_up: str, reconstruct: bool, length: int) -> None:
    """With 2 to 8 tokens the pruned block sends them elsewhere than the dense one did."""
    model = _Routed().eval().requires_grad_(False)
    tokens = torch.randint(0, 64, (1, length), generator=torch.Generator().manual_seed(0))
    settings = {"reconstruct": reconstruct, "continuations": 0, "sparsity": 0.8, "pruner": pruner, "top_up": top_up}
    report = neuroal.prune(model, tokens, neuroal.allocate(model, tokens, **settings))
    assert all(share == 0 or share > 0.5 for share in report.achieved.values())
    assert torch.isfinite(model(tokens)).all()
