"""A registry is a dict and a decorator: one file per method, found by the form, the engine and the tests alike."""

from __future__ import annotations

from typing import Generic, TypeVar

from neuroal.errors import UserError, did_you_mean

Entry = TypeVar("Entry", bound=type)


class Registry(Generic[Entry]):
    """Named classes that carry ``name`` and ``label``; iteration order is the order of registration."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self._entries: dict[str, Entry] = {}

    def register(self, entry: Entry) -> Entry:
        """Class decorator."""
        self._entries[entry.name] = entry
        return entry

    def get(self, name: str) -> Entry:
        """The class of that name.

        Raises:
            UserError: no such name; the near miss and all names are listed.
        """
        if name not in self._entries:
            raise UserError(f"{self.noun} {name!r} is not known.{did_you_mean(str(name), self._entries)}")
        return self._entries[name]

    @property
    def labels(self) -> dict[str, str]:
        """Name to label, for a form's choices."""
        return {name: entry.label for name, entry in self._entries.items()}
