"""What anybody may look at who has the unguessable id of a run: its log, where it stands, and what it asks."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any

from neuroal.errors import UserError
from neuroal.runs.instances import Instance
from neuroal.runs.job import Spec, sentence
from neuroal.runs.log import ENDED, RunLog, last_status
from neuroal.runs.logs import Logs
from neuroal.runs.rows import RunRow
from neuroal.runs.store import Store
from neuroal.runs.summary import summary

logger = logging.getLogger(__name__)


class Registry:
    """Runs by their ids, whichever process of the app does them.

    Args:
        kind: of what is found here, in the store.
        read: makes a spec from its JSON.
        instance: this process.
    """

    def __init__(self, store: Store, kind: str, read: Callable[[str], Any], instance: Instance) -> None:
        self.store, self.kind, self.instance, self._read = store, kind, instance, read
        self._logs = Logs(store)

    def read(self, run_id: str, after: int = 0) -> tuple[list[dict[str, Any]], bool]:
        """Records numbered above ``after``, and whether no more will come.

        Raises:
            KeyError: no run has this id, or it was deleted.
        """
        return self._log(run_id).read(after)

    def status(self, run_id: str) -> str:
        """queued, running, finished, failed, cancelled or interrupted. KeyError as for :meth:`read`."""
        return self._log(run_id).status

    def spec(self, run_id: str) -> Any:
        """What the run asks. KeyError as for :meth:`read`."""
        return self._read(self._row(run_id).spec)

    def is_elsewhere(self, run_id: str) -> bool:
        """Whether it waits or goes in another process of the app. KeyError as for :meth:`read`."""
        log = self._log(run_id)
        return self.store.shared and not log.mine and log.status not in ENDED

    def answered(self, spec: Spec) -> str | None:
        """The finished run that asked the same question, if any; a question about one's own text is never shared."""
        return None if spec.private else self.store.answered(spec.key())

    def under_way(self, spec: Spec) -> str | None:
        """As :meth:`answered`, but the run that waits or goes, in whichever process of the app."""
        return None if spec.private else self.instance.under_way(self.kind, spec.key())

    def adopt(self, spec: Spec, records: list[dict[str, Any]]) -> str:
        """Takes in a run that is over and was made elsewhere (``neuroal.sharing``); returns the id that it has here.

        Raises:
            UserError: it cannot be stored.
        """
        run_id = self._new_id()
        try:
            figures = summary(records) if self.kind == "run" else {}
            self.store.adopt(run_id, spec.to_json(), records, last_status(records), figures, self.kind)
        except Exception as error:
            logger.exception("A bundle could not be stored")
            raise UserError(sentence(error)) from error
        return run_id

    def _new_id(self) -> str:
        """Unguessable; of anything but a run the kind can be seen. A command line would take a dash for an option."""
        drawn = secrets.token_urlsafe(16)
        while drawn.startswith("-"):
            drawn = secrets.token_urlsafe(16)
        return ("" if self.kind == "run" else f"{self.kind}-") + drawn

    def _row(self, run_id: str) -> RunRow:
        row = self.store.run(run_id)
        if row is None or row.kind != self.kind or row.deleted:
            raise KeyError(run_id)
        return row

    def _log(self, run_id: str) -> RunLog:
        if self.store.is_deleted(run_id):
            self._row(run_id)  # unless another process has restored it
        if log := self._logs.find(run_id):
            return log
        self._row(run_id)
        return self._logs.load(run_id)
