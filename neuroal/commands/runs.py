"""``runs``: what is kept; the same runs, names and tags as in the page's history."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroal.commands import runs_files
from neuroal.commands.command import add_command
from neuroal.commands.completion import run_names
from neuroal.commands.output import Code, Misuse, Output
from neuroal.commands.report import document, tell
from neuroal.errors import UserError
from neuroal.folding.status import fixed
from neuroal.folding.titles import title

if TYPE_CHECKING:
    from neuroal.commands.workplace import Shelf
    from neuroal.runs.history import Entry

_NAMED = typer.Argument(metavar="RUN", autocompletion=run_names, help="Id or its beginning, name, link, or last.")
Run = Annotated[str, _NAMED]
Runs = Annotated[list[str], _NAMED]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many, newest first.")]
Status = Annotated[str, typer.Option("--status", help="Only queued, running, finished, failed ... ones.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only runs with this tag; can be given several times.")]
Order = Annotated[str, typer.Option("--order", help="created, status, name, model, sparsity, perplexity, seconds ...")]
Ascending = Annotated[bool, typer.Option("--ascending", help="The smallest or oldest first.")]

# Letters of an id in a terminal: enough for every command.
BRIEF = 8

_ABOUT = "Lists, shows, changes, resumes and shares runs that are kept."


def build() -> typer.Typer:
    """The commands below ``runs``."""
    app = typer.Typer(name="runs", help=_ABOUT, no_args_is_help=True, rich_markup_mode="rich")
    add_command(
        app, list_runs, ("runs list", "runs list --status finished --order perplexity --ascending"), name="list"
    )
    add_command(app, search, ("runs search wanda owl", "runs search tiny --tag lecture --json"))
    add_command(app, show, ("runs show last", "runs show RUN --log > events.jsonl", "runs show RUN --spec > spec.json"))
    add_command(app, name, ("runs name last 'my best one'", "runs name RUN ''"))
    add_command(app, tag, ("runs tag last lecture week-3", "runs tag RUN"))
    add_command(app, delete, ("runs delete RUN", "runs delete RUN RUN --json"))
    add_command(app, restore, ("runs restore RUN",))
    add_command(app, runs_files.resume, ("runs resume last", "runs resume sweep-RUN"))
    add_command(app, runs_files.cancel, ("runs cancel RUN",))
    add_command(app, runs_files.bundle, ("runs bundle last --out run.zip", "runs bundle sweep-RUN --out sweep.zip"))
    add_command(app, runs_files.open_bundle, ("runs open run.zip",), name="open")
    return app


def list_runs(
    out: Output,
    limit: Limit = 50,
    status: Status = "",
    tags: Tags = None,
    order: Order = "created",
    ascending: Ascending = False,
) -> Code | None:
    """Lists runs, newest first."""
    _listed(out, "", limit, status, tags, order, ascending)


def search(
    out: Output,
    words: Annotated[list[str], typer.Argument(help="All of which occur in model, pruner, top-up, name or tags.")],
    limit: Limit = 50,
    status: Status = "",
    tags: Tags = None,
    order: Order = "created",
    ascending: Ascending = False,
) -> Code | None:
    """Finds runs by words."""
    _listed(out, " ".join(words), limit, status, tags, order, ascending)


def _listed(
    out: Output, text: str, limit: int, status: str, tags: list[str] | None, order: str, ascending: bool
) -> None:
    from neuroal.commands.workplace import reading
    from neuroal.runs.history import Query

    try:
        query = Query(text=text, status=status, tags=tags or (), order=order, descending=not ascending, limit=limit)
    except UserError as error:
        raise Misuse(str(error)) from error
    with reading() as shelf:
        entries, total = shelf.store.history(query)
    out.document = {"total": total, "runs": [{**dataclasses.asdict(e), "title": title(e.summary)} for e in entries]}
    out.table(
        ["run", "created", "status", "question", "name", "perplexity", "uniform", "tags"],
        [_row(entry, out.terminal) for entry in entries],
    )
    if total > len(entries):
        out.say(f"{len(entries)} of {total} runs; --limit shows more.")
    elif not total:
        out.say("No runs." if text or status or tags else "No runs yet.")


def _row(entry: Entry, brief: bool) -> list[str]:
    """The cells of a run; in a terminal as much of id and time as tells them apart."""
    figures = [_number(entry.summary[name]) for name in ("perplexity", "perplexity_uniform")]
    created = entry.created[:16].replace("T", " ")
    run_id = entry.id[:BRIEF] if brief else entry.id
    return [
        run_id,
        created[5:] if brief else created,
        entry.status,
        title(entry.summary),
        entry.name,
        *figures,
        ", ".join(entry.tags),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}" if value >= 1e6 else fixed(value, 2)


def show(
    out: Output,
    run: Run,
    log: Annotated[bool, typer.Option("--log", help="Its events, one JSON object a line.")] = False,
    spec: Annotated[bool, typer.Option("--spec", help="Its question as JSON, as prune takes it.")] = False,
) -> Code | None:
    """Shows a run, or a sweep with its runs: question, chosen lambdas, figures."""
    from neuroal.commands.sweep import tell_sweep
    from neuroal.commands.workplace import is_sweep, reading

    if log and (spec or out.as_json):
        raise Misuse("--log is many JSON objects, so it goes with neither --json nor --spec.")
    with reading() as shelf:
        run_id = shelf.find(run)
        registry = shelf.registry(run_id)
        records, asked = registry.read(run_id)[0], registry.spec(run_id)
        row = shelf.store.run(run_id)
        statuses = {r["run"]: _status(shelf, r["run"]) for r in records if r["kind"] == "MemberStarted"}
    if log:
        for record in records:
            out.line(json.dumps(record, separators=(",", ":")))
        return
    if spec:
        out.document = asked.card()
        out.line(json.dumps(asked.card(), indent=1))
    elif is_sweep(run_id):
        tell_sweep(out, run_id, records, statuses.__getitem__)
    else:
        kept = {"name": row.name, "tags": json.loads(row.tags), "pinned": row.pinned, "created": row.created}
        out.document = document(run_id, asked.card(), asked.key(), records, **kept)
        if row.name:
            out.line(row.name)
        tell(out, out.document, records)


def _status(shelf: Shelf, run_id: str) -> str:
    try:
        return shelf.runs.status(run_id)
    except KeyError:
        return "removed"


def name(
    out: Output, run: Run, text: Annotated[str, typer.Argument(metavar="NAME", help="Empty for none.")]
) -> Code | None:
    """Names a run."""
    _edited(out, run, name=text)


def tag(
    out: Output,
    run: Run,
    tags: Annotated[list[str] | None, typer.Argument(help="All of its tags; none for none.")] = None,
) -> Code | None:
    """Sets the tags of a run."""
    _edited(out, run, tags=tags or [])


def _edited(out: Output, run: str, **changes: Any) -> None:
    from neuroal.commands.workplace import reading

    with reading() as shelf:
        run_id = shelf.find(run, "run")
        shelf.store.edit(run_id, **changes)
        row = shelf.store.run(run_id)
    out.document = {"run": run_id, "name": row.name, "tags": json.loads(row.tags)}
    out.line(f"Run {run_id}: {row.name or 'no name'}; {', '.join(json.loads(row.tags)) or 'no tags'}")


def delete(out: Output, runs: Runs) -> Code | None:
    """Takes runs off the list; for 30 days they can be restored."""
    from neuroal.commands.workplace import reading

    with reading() as shelf:
        ids = [shelf.find(run, "run") for run in runs]
        for run_id in ids:
            shelf.store.delete(run_id)
    out.document = {"deleted": ids}
    for run_id in ids:
        out.line(f"Deleted {run_id}; runs restore {run_id} brings it back.")


def restore(out: Output, runs: Runs) -> Code | None:
    """Brings deleted runs back."""
    from neuroal.commands.workplace import reading

    with reading() as shelf:
        for run_id in runs:
            _restore(shelf, run_id)
    out.document = {"restored": runs}
    for run_id in runs:
        out.line(f"Restored {run_id}")


def _restore(shelf: Shelf, run_id: str) -> None:
    try:
        shelf.store.restore(run_id)
    except KeyError:
        raise UserError(f"No run has the id {run_id!r}, deleted or not; give the whole id.") from None


def written(path: str, content: bytes) -> Path:
    """Writes a file; nothing is left of it where that fails."""
    target = Path(path)
    aside = target.with_name(f".{target.name}.partial")
    try:
        aside.write_bytes(content)
        aside.replace(target)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UserError(f"{path!r} cannot be written: {error.strerror}.") from error
    return target
