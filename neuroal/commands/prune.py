"""``prune`` and ``search``: one question, asked as the page asks it and kept where the page keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Union

import typer

from neuroal.commands.asked import spec_from
from neuroal.commands.export import Form, check_target, exported
from neuroal.commands.output import Code, Output
from neuroal.commands.report import Document, Record, document, tell, tell_search
from neuroal.commands.settings import EVERYTHING, MEASURING, Settings
from neuroal.folding.status import lambda_text
from neuroal.folding.titles import title
from neuroal.runs.spec import RunSpec

if TYPE_CHECKING:
    from neuroal.commands.workplace import Shelf
    from neuroal.runs.workshop import Workshop

Spec = Annotated[str | None, typer.Argument(metavar="SPEC", help="A spec as JSON: a file, or - for stdin.")]
Place = Union["Workshop", "Shelf"]
Then = Callable[[Place, str, Document, list[Record]], None]

Again = Annotated[bool, typer.Option("--again", help="Ask anew what has been answered before.")]
NoStore = Annotated[bool, typer.Option("--no-store", help="Keep nothing; works beside the app on the same folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell time, memory and the question's key, and do nothing.")]

PRUNE_SETTINGS = EVERYTHING
SEARCH_SETTINGS = tuple(name for name in EVERYTHING if name not in MEASURING)

PRUNE_EXAMPLES = (
    "prune --model tiny --sparsity 0.5 --budget quick",
    "prune --pruner sparsegpt --top-up owl --sparsity 0.6 --evaluations perplexity,divergence",
    "prune --top-up custom --block-sparsity 0.4,0.5,0.5,0.6,0.6,0.6,0.7,0.7 --model tiny",
    "prune spec.json --seed 1 --json",
    "prune --model tiny --sparsity 0.6 --out ./tiny-60",
    "prune --source own --text-file my-text.txt --no-store",
    "prune --pattern 2:4 --step block --dry-run",
)
SEARCH_EXAMPLES = (
    "search --model tiny --step block --sparsity 0.6",
    "search --lambdas 0.02,0.05,0.1 --json",
    "search spec.json --mode exact --again",
)


def prune(
    out: Output,
    given: Settings,
    spec: Spec = None,
    again: Again = False,
    no_store: NoStore = False,
    dry_run: DryRun = False,
    target: Annotated[str | None, typer.Option("--out", metavar="PATH", help="Export the pruned model there.")] = None,
    form: Form = "folder",
) -> Code | None:
    """Prunes a model and measures what it costs. The run is kept, and stands in the page's history."""
    asked = spec_from(given, spec)
    if target:
        check_target(form, target)
    if dry_run:
        return foreseen(out, asked)

    def then(where: Place, run_id: str, told: Document, records: list[Record]) -> None:
        tell(out, told, records)
        if target and told["status"] == "finished":
            told["export"] = exported(out, where, run_id, form, target)

    return answered(out, asked, then, again=again, stored=not no_store)


def search(
    out: Output,
    given: Settings,
    spec: Spec = None,
    again: Again = False,
    no_store: NoStore = False,
    dry_run: DryRun = False,
) -> Code | None:
    """Chooses how sparse each block and row should be, and tells the scores; nothing is measured."""
    asked = dataclasses.replace(spec_from(given, spec), evaluations=(), eval_source=RunSpec.eval_source, eval_text="")
    if dry_run:
        return foreseen(out, asked)
    return answered(out, asked, lambda _, __, told, ___: _tell_landscape(out, told), again=again, stored=not no_store)


def _tell_landscape(out: Output, told: Document) -> None:
    """Every score, and every ratio."""
    out.line(told["title"])
    out.line(told["message"])
    for step, found in told["search"].items():
        chosen = found["chosen"] or {"lam": None, "near_ties": []}
        marks = {chosen["lam"]: "chosen", **dict.fromkeys(chosen["near_ties"], "within 1 %")}
        pairs = sorted(zip(found["lambdas"], found["scores"], strict=True))
        rows = [[step, lambda_text(lam), f"{score:.6g}", marks.get(lam, "")] for lam, score in pairs]
        out.table(["step", "lambda", "score", ""], rows)
    tell_search(out, told)
    if ratios := told["sparsity"]:
        out.table(["block", "sparsity"], [[str(b), f"{ratio:.4f}"] for b, ratio in enumerate(ratios)])
    if told["run"]:
        out.line(f"Run {told['run']}")


def foreseen(out: Output, spec: RunSpec) -> None:
    """What a question would cost."""
    from neuroal.importing import import_engine

    import_engine()
    from neuroal.runs.estimate import estimate

    cost = estimate(spec)
    out.document = {"key": spec.key(), "title": title(spec.card()), "spec": spec.card()}
    out.document |= {"seconds": sum(cost.seconds.values()), "memory": cost.memory, "message": cost.sentence}
    out.line(title(spec.card()))
    out.line(cost.sentence)
    out.line(f"Key {spec.key()}")


def answered(out: Output, spec: RunSpec, then: Then, *, again: bool, stored: bool) -> Code:
    """The answer to a question, from the store or by a run of its own; it becomes the command's document.

    Args:
        then: is given who knows the run, the id that it has there, the document and the log.
    """
    from neuroal.commands.workplace import reading, working

    if stored and not again:
        with reading() as shelf:
            if run_id := shelf.answered(spec):
                out.say("This question was answered before; --again asks it anew.")
                records, _ = shelf.runs.read(run_id)
                out.document = document(run_id, spec.card(), spec.key(), records, answered=True)
                then(shelf, run_id, out.document, records)
                return Code.OK
    with working(stored) as workshop:
        run_id, records, code = _done(out, workshop, spec, again=again, stored=stored)
        out.document = document(run_id if stored else "", spec.card(), spec.key(), records, answered=False)
        then(workshop, run_id, out.document, records)
        return code


def _done(
    out: Output, workshop: Workshop, spec: RunSpec, *, again: bool, stored: bool
) -> tuple[str, list[Record], Code]:
    """Does a run; returns its id, its log, and how the process is to end."""
    from neuroal.commands.progress import Watch
    from neuroal.commands.workplace import followed
    from neuroal.importing import import_engine

    import_engine()
    from neuroal.runs.estimate import check

    check(spec, workshop.pool)
    jobs = workshop.jobs
    run_id = jobs.start(spec, again=True) if again else workshop.start(spec)
    code = followed(out, jobs, run_id, Watch(out), lambda: jobs.cancel(run_id), stored)
    return run_id, jobs.read(run_id)[0], code
