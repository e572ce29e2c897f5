"""Coroutines in tests: Playwright keeps an event loop going in the thread that runs the tests, so they need another."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def done(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """What it returns."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
