"""The models of the server in the object store of the cluster: each is put there once, for all runs and nodes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from neuroal.cluster.packed import pack
from neuroal.residence import is_offloaded

if TYPE_CHECKING:
    from neuroal.cluster.connection import Connection
    from neuroal.models.loading import LanguageModel

# Models kept there; one that is let go stays while a worker has it.
KEPT = 2


class Weights:
    """References to packed models. Safe to use from several threads."""

    def __init__(self) -> None:
        self._put: OrderedDict[tuple[int, int], tuple[LanguageModel, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def reference(self, lm: LanguageModel, connection: Connection) -> Any:
        """Of a model that is all in memory; None for others, which each worker has to load itself."""
        import ray

        if is_offloaded(lm.model):
            return None
        key = (connection.session, id(lm))  # what was put is gone with its connection
        with self._lock:
            if key not in self._put:
                self._put[key] = (lm, ray.put(pack(lm)))  # lm is kept, so that no other gets its id
            self._put.move_to_end(key)
            while len(self._put) > KEPT:
                self._put.popitem(last=False)
            return self._put[key][1]
