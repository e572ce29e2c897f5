"""How a decoder block is called: where its hidden states are among the arguments, and the call repeated on others.

Shapes: B sequences, T tokens, d hidden size; hidden states are [B, T, d].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn

from neuroal.errors import UserError


class Stop(Exception):
    """Ends a forward pass early, once what was wanted has been seen."""


@dataclass(frozen=True)
class Call:
    """One call of a block without its hidden states.

    Attributes:
        args, kwargs: the arguments; at ``slot`` there is None.
        slot: where the hidden states go, a position or a keyword.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    slot: int | str

    @classmethod
    def split(cls, args: tuple[Any, ...], kwargs: dict[str, Any], block: str = "A block") -> tuple[Tensor, Call]:
        """Separates the hidden states from the rest of a recorded call.

        They are the first positional tensor of floats, or the keyword ``hidden_states``, or else the only keyword that
        holds floats of the shape [B, T, d].

        Raises:
            UserError: none of these, or several keywords of that shape; they are named.
        """
        for i, value in enumerate(args):
            if _is_float(value):
                return value, cls((*args[:i], None, *args[i + 1 :]), dict(kwargs), i)
        fitting = [name for name, value in kwargs.items() if _is_float(value) and value.dim() == 3]
        if _is_float(kwargs.get("hidden_states")):
            fitting = ["hidden_states"]
        if len(fitting) != 1:
            which = f"{' and '.join(fitting)} could each be" if fitting else f"none of {_listed(kwargs)} is"
            raise UserError(
                f"{block} cannot be replayed on its own: of its arguments {which} the hidden states; "
                "choose another model."
            )
        return kwargs[fitting[0]], cls(args, {**kwargs, fitting[0]: None}, fitting[0])

    def run(self, block: nn.Module, hidden: Tensor) -> Tensor:
        """The block's output hidden states, whether it returns a tensor or a tuple that starts with them.

        Raises:
            TypeError: it returns something else.
        """
        if isinstance(self.slot, str):
            output = block(*self.args, **{**self.kwargs, self.slot: hidden})
        else:
            output = block(*self.args[: self.slot], hidden, *self.args[self.slot + 1 :], **self.kwargs)
        states = hidden_of(output)
        if states is None:
            raise TypeError(f"A block returned {type(output).__name__}, not hidden states.")
        return states

    def named(self) -> Iterator[tuple[str, Any]]:
        """(name, value) of every argument but the hidden states; positional ones are called "argument 2"."""
        for i, value in enumerate(self.args):
            if i != self.slot:
                yield f"argument {i + 1}", value
        for name, value in self.kwargs.items():
            if name != self.slot:
                yield name, value

    def sharing(self, other: Call) -> Call:
        """This call with the other's tensors wherever they hold the same, so that equal masks are kept once."""

        def shared(value: Any, theirs: Any) -> Any:
            parts = value if isinstance(value, tuple) and value else (value,)
            plain = all(isinstance(part, Tensor) for part in parts)
            return theirs if plain and same_content(value, theirs) else value

        args = (shared(*pair) for pair in zip_longest(self.args, other.args[: len(self.args)]))
        kwargs = {name: shared(value, other.kwargs.get(name)) for name, value in self.kwargs.items()}
        return replace(self, args=tuple(args), kwargs=kwargs)


@contextmanager
def passed_by(blocks: Iterable[nn.Module]) -> Iterator[None]:
    """Within it, blocks hand their hidden states on as they are: for a pass that is only to show how they are called.

    Args:
        blocks: of a skeleton, returning plain hidden states; their hooks are run as ever.
    """

    def hand_on(*args: Any, **kwargs: Any) -> Tensor:
        return Call.split(args, kwargs)[0]

    own = [(block, block.__dict__.get("forward")) for block in blocks]
    try:
        for block, _ in own:
            block.forward = hand_on
        yield
    finally:
        for block, forward in own:
            del block.forward
            if forward is not None:
                block.forward = forward


def hidden_of(output: Any) -> Tensor | None:
    """The hidden states in what a block returned: itself, or the first of a tuple or list; None if there are none."""
    first = output[0] if isinstance(output, (tuple, list)) and output else output
    return first if isinstance(first, Tensor) else None


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in an argument, also within tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors(part)


def same_content(a: Any, b: Any) -> bool:
    """Whether two arguments hold equal tensors."""
    pairs = list(tensors(a)), list(tensors(b))
    return len(pairs[0]) == len(pairs[1]) and all(
        x is y or (x.shape == y.shape and x.dtype == y.dtype and torch.equal(x, y)) for x, y in zip(*pairs, strict=True)
    )


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _listed(kwargs: dict[str, Any]) -> str:
    return ", ".join(kwargs) or "them"
