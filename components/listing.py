"""Which runs are listed, what a row of the list says, and what may be done to it. Knows nothing of Gradio.

On a host that strangers share nobody may see other people's runs: only those whose ids the asking browser has kept,
and it may change only those that it has started itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from neuroal.errors import UserError
from neuroal.folding.titles import title
from neuroal.hosting.profile import setting
from neuroal.runs.history import Query, texts
from neuroal.runs.jobs import Jobs
from neuroal.runs.owners import Owners
from neuroal.runs.rows import GOING
from neuroal.runs.store import Entry, Store
from neuroal.sweeps.sweeps import KIND

Read = Callable[[str, int], tuple[list[dict[str, Any]], bool]]

PAGE = 50

# Whose runs are listed: everyone's, for a machine of one's own, or those this browser has started.
WHOSE = ("all", "own")

# Ids of its own that a browser may send; it keeps the newest ones.
MOST_OWN = 500

# Of all runs that these ids stand for, a sweep's for all of its own, so many are looked at.
MOST_KEPT = 5000

# Under these names the browser keeps the ids of runs and sweeps that it has started, newest first, those of runs that
# it does not want to see any more, and its secret, by which it may change runs (see neuroal/runs/owners.py).
STORAGE, HIDDEN, SECRET = "neuroal-own-runs", "neuroal-hidden-runs", "neuroal-browser"

# Characters of a browser's secret.
SHORTEST_SECRET = 16


def whose_from_environment() -> str:
    """The setting NEUROAL_HISTORY.

    Raises:
        UserError: it is neither of WHOSE.
    """
    given = setting("NEUROAL_HISTORY")
    if given not in WHOSE:
        raise UserError(f"NEUROAL_HISTORY is {given!r}; it must be one of: {', '.join(WHOSE)}.")
    return given


class Listing:
    """The runs of a server as a page shows them.

    Args:
        whose: one of WHOSE. ``browser``, in what follows, is the secret of the browser that asks.
        read: the records of a sweep after a number, as ``Jobs.read``; without it sweeps have no runs.
    """

    def __init__(self, jobs: Jobs, whose: str = "all", read: Read | None = None) -> None:
        self.jobs, self.whose, self.owners, self._read = jobs, whose, Owners(jobs.store), read

    @property
    def store(self) -> Store:
        return self.jobs.store

    def kept(self, own: Sequence[str]) -> tuple[str, ...]:
        """The runs that a browser has kept: those that it has started, and those of its sweeps."""
        found = dict.fromkeys(run for kept in own[:MOST_OWN] for run in self._runs_of(kept))
        return tuple(found)[:MOST_KEPT]

    def _runs_of(self, kept: str) -> list[str]:
        if not kept.startswith(f"{KIND}-"):
            return [kept]
        try:
            records, _ = self._read(kept, 0) if self._read else ([], True)
        except KeyError:
            return []
        return [r["run"] for r in records if r["kind"] in ("MemberStarted", "MemberFinished") and r["run"]]

    def page(
        self, query: Query, page: int = 0, own: Sequence[str] = (), browser: str = "", without: Sequence[str] = ()
    ) -> dict[str, Any]:
        """One page of the list, pinned runs first.

        Args:
            query: which runs; how many of them, from where, is told by ``page``.
            own: the ids of runs and sweeps that the browser has kept; ``without``: runs that are not to be listed,
                which it cannot delete.

        Returns:
            ``rows``, see :meth:`row`; ``total`` runs found, ``pages``, ``page`` (the last one where the asked one is
            past it), ``whose``, and ``seen``: a digest, equal while nothing has changed.

        Raises:
            UserError: there can be no such page, or ids are not a list of texts.
        """
        if not isinstance(page, int) or not 0 <= page < 10**6:
            raise UserError("There is no such page of runs; go back to the first one.")
        own, hidden = texts("Ids of runs", own, MOST_OWN), set(texts("Ids of runs", without, MOST_OWN))
        only = tuple(i for i in self.kept(own) if i not in hidden) if self.whose == "own" else None
        query = dataclasses.replace(query, ids=only)
        entries, total = self._entries(query, page)
        pages = max(1, -(-total // PAGE))
        if page >= pages:
            page = pages - 1
            entries, total = self._entries(query, page)
        rows = self._rows(entries, browser)
        found = {"rows": rows, "total": total, "pages": pages, "page": page, "whose": self.whose}
        digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
        return {**found, "seen": digest[:16]}

    def named(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of these runs, in their order; unknown ids are left out."""
        entries, _ = self.store.history(Query(ids=texts("Ids of runs", ids, PAGE), limit=PAGE))
        known = {entry.id: entry for entry in entries}
        return self._rows([known[run_id] for run_id in ids if run_id in known], "")

    def row(self, entry: Entry, mine: bool) -> dict[str, Any]:
        """What the list shows of a run, as JSON values.

        ``title`` is its question in short, ``name`` a person's own; ``mine`` says that whoever asks may change it.
        """
        figures, asked = entry.summary, self._asked(entry)
        return {
            "id": entry.id, "title": title(asked), "model": asked.get("model"), "name": entry.name,
            "status": entry.status, "created": entry.created,
            "achieved": figures.get("achieved"), "perplexity": figures.get("perplexity"),
            "dense": figures.get("perplexity_dense"), "uniform": figures.get("perplexity_uniform"),
            "search": figures.get("search_seconds"), "tags": list(entry.tags), "pinned": entry.pinned,
            "private": entry.private, "going": entry.status in GOING,
            "mine": mine,
        }  # fmt: skip

    def claim(self, run_id: str, browser: str) -> None:
        """The browser has started this run, or this sweep and so its runs; what another one has claimed before stays
        that one's."""
        if self.store.run(run_id) is not None and len(browser) >= SHORTEST_SECRET:
            for each in dict.fromkeys((run_id, *self._runs_of(run_id))):
                self.owners.claim(each, browser)

    def edit(self, run_id: str, browser: str = "", **changes: Any) -> None:
        """As ``Store.edit``: ``name`` (empty for none), ``tags``, ``pinned``.

        Raises:
            UserError: the run is not known or not this browser's, or a text is too long.
        """
        if isinstance(changes.get("tags"), str):
            raise UserError("Tags must be a list of texts.")
        with self._allowed(run_id, browser):
            self.store.edit(run_id, **changes)

    def delete(self, run_id: str, browser: str = "") -> None:
        """Takes a run off the list; :meth:`restore` brings it back.

        Raises:
            UserError: the run is not known or not this browser's, or it is going.
        """
        with self._allowed(run_id, browser):
            self.store.delete(run_id)

    def restore(self, run_id: str, browser: str = "") -> None:
        """Brings a deleted run back. UserError when it is not known or not this browser's."""
        with self._allowed(run_id, browser):
            self.store.restore(run_id)

    @contextmanager
    def _allowed(self, run_id: str, browser: str) -> Iterator[None]:
        """Refuses a stranger, and tells of an unknown id in a sentence."""
        if self.whose == "own" and not self.owners.owned([run_id], browser):
            raise UserError("This run was started in another browser, so only that one may change it.")
        try:
            yield
        except KeyError:
            raise UserError("This run is not known here; it may have been removed. Reload the page.") from None

    def _rows(self, entries: Sequence[Entry], browser: str) -> list[dict[str, Any]]:
        ids = [entry.id for entry in entries]
        mine = set(ids) if self.whose == "all" else self.owners.owned(ids, browser)
        return [self.row(entry, entry.id in mine) for entry in entries]

    def _entries(self, query: Query, page: int) -> tuple[list[Entry], int]:
        """The runs of a page, and how many there are on all of them."""
        start = page * PAGE
        first = dataclasses.replace(query, pinned=True, limit=PAGE, offset=start)
        entries, pinned = self.store.history(first)
        room, start = PAGE - len(entries), max(0, start - pinned)
        others, rest = self.store.history(  # of none, no total
            dataclasses.replace(query, pinned=False, limit=max(1, room), offset=start)
        )
        return [*entries, *others[:room]], pinned + rest

    def _asked(self, entry: Entry) -> dict[str, Any]:
        """The question of a run; stores of earlier versions have it in the spec alone."""
        if entry.summary.get("model"):
            return entry.summary
        try:
            return self.jobs.spec(entry.id).card()
        except (KeyError, UserError):
            return {}
