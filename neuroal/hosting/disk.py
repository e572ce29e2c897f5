"""The disk that a host gives to the app: how much is used, and what goes first when it is more than is allowed.

Counted are the data folder and the cache of the Hub. Models that nobody has used for an hour go first, for they can be
fetched again; then what is kept of the oldest runs beside their logs: pruned models, what was looked into, exports.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from neuroal.errors import UserError
from neuroal.export.shelf import MOST_BYTES
from neuroal.hosting.profile import Profile

logger = logging.getLogger(__name__)

# Seconds for which a measured size is believed, and for which a model must have been left alone.
BELIEVED, UNUSED = 60, 3600

# Of the disk of a host, for exports.
EXPORTS_SHARE = 1 / 3


class Disk:
    """What a profile allows, in bytes; without a limit nothing is measured.

    Args:
        folder: of the data.
    """

    def __init__(self, profile: Profile, folder: Path) -> None:
        self.profile, self.folder = profile, folder
        self.most = None if profile.disk_gb is None else round(profile.disk_gb * 10**9)
        self._measured, self._at = 0, float("-inf")
        self._lock = threading.Lock()

    @property
    def for_exports(self) -> int:
        """Bytes of exports that may be kept."""
        return MOST_BYTES if self.most is None else min(MOST_BYTES, round(EXPORTS_SHARE * self.most))

    def refuse(self, make_room: Callable[[], None]) -> None:
        """Refuses new work while there is no room, and calls for some.

        Raises:
            UserError: the disk is full.
        """
        if self.most is None or self._used() <= self.most:
            return
        make_room()
        more = f", or {self.profile.more}" if self.profile.more else ""
        raise UserError(
            f"The {self.profile.disk_gb:g} GB of disk that {self.profile.where} allows are full, and what is oldest is "
            f"being removed; try again in a few minutes{more}."
        )

    def make_room(self, runs: Iterable[str], forget: Callable[[str], None]) -> Iterator[None]:
        """Removes one thing after another until what is left is allowed, each with a step of this generator.

        Args:
            runs: ids, oldest first.
            forget: removes what is kept of a run outside the store.
        """
        if self.most is None or self._used(fresh=True) <= self.most:
            return
        for _ in self._removals(runs, forget):
            yield
            if self._used(fresh=True) <= self.most:
                return
        logger.warning("The disk of the app is full, and there is nothing left to remove")

    def _removals(self, runs: Iterable[str], forget: Callable[[str], None]) -> Iterator[None]:
        for remove in _unused_models():
            remove()
            yield
        for run_id in runs:
            forget(run_id)
            yield

    def _used(self, fresh: bool = False) -> int:
        with self._lock:
            if fresh or time.monotonic() - self._at > BELIEVED:
                inside = hub_cache().absolute().is_relative_to(self.folder.absolute())
                self._measured = size(self.folder) + (0 if inside else size(hub_cache()))
                self._at = time.monotonic()
            return self._measured


def hub_cache() -> Path:
    """Where models of the Hub are kept."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def size(folder: Path) -> int:
    """Bytes of the files in a folder; a link counts as itself, not as what it leads to."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(at, name))
            except OSError:  # gone meanwhile
                continue
            total += found.st_size
    return total


def _unused_models() -> Iterator[Callable[[], object]]:
    """What removes a model of the Hub's cache, the one used longest ago first."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        cache = scan_cache_dir(hub_cache())
    except (CacheNotFound, OSError):
        return
    for repo in sorted(cache.repos, key=lambda repo: _used_at(repo)):
        if time.time() - _used_at(repo) > UNUSED:
            yield cache.delete_revisions(*(revision.commit_hash for revision in repo.revisions)).execute


def _used_at(repo: object) -> float:
    return max(repo.last_accessed, repo.last_modified)  # type: ignore[attr-defined]
