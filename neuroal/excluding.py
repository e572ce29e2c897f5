"""Which linears stay dense: globs over their names, their paths and their blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from neuroal.errors import UserError

if TYPE_CHECKING:
    from neuroal.blocks import DecoderStack, Linear

# Names listed in an error before it becomes a wall of text.
MOST_LISTED = 12


def included(stack: DecoderStack, exclude: Sequence[str]) -> tuple[Linear, ...]:
    """The linears that are pruned: all but those that a glob of ``exclude`` matches.

    A glob is compared with the linear's path ("model.layers.3.mlp.up_proj"), with its name within the block
    ("mlp.up_proj"), with every module above it ("model.layers.3", "mlp"), and with the block's number ("3").

    Raises:
        UserError: a glob matches nothing (what exists is listed), or nothing is left to prune.
    """
    names = {linear: _names(b, linear) for b, linears in enumerate(stack.linears) for linear in linears}
    for glob in exclude:
        if not any(_matches(glob, known) for known in names.values()):
            raise UserError(
                f"The exclusion {glob!r} matches nothing; there are blocks 0 to {len(stack) - 1} with the linears "
                f"{_listed(stack)}, for example {next(iter(names)).path}."
            )
    kept = tuple(linear for linear, known in names.items() if not any(_matches(glob, known) for glob in exclude))
    if not kept:
        raise UserError("Every linear is excluded, so there is nothing to prune; exclude fewer of them.")
    return kept


def _names(b: int, linear: Linear) -> list[str]:
    """All that a glob may call a linear."""
    return [str(b), *_with_ancestors(linear.path), *_with_ancestors(linear.name)]


def _with_ancestors(path: str) -> Iterable[str]:
    parts = path.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _matches(glob: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for name in names)


def _listed(stack: DecoderStack) -> str:
    names = list(dict.fromkeys(linear.name for linear in stack.all_linears()))
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
