"""Whether an event that somebody else wrote has the shape that its class declares.

An event of ours always has. One from outside could hold text where a number belongs, or a block number so large that
whoever makes room for it runs out of memory.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from typing import Any, Union

from neuroal.runs.events import Event

# Fields that someone makes room for: places in a list.
PLACES = ("block", "blocks", "index", "start", "total", "done", "position")
MOST = 100_000

# Numbers that both Python and a browser hold exactly.
LARGEST = 2**53


def well_formed(event: Event) -> bool:
    """Whether every field has its declared type, at any depth, and places are not absurd."""
    hints = _hints(type(event))
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if not fits(value, hints[field.name]):
            return False
        if field.name in PLACES and not 0 <= value <= MOST:
            return False
    return True


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON is of the type that a hint describes; a whole number is a float too, a bool neither."""
    if hint is Any:
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is tuple:
        return isinstance(value, (tuple, list)) and _fit_items(value, arguments)
    if origin is dict:
        key, item = arguments
        return isinstance(value, dict) and all(fits(k, key) and fits(v, item) for k, v in value.items())
    if hint is float:
        return isinstance(value, float) or fits(value, int)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    if hint is type(None):
        return value is None
    return isinstance(value, hint)


def _fit_items(values: Any, hints: tuple[Any, ...]) -> bool:
    if len(hints) == 2 and hints[1] is ...:
        return all(fits(value, hints[0]) for value in values)
    if hints == ((),) or not hints:
        return not values
    return len(values) == len(hints) and all(map(fits, values, hints))


@functools.cache
def _hints(kind: type[Event]) -> dict[str, Any]:
    return typing.get_type_hints(kind)
