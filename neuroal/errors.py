"""What the engine says when it refuses: one sentence a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input, or something the machine cannot do.

    The message is one plain sentence that says what is wrong, what is allowed and what to do; it is shown to the
    person as it is, so it never carries a traceback, a secret or a path of the server's.

    Example:
        >>> neuroal.RunSpec(sparsity=1.5)
        Traceback (most recent call last):
        neuroal.errors.UserError: Sparsity ratio is 1.5; it must be a number from 0.1 to 0.9.
    """


DISK_FULL = "The disk of this machine is full; free some space, then ask again or resume the run."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether main memory or that of an accelerator could not be had. A UserError has its own sentence already."""
    if isinstance(error, UserError):
        return False
    said = f"{type(error).__name__} {error}".lower().replace(" ", "")
    return isinstance(error, MemoryError) or any(sign in said for sign in _OUT_OF_MEMORY)


# What numpy, torch on each kind of device, and the system say, without blanks.
_OUT_OF_MEMORY = ("outofmemory", "allocatememory", "notenoughmemory")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The tail of an error about an unknown name: the near miss, if any, then every known name."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} Known: {', '.join(known)}."
