"""Loaded models, shared by all runs and all people: they are never written to, so one copy serves everyone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from neuroal.models.loading import LanguageModel, load
from neuroal.runs.shared import Shared

# Dense models kept in memory; the one used longest ago is let go first.
KEPT = 2

Key = tuple[str, "str | None", str]


class ModelPool:
    """A small cache of language models and of what was measured on them. Safe to use from several threads.

    Attributes:
        shared: figures that do not depend on what a single run chose.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self._models: OrderedDict[Key, LanguageModel] = OrderedDict()
        self.shared = Shared()
        self._lock = threading.Lock()
        self._loading: dict[Key, threading.Lock] = {}

    def get(
        self,
        name: str,
        *,
        revision: str | None = None,
        dtype: str = "auto",
        say: Callable[[str], None] = lambda _: None,
    ) -> LanguageModel:
        """The model, loaded on first use. Two callers asking for the same one wait for one load; others do not wait."""
        key = (name, revision, dtype)
        with self._lock:
            one_at_a_time = self._loading.setdefault(key, threading.Lock())
        with one_at_a_time:
            with self._lock:
                if key in self._models:
                    self._models.move_to_end(key)
                    return self._models[key]
            loaded = self.load(key, say)
            with self._lock:
                self._models[key] = loaded
                while len(self._models) > self.kept:
                    self._models.popitem(last=False)
            return loaded

    def load(self, key: Key, say: Callable[[str], None]) -> LanguageModel:
        """A model that is not here yet."""
        name, revision, dtype = key
        return load(name, revision=revision, dtype=dtype, say=say)

    def forget(self, key: Key) -> None:
        """Lets go of a model; who asks for it next gets a newly loaded one."""
        with self._lock:
            self._models.pop(key, None)

    def is_loaded(self, name: str) -> bool:
        """Whether some form of the model is in memory."""
        with self._lock:
            return any(key[0] == name for key in self._models)
