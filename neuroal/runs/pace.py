"""How often one person asks: whoever does it without end has to wait, or comes last, and the others notice nothing."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from neuroal.errors import UserError

# People whose last requests are remembered; more within a minute are an attack, and the oldest are forgotten.
REMEMBERED = 10_000


class Pace:
    """At most so many within so many seconds, for each person.

    Args:
        most: requests within ``seconds``; a class behind one address shares them.
        clock: seconds that never go back.
    """

    def __init__(self, most: int = 60, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.seconds, self._clock = most, seconds, clock
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, who: str) -> None:
        """Notes a request.

        Args:
            who: asks; empty for the owner of the machine, who may ask as often as he likes.

        Raises:
            UserError: they have asked too often; it says when they may ask again.
        """
        if not who:
            return
        with self._lock:
            now = self._clock()
            asked = self._lately(who, now)
            if len(asked) >= self.most:
                wait = math.ceil(asked[0] + self.seconds - now)
                raise UserError(
                    f"You have asked for {self.most} runs within {self.seconds:.0f} seconds, as many as one may;"
                    f" wait {wait} s, then ask again."
                )
            asked.append(now)

    def is_fast(self, who: str) -> bool:
        """Notes a request that is not refused; whether it is more than the person may."""
        if not who:
            return False
        with self._lock:
            now = self._clock()
            asked = self._lately(who, now)
            if len(asked) == self.most:
                asked.popleft()
                asked.append(now)
                return True
            asked.append(now)
            return False

    def _lately(self, who: str, now: float) -> deque[float]:
        """When they asked, as far as it counts."""
        asked = self._asked.setdefault(who, deque())
        self._asked.move_to_end(who)
        while asked and asked[0] <= now - self.seconds:
            asked.popleft()
        while len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return asked
