"""Importing what is heavy, once, and by one thread at a time.

The page is up before torch and transformers are. Several threads may then want them at the same moment, and
transformers' lazy modules do not survive that: an import in one thread sees the half-made module of another.
"""

from __future__ import annotations

import importlib
import threading

_LOCK = threading.RLock()
_HEAVY = ("neuroal.runs.run", "neuroal.runs.estimate", "neuroal.runs.masks_file", "neuroal.generation")


def import_engine() -> None:
    """Returns when everything that needs torch has been imported; takes seconds once and nothing afterwards.

    The machine's speed is measured here too, while nobody computes yet.
    """
    with _LOCK:
        for name in _HEAVY:
            importlib.import_module(name)
        importlib.import_module("neuroal.runs.estimate").machine_speed()
