"""Wrong passwords are counted by address, and whoever has had several in a row has to wait: longer each time."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.refusals import refusal

# Attempts that cost nothing, and seconds to wait after the next ones: 2, 4, 8 ... A minute slows a guesser enough, and
# does not shut out for long who shares an address with one.
FREE, FIRST, LONGEST = 5, 2.0, 60.0

# Addresses that are remembered; the ones heard of longest ago go first.
MOST = 10_000

# Bits of an address of IPv6 that one household or one rented machine has to itself.
HOUSEHOLD = 64

WAIT = "Too many wrong passwords came from here; try again in {seconds} seconds."


@dataclass
class _Tries:
    count: int = 0
    until: float = 0.0


class Attempts:
    """How often who was wrong.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def begin(self, address: str) -> float:
        """Counts an attempt before it is known to be wrong, so that a hundred at once are no way round.

        Returns:
            seconds to wait; then nothing is counted. 0 where it may go on.
        """
        with self._lock:
            tries = self._tries.setdefault(_household(address), _Tries())
            self._tries.move_to_end(_household(address))
            while len(self._tries) > MOST:
                self._tries.popitem(last=False)
            now = self._clock()
            if tries.until > now:
                return tries.until - now
            tries.count += 1
            if tries.count >= FREE:
                tries.until = now + min(LONGEST, FIRST * 2.0 ** min(tries.count - FREE, 20))
            return 0.0

    def was_right(self, address: str) -> None:
        """Begins anew with this address."""
        with self._lock:
            self._tries.pop(_household(address), None)


def _household(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, HOUSEHOLD), strict=False)) if found.version == 6 else address


class SlowLogin:
    """Makes whoever guesses passwords wait (429), at the login of Gradio.

    Args:
        attempts: shared with whatever else takes passwords.
    """

    def __init__(self, app: ASGIApp, attempts: Attempts) -> None:
        self.app, self.attempts = app, attempts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_login = (
            scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/login")
        )
        if not is_login:
            await self.app(scope, receive, send)
            return
        address = (scope.get("client") or ("",))[0]
        if seconds := self.attempts.begin(address):
            await waiting(seconds)(scope, receive, send)
            return

        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self.attempts.was_right(address)
            await send(message)

        await self.app(scope, receive, seen)


def waiting(seconds: float) -> ASGIApp:
    """The answer to whoever has to wait."""
    whole = int(seconds) + 1
    answer = refusal(WAIT.format(seconds=whole), 429)
    answer.headers["Retry-After"] = str(whole)
    return answer
