"""One model at a time is built in this process, and none of endless parts.

While transformers builds or loads a model it replaces ``PreTrainedModel.tie_weights`` and torch's default dtype for the
whole process, and puts back what it found. Two threads that overlap can find each other's replacement and leave it in
place for good: models whose head is random, tensors of the wrong precision. Whoever calls ``from_pretrained`` or
``from_config`` holds this lock.

A configuration that asks for a billion layers would hold it for good, and fill the memory: tensors on the meta device
cost nothing, but modules do. So they are counted while it is held.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from neuroal.errors import UserError

# Modules of one model; 61 blocks with 256 experts of three linears each have about 60,000. Making so many takes 10 s.
MOST_MODULES = 100_000


class Building:
    """The lock, to be held with ``with``; the thread that holds it may take it again.

    Args:
        most: modules that may be made while it is held.

    Attributes:
        lock: the lock itself, for who must be alone without building.

    Raises:
        UserError: from within, where more are made.
    """

    def __init__(self, most: int = MOST_MODULES) -> None:
        self.most = most
        self.lock = threading.RLock()
        self._depth, self._made, self._owner = 0, 0, 0
        self._hook: Any = None

    def __enter__(self) -> None:
        self.lock.acquire()
        self._depth += 1
        if self._depth == 1:
            self._made, self._owner = 0, threading.get_ident()
            from torch.nn.modules.module import register_module_module_registration_hook  # heavy, and not needed before

            self._hook = register_module_module_registration_hook(self._count)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._hook.remove()
        self.lock.release()

    def _count(self, *_: Any) -> None:
        """torch calls this for every thread's modules; those of others are none of ours."""
        if threading.get_ident() != self._owner:
            return
        self._made += 1
        if self._made > self.most:
            raise UserError(
                f"The config.json of this model asks for more than {self.most:,} parts, which no model has; "
                "choose another model."
            )


BUILDING = Building()
