"""Runs in a store without an engine: their records go through the log that the app itself uses."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from neuroal.runs.events import Event
from neuroal.runs.log import RunLog
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.summary import asked
from tests.components.logs import Record


def keep(store: Store, records: Iterable[Record], spec: RunSpec) -> str:
    """Keeps a run and returns its id."""
    run = secrets.token_urlsafe(16)
    store.add_run(run, spec.key(), spec.to_json(), private=spec.private, summary=asked(spec))
    log = RunLog(run, store)
    for record in records:
        log.append(Event.from_dict(record))
    return run
