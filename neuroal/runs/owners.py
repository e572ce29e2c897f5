"""Which browser may name, tag and delete a run, where strangers share a server.

The id of a run is not enough there: who asks a question that was asked before is given the same run. So a browser draws
a secret once and claims what it starts; the first claim counts. Kept is a digest, which is of no use to who reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import suppress

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from neuroal.runs.rows import OwnerRow
from neuroal.runs.store import Store


class Owners:
    """The claims on the runs of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def claim(self, run_id: str, secret: str) -> bool:
        """Makes a run that nobody has claimed that of the secret; whether it now is."""
        with suppress(IntegrityError):  # somebody was first
            self.store.do(
                lambda session: session.add(OwnerRow(run_id=run_id, owner=_digest(secret))),
                done=lambda session: session.get(OwnerRow, run_id) is not None,
            )
        return run_id in self.owned([run_id], secret)

    def inherit(self, run_id: str, sweep_id: str) -> None:
        """A run that a sweep has started belongs to whoever has claimed the sweep, unless somebody has claimed it."""
        owner = self.store.do(lambda session: session.get(OwnerRow, sweep_id))
        if owner is not None:
            with suppress(IntegrityError):  # somebody was first
                self.store.do(
                    lambda session: session.add(OwnerRow(run_id=run_id, owner=owner.owner)),
                    done=lambda session: session.get(OwnerRow, run_id) is not None,
                )

    def owned(self, run_ids: Collection[str], secret: str) -> set[str]:
        """Those of the runs that the secret has claimed."""
        found = select(OwnerRow.run_id).where(col(OwnerRow.run_id).in_(run_ids), OwnerRow.owner == _digest(secret))
        return set(self.store.do(lambda session: session.exec(found).all()))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
