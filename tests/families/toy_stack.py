"""A decoder that is no model of transformers, whose blocks can be made to misbehave in one way each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

WIDTH = 8


class Block(nn.Module):
    """Well-behaved: hidden states first, a tensor back."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index
        self.up = nn.Linear(WIDTH, 2 * WIDTH)
        self.down = nn.Linear(2 * WIDTH, WIDTH)

    def add(self, x: Tensor) -> Tensor:
        """x plus what the block computes, [B, T, d]."""
        return x + self.down(torch.tanh(self.up(x)))

    def forward(self, hidden: Tensor) -> Any:
        return self.add(hidden)


class Toy(nn.Module):
    """Three blocks; subclasses change how they are called."""

    block = Block

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.config = SimpleNamespace()
        self.embed = nn.Embedding(16, WIDTH)
        self.blocks = nn.ModuleList(self.block(i) for i in range(3))

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        """Calls one block and makes the next one's input of what it returns."""
        return block(x)

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Tensor:
        x, shared = self.embed(input_ids), {}
        for block in self.blocks:
            x = self.step(block, x, shared)
        return x


class Keyword(Toy):
    """Hidden states under a name of its own: fine."""

    class block(Block):
        def forward(self, *, x: Tensor, scale: float) -> tuple[Tensor]:
            return (self.add(x) * scale,)

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(x=x, scale=1.5)[0]


class SecondPosition(Toy):
    """Hidden states after something else: fine."""

    class block(Block):
        def forward(self, ids: Tensor, hidden: Tensor) -> list[Tensor]:
            return [self.add(hidden)]

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(torch.arange(3), x)[0]


class Filled(Toy):
    """Later blocks read what the first one puts into a mapping: fine, because it is put there again."""

    class block(Block):
        def forward(self, hidden: Tensor, store: dict[str, Tensor]) -> Tensor:
            if self.index == 0:
                store["first"] = self.up(hidden).mean(-1, keepdim=True)
                return self.add(hidden)
            return self.add(hidden + store["first"])

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(x, store=shared)


class OwnInputs(Toy):
    """Each block is handed a share of the embeddings: fine, but its calls depend on the tokens."""

    class block(Block):
        def forward(self, hidden: Tensor, share: Tensor) -> Tensor:
            return self.add(hidden + share)

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(x, share=shared.setdefault("embedded", x) / 2)


class Ambiguous(Toy):
    """Two keywords that look like hidden states."""

    class block(Block):
        def forward(self, *, x: Tensor, residual: Tensor) -> Tensor:
            return self.add(x + residual)

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(x=x, residual=torch.ones_like(x))


class NoStates(Toy):
    """No argument of floats at all."""

    class block(Block):
        def forward(self, *, ids: Tensor) -> Tensor:
            return self.add(torch.nn.functional.one_hot(ids, WIDTH).float())

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(ids=torch.arange(WIDTH).unsqueeze(0))


class Mapping(Toy):
    """A block that returns no hidden states."""

    class block(Block):
        def forward(self, hidden: Tensor) -> dict[str, Tensor]:
            return {"states": self.add(hidden)}

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(x)["states"]


class WrongFirst(Toy):
    """The tuple starts with something else."""

    class block(Block):
        def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
            return hidden.mean(-1), self.add(hidden)

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(x)[1]


class Between(Toy):
    """Something is added after block 1."""

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(x) + (0.01 if block.index == 1 else 0.0)


class State(Toy):
    """Block 1 reads what the model has left in it."""

    class block(Block):
        shift: Any = 0.0

        def forward(self, hidden: Tensor) -> Tensor:
            return self.add(hidden + self.shift) if self.index == 1 else self.add(hidden)

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Tensor:
        self.blocks[1].shift = input_ids[..., :1].unsqueeze(-1) / 16
        return super().forward(input_ids)


class Cleared(State):
    """The same, but the state is gone after the pass."""

    class block(Block):
        shift: Any = None

        def forward(self, hidden: Tensor) -> Tensor:
            return self.add(hidden + self.shift[-1]) if self.index == 1 else self.add(hidden)

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        x = block(x)
        if block.index == 1:
            block.shift = None
        return x


class ByProduct(Toy):
    """Later blocks are handed a tensor that the first one returned."""

    class block(Block):
        def forward(self, hidden: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
            new = self.up(hidden) if first is None else first
            return self.add(hidden + new.mean(-1, keepdim=True)), new

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        x, shared["first"] = block(x, first=shared.get("first"))
        return x


class InPlace(Toy):
    """A block that writes over its input."""

    class block(Block):
        def forward(self, hidden: Tensor) -> Tensor:
            return hidden.copy_(self.add(hidden))


class Twice(Toy):
    """One block is run twice."""

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(block(x)) if block.index == 1 else block(x)


class Skipping(Toy):
    """One block is never run."""

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return x if block.index == 1 else block(x)
