"""A store whose file is damaged: it is kept aside, a new one is made, and both are said.

Nothing is repaired: half a history would look like a whole one. What is kept aside can be looked into with SQLite's own
tools (``.recover``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from neuroal.runs.database import STORE, Damaged
from neuroal.runs.instances import only_one, only_one_of
from neuroal.runs.store import Store

logger = logging.getLogger(__name__)

ASIDE = (
    "The file with the runs was damaged, so it was kept aside as {} in the data folder, and a new, empty one was made; "
    "runs from before are not listed."
)

# Of a SQLite database: what is written goes first into the one, whose pages the other finds.
BESIDE = ("", "-wal", "-shm")


def open_store(where: Path | str, patience: float) -> tuple[Store, Callable[[], None], str]:
    """The store for the one process that serves it, what lets go of it, and a sentence where a damaged file was found.

    Args:
        where: as of ``Store``. Only the file in a data folder is moved aside; one that a URL names is its owner's.
        patience: seconds that are waited for another process to stop.

    Raises:
        InUse: another process serves it.
        UserError: it cannot be opened.
    """
    try:
        store = Store(where)
    except Damaged:
        if not isinstance(where, Path):
            raise
        return _anew(where, patience)
    try:
        let_go = only_one(store, patience)
    except BaseException:
        store.close()
        raise
    if not isinstance(where, Path) or _is_sound(store):
        return store, let_go, ""
    let_go()
    store.close()
    return _anew(where, patience)


def _anew(folder: Path, patience: float) -> tuple[Store, Callable[[], None], str]:
    """Moves the file aside while nobody serves it, and makes a new one."""
    let_go = only_one_of(folder / STORE, patience)
    try:
        told = ASIDE.format(_set_aside(folder / STORE))
        store = Store(folder)
    except BaseException:
        let_go()
        raise
    logger.warning("%s", told)
    return store, let_go, told


def _is_sound(store: Store) -> bool:
    """SQLite's own look at every page: 0.2 s for 100 MB. Damage that is found later stops whoever comes upon it."""
    try:
        with store.engine.connect() as connection:
            return connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() == "ok"
    except DBAPIError as error:
        logger.warning("The store could not be checked: %s", error.orig)
        return False


def _set_aside(file: Path) -> str:
    """Renames it, with what SQLite keeps beside it; returns its new name, by the time and different from all others."""
    stem, n = f"{file.stem}.damaged-{datetime.now():%Y%m%d-%H%M%S}", 1
    name = f"{stem}{file.suffix}"
    while (file.parent / name).exists():
        n += 1
        name = f"{stem}-{n}{file.suffix}"
    for end in reversed(BESIDE):  # the database last: until then it is found damaged again
        part = file.with_name(file.name + end)
        if part.exists():
            part.rename(file.with_name(name + end))
    return name
