"""One model at a time is built in this process.

While transformers builds or loads a model it replaces ``PreTrainedModel.tie_weights`` and torch's default dtype for the
whole process, and puts back what it found. Two threads that overlap can find each other's replacement and leave it in
place for good: models whose head is random, tensors of the wrong precision. Whoever calls ``from_pretrained`` or
``from_config`` holds this lock.
"""

from __future__ import annotations

import threading

BUILDING = threading.RLock()
