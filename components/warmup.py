"""While the page is already up: torch is imported, the default model is fetched and loaded, the machine is tried."""

from __future__ import annotations

import importlib
import logging
import threading
import time

from neuroal.errors import UserError
from neuroal.runs.spec import DEFAULT_MODEL
from neuroal.runs.workshop import Workshop

logger = logging.getLogger(__name__)


class Warmup:
    """Loads the default model in the background and says, at any moment, where that stands.

    Attributes:
        sentence: one plain line for the page.
        ready: nothing more will change.
    """

    def __init__(self, workshop: Workshop, model: str = DEFAULT_MODEL) -> None:
        self.workshop, self.model = workshop, model
        self.sentence = f"{self.model} is on its way: starting the engine."
        self.ready = False

    def start(self) -> None:
        """Begins, in a daemon thread."""
        threading.Thread(target=self._load, daemon=True, name="warmup").start()

    def _load(self) -> None:
        started = time.monotonic()
        try:
            lm = self.workshop.pool.get(self.model, say=self._say)
            seconds = time.monotonic() - started
            self.sentence = f"{self.model} is ready, from {lm.info.source} ({seconds:.0f} s after the start)."
            logger.info("%s", self.sentence)
        except UserError as error:
            self.sentence = str(error)
        except Exception:
            logger.exception("Loading %s failed", self.model)
            self.sentence = f"{self.model} could not be loaded; choose another model, or see the server's log."
        self.ready = True
        # The machine is tried while nobody computes yet.
        importlib.import_module("neuroal.runs.machine").try_machine()

    def _say(self, sentence: str) -> None:
        self.sentence = sentence
