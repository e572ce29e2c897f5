"""How fast one address may call: whoever calls without end waits, and the server is there for everybody else."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from components.refusals import refusal
from components.visitors import stranger

# Calls that an address may make at once: a class of forty that opens the page together makes ten each. Then so many in
# a second, of which each costs the server about a hundredth of one.
BURST, RATE = 400.0, 10.0

# Seconds that a call is held back at most; with more than that it is refused.
LONGEST = 10.0

# Addresses that are remembered; the ones heard of longest ago go first.
MOST = 10_000

TOO_FAST = "Calls come from your address faster than {rate:.0f} in a second, which is what one may; wait {seconds} s."

# Where Gradio takes in what its pages, clients and tools ask for.
CALLS = ("/gradio_api/queue/join", "/gradio_api/call/", "/gradio_api/run/", "/gradio_api/api/", "/gradio_api/mcp")


class Bucket:
    """How far each address is ahead of its pace.

    Args:
        burst: calls ahead that cost no waiting.
        rate: calls in a second.
        clock: seconds that never go back.
    """

    def __init__(self, burst: float = BURST, rate: float = RATE, clock: Callable[[], float] = time.monotonic) -> None:
        self.burst, self.rate, self._clock = burst, rate, clock
        self._ahead: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """Notes a call; seconds that it has to wait. With more than ``LONGEST`` it is not noted.

        Args:
            who: an address; empty for the machine itself, which may call as fast as it likes.
        """
        if not who:
            return 0.0
        now = self._clock()
        ahead, then = self._ahead.get(who, (0.0, now))
        ahead = max(0.0, ahead - (now - then) * self.rate)
        wait = max(0.0, ahead + 1 - self.burst) / self.rate
        self._ahead[who] = (ahead if wait > LONGEST else ahead + 1, now)
        self._ahead.move_to_end(who)
        while len(self._ahead) > MOST:
            self._ahead.popitem(last=False)
        return wait


class Paced:
    """Holds calls back that come faster than they may, and refuses (429) what would have to wait too long."""

    def __init__(self, app: ASGIApp, bucket: Bucket | None = None) -> None:
        self.app, self.bucket = app, bucket or Bucket()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and _is_call(scope["path"]):
            wait = self.bucket.take(stranger(Request(scope)))
            if wait > LONGEST:
                seconds = math.ceil(wait - LONGEST)
                answer = refusal(TOO_FAST.format(rate=self.bucket.rate, seconds=seconds), 429)
                answer.headers["Retry-After"] = str(seconds)
                await answer(scope, receive, send)
                return
            if wait:
                await asyncio.sleep(wait)
        await self.app(scope, receive, send)


def _is_call(path: str) -> bool:
    return any(part in path for part in CALLS)
