"""Runs beside those of a sweep: which other ones of its models may stand on the same map. Knows nothing of Gradio.

On one map are only perplexities that may be compared (``neuroal.evaluation.card``); how many were left out is told. On
a host that strangers share only the runs that the asking browser has kept are looked at, as in the list of runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.listing import MOST_OWN, Listing, Read
from neuroal.evaluation.card import Card, incomparable, perplexity_card
from neuroal.folding.titles import title
from neuroal.runs.history import MOST_LETTERS, Entry, Query, texts
from neuroal.sweeps.sweeps import KIND

Point = dict[str, Any]

# The newest runs of a model that are looked at, and the newest sweeps.
MOST, MOST_SWEEPS = 300, 20

# Sentences about what was left out; one for each pair of settings would be many.
MOST_REASONS = 3

OWN_TEXT = "The held-out text is someone's own, which no other run was measured on."


class Others:
    """Other runs for the maps of a server.

    Args:
        read: the records of a run or a sweep after a number, as ``Jobs.read``.
    """

    def __init__(self, listing: Listing, read: Read) -> None:
        self.listing, self.read = listing, read

    def around(self, sweep: str = "", run: str = "", own: Sequence[str] = ()) -> dict[str, Any]:
        """The runs that may be on the map of a sweep beside its own, newest first.

        Args:
            sweep: its id; empty for a map of single runs.
            run: one that is to be found on the map, whoever started it: its id is known to who asks.
            own: ids that the asking browser has kept.

        Returns:
            ``points``: of each run, run (its id), label, sparsity, summary, custom (its ratios are a person's), own
            (started by itself, not by a sweep) and focus (it is ``run``); ``left``: how many were left out, and
            ``why``.
        """
        own = texts("Ids of runs", own, MOST_OWN)
        members = self._members(sweep)
        focus = self._entries({run}) if run else []
        anchors = self._cards(members) or [card for entry in focus if (card := _card(entry))]
        models = list(dict.fromkeys(card["model"] for card in anchors))
        found = {entry.id: entry for model in models for entry in self._of(model, own)}
        found |= {entry.id: entry for entry in focus}
        points, reasons, left = [], {}, 0
        for entry in found.values():
            if (entry.id in members and entry.id != run) or not (card := _card(entry)):
                continue
            why = _against(card, anchors)
            if why:
                reasons[why], left = None, left + 1
            else:
                points.append(_point(entry, len(models) > 1, own, run))
        return {"points": points, "left": left, "why": list(reasons)[:MOST_REASONS]}

    def place(self, run: str, sweep: str = "", own: Sequence[str] = ()) -> dict[str, str]:
        """The sweep on whose map a run belongs: the one that is shown where it may, else the newest that may.

        Returns:
            ``sweep``: its id; empty where there is none.
        """
        card = next((card for entry in self._entries({run}) if (card := _card(entry))), None)
        if card is None:
            return {"sweep": ""}
        for candidate in [*([sweep] if sweep else []), *self._sweeps(texts("Ids of runs", own, MOST_OWN))]:
            members = self._members(candidate)
            if run in members or not _against(card, self._cards(members)):
                return {"sweep": candidate}
        return {"sweep": ""}

    def _sweeps(self, own: Sequence[str]) -> list[str]:
        """Sweeps that whoever asks may see, newest first."""
        if self.listing.whose == "all":
            return self.listing.store.newest(KIND, MOST_SWEEPS)
        return [kept for kept in own if kept.startswith(f"{KIND}-")][:MOST_SWEEPS]

    def _members(self, sweep: str) -> dict[str, dict[str, Any]]:
        """What the log of a sweep says of its runs' figures, by id; empty where it is not known."""
        try:
            records, _ = self.read(sweep, 0) if sweep else ([], True)
        except KeyError:
            return {}
        return {r["run"]: r.get("summary", {}) for r in records if r["kind"] in ("MemberStarted", "MemberFinished")}

    def _cards(self, members: dict[str, dict[str, Any]]) -> list[Card]:
        """Of the runs of a sweep; a sweep may be older than what its log has to say for this, so the runs are asked."""
        kept = {entry.id: entry.summary for entry in self._entries(set(members))}
        cards = [perplexity_card(kept.get(run) or summary) for run, summary in members.items()]
        return list({tuple(card.items()): card for card in cards if card}.values())

    def _entries(self, ids: set[str]) -> list[Entry]:
        """Those of the runs that have finished."""
        return self.listing.store.history(Query(status="finished", ids=ids, limit=len(ids)))[0] if ids else []

    def _of(self, model: str, own: tuple[str, ...]) -> list[Entry]:
        only = self.listing.kept(own) if self.listing.whose == "own" else None
        asked = Query(text=model[:MOST_LETTERS], status="finished", ids=only, limit=MOST)
        found, _ = self.listing.store.history(asked)
        return [entry for entry in found if entry.summary["model"] == model]


def _card(entry: Entry) -> Card | None:
    return perplexity_card(entry.summary)


def _against(card: Card, anchors: list[Card]) -> str:
    """Why a figure may not stand beside those of a map; empty where it may stand beside one of them."""
    if card["source"] == "own":
        return OWN_TEXT
    reasons = [" ".join(incomparable(anchor, card)) for anchor in anchors]
    return min(reasons, key=len, default="Nothing on this map has a perplexity yet.")


def _point(entry: Entry, several: bool, own: tuple[str, ...], run: str) -> Point:
    asked = entry.summary if several else {**entry.summary, "model": ""}
    return {
        "run": entry.id, "label": entry.name or title(asked), "sparsity": entry.summary["sparsity"],
        "summary": entry.summary, "custom": entry.summary["top_up"] == "custom", "own": entry.id in own,
        "focus": entry.id == run,
    }  # fmt: skip
