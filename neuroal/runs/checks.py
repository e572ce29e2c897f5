"""Checks of a spec's values: one clear sentence each, saying what is wrong and what is allowed."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Collection, Sequence
from typing import Any

from neuroal.errors import UserError, did_you_mean

# Lambdas of an own grid; each costs a pass over the model.
MOST_LAMBDAS = 100

# Bytes of a person's own text.
TEXT_BYTES = 2_000_000

# Blocks of a model that a person gives ratios for.
MOST_BLOCKS = 1000

# Exclusions, and letters of one: each is matched with every linear of a model.
MOST_GLOBS, GLOB_LETTERS = 100, 200


def check_field(f: dataclasses.Field[Any], value: Any) -> None:
    """Type, then choices or range; one sentence each."""
    label, meta = f.metadata["label"], f.metadata
    if value is None and f.default is None:
        return
    if "choices" in meta:
        if not isinstance(value, str) or value not in meta["choices"]:
            raise UserError(f"{label} {reprlib.repr(value)} is not known.{did_you_mean(str(value), meta['choices'])}")
    elif isinstance(f.default, bool):
        if not isinstance(value, bool):
            raise UserError(f"{label} is {reprlib.repr(value)}; it must be true or false.")
    elif "minimum" in meta:
        whole = isinstance(f.default, int) or f.default is None
        good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not good or not meta["minimum"] <= value <= meta["maximum"]:  # NaN is in no range
            kind = "a whole number" if whole else "a number"
            limits = f"{kind} from {meta['minimum']} to {meta['maximum']}"
            raise UserError(f"{label} is {reprlib.repr(value)}; it must be {limits}.")
    elif str(f.type).startswith("str"):
        _check_text(label, value)
        if "longest" in meta:
            _check_name(label, value, meta["longest"])


def _check_text(label: str, value: Any) -> None:
    """Text that can be encoded: a stray half of a surrogate pair would fail much later, in the tokenizer."""
    if not isinstance(value, str):
        raise UserError(f"{label} must be text, not {type(value).__name__}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{label} holds characters that are not valid Unicode; save it as UTF-8 and try again."
        ) from error


def _check_name(label: str, value: str, longest: int) -> None:
    """One line, which may stand in a log, in a terminal and in the name of a file's folder."""
    if len(value) > longest or not value.strip().isprintable():
        raise UserError(
            f"{label} is {reprlib.repr(value)}; it must be one line of at most {longest} letters, without control "
            "characters."
        )


def checked_lambdas(lambdas: Collection[float]) -> tuple[float, ...]:
    """A non-empty grid of finite values in 0..1, as floats, each once."""
    good = isinstance(lambdas, Collection) and 0 < len(lambdas) <= MOST_LAMBDAS
    if not good or not all(_is_share(x) for x in lambdas):
        raise UserError(f"Lambdas must be one to {MOST_LAMBDAS} numbers from 0 to 1, such as 0.02, 0.05, 0.1.")
    return tuple(dict.fromkeys(float(x) for x in lambdas))


def checked_globs(globs: Collection[str]) -> tuple[str, ...]:
    """Texts without blanks around them, each once; a single text counts as one."""
    given = (globs,) if isinstance(globs, str) else globs
    if not isinstance(given, Collection) or not all(isinstance(g, str) for g in given):
        raise UserError("Exclusions must be a list of globs, such as *.down_proj or model.layers.0.")
    found = tuple(dict.fromkeys(g.strip() for g in given if g.strip()))
    if len(found) > MOST_GLOBS or any(len(g) > GLOB_LETTERS or not g.isprintable() for g in found):
        raise UserError(
            f"Exclusions can be {MOST_GLOBS} globs of {GLOB_LETTERS} letters at most, without control characters; "
            "name fewer, or shorter."
        )
    return found


def checked_ratios(ratios: Collection[float] | None) -> tuple[float, ...] | None:
    """Finite values of 0 to below 1, as floats."""
    if ratios is None:
        return None
    good = isinstance(ratios, Collection) and 0 < len(ratios) <= MOST_BLOCKS
    if not good or not all(_is_share(x) and x < 1 for x in ratios) or not any(ratios):
        raise UserError(
            "Your ratios must be numbers from 0 to below 1, one per block and not all 0, such as 0.5, 0.6, 0.7."
        )
    return tuple(float(x) for x in ratios)


def _is_share(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x <= 1


def checked_names(noun: str, names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Known names, each once; none at all is allowed."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise UserError(f"{noun}s must be a list of names; known: {', '.join(known)}.")
    for name in names:
        if name not in known:
            raise UserError(f"{noun} {reprlib.repr(name)} is not known.{did_you_mean(str(name), known)}")
    return tuple(dict.fromkeys(names))
