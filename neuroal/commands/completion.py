"""What a shell may complete where a run is named."""

from __future__ import annotations

from neuroal.folding.titles import title

MOST = 20


def run_names(incomplete: str) -> list[tuple[str, str]]:
    """The newest runs whose id begins so, each with its name or question; none where the store cannot be read."""
    from neuroal.commands.workplace import LAST, reading
    from neuroal.runs.history import Query

    try:
        with reading() as shelf:
            entries, _ = shelf.store.history(Query(limit=500))
    except Exception:  # a shell that completes has no use for a sentence
        return []
    found = [(LAST, "the newest one"), *((entry.id, entry.name or title(entry.summary)) for entry in entries)]
    return [(name, told) for name, told in found if name.startswith(incomplete)][:MOST]
