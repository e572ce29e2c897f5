"""A registry is a dict and a decorator: one file per method, found by the form, the engine and the tests alike."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Generic, TypeVar

from neuroal.errors import UserError, did_you_mean

Entry = TypeVar("Entry", bound=type)


class Registry(Generic[Entry]):
    """Named classes that carry ``name``, ``label`` and ``rank``; listed by rank, then by name."""

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
        if not isinstance(name, str) or name not in self._entries:
            raise UserError(f"{self.noun} {name!r} is not known.{did_you_mean(str(name), self.labels)}")
        return self._entries[name]

    @property
    def entries(self) -> list[Entry]:
        """All classes, in the order in which they are shown."""
        return sorted(self._entries.values(), key=lambda entry: (entry.rank, entry.name))

    @property
    def labels(self) -> dict[str, str]:
        """Name to label, for a form's choices."""
        return {entry.name: entry.label for entry in self.entries}


def import_all(package: str, path: Iterable[str]) -> None:
    """Imports every module of a package, so that its classes register themselves: a new method is a new file."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
