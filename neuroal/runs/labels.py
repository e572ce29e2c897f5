"""What people say of a run: its name, tags and whether it is pinned; checked, and written as the store keeps it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from neuroal.errors import UserError

# Letters of a run's name and of a tag, and tags of a run.
LONGEST_NAME, LONGEST_TAG, MOST_TAGS = 120, 40, 20


def labels(name: str | None, tags: Iterable[str] | None, pinned: bool | None) -> dict[str, Any]:
    """The columns of a run that change, by name; what is None stays.

    Raises:
        UserError: the name or a tag is too long, or there are too many tags.
    """
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = _line(name, "name", LONGEST_NAME)
    if tags is not None:
        kept = tuple(dict.fromkeys(filter(None, (_line(tag, "tag", LONGEST_TAG) for tag in tags))))
        if len(kept) > MOST_TAGS:
            raise UserError(f"A run can have {MOST_TAGS} tags; these are {len(kept)}.")
        changes["tags"] = tags_as_json(kept)
    if pinned is not None:
        changes["pinned"] = bool(pinned)
    return changes


def tags_as_json(tags: Collection[str]) -> str:
    """As they are stored. Letters stay letters, so that a search finds them."""
    return json.dumps(list(tags), ensure_ascii=False, separators=(",", ":"))


def _line(given: str, what: str, longest: int) -> str:
    """One line of what can be printed: control characters and broken ones would not survive every database."""
    line = " ".join("".join(c for c in given if c.isprintable() or c.isspace()).split())
    if len(line) > longest:
        raise UserError(f"A {what} can have {longest} letters; this one has {len(line)}.")
    return line
