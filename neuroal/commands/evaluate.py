"""``evaluate``: further evaluations of a finished run, or those of any model as it is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroal.commands.asked import spec_from
from neuroal.commands.completion import run_names
from neuroal.commands.output import Code, Misuse, Output
from neuroal.commands.report import document, tell, tell_figures
from neuroal.commands.settings import MEASURING, Settings, option_of
from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.runs.spec import RunSpec

if TYPE_CHECKING:
    from neuroal.commands.workplace import Shelf
    from neuroal.runs.events import Event

EVALUATE_SETTINGS = (*MEASURING, "revision", "dtype")

WHAT = "A finished run; else a model: a name or a folder."

# Of a run these are its own.
ITS_OWN = ("eval_source", "eval_text", "eval_windows", "eval_length", "revision", "dtype")

EVALUATE_EXAMPLES = (
    "evaluate last --evaluations divergence,probes",
    "evaluate RUN --evaluations zeroshot --tasks rte,boolq --task-limit 50",
    "evaluate ./my-pruned-model --eval-windows 32",
    "evaluate tiny --evaluations perplexity --json",
)

Record = dict[str, Any]


def evaluate(
    out: Output,
    given: Settings,
    what: Annotated[str, typer.Argument(metavar="RUN|MODEL", autocompletion=run_names, help=WHAT)],
) -> Code | None:
    """Measures more of a finished run, which keeps it; or a model as it is, of which nothing is kept."""
    from neuroal.commands.workplace import reading
    from neuroal.errors import UserError

    asked = spec_from(given)
    with reading() as shelf:
        try:
            run_id = shelf.find(what, "run")
        except UserError:
            run_id = ""
        if run_id and _is_known(out, shelf, run_id, asked):
            return Code.OK
    if run_id:
        return _of_run(out, run_id, asked, given)
    return _of_model(out, dataclasses.replace(asked, model=what))


def _is_known(out: Output, shelf: Shelf, run_id: str, asked: RunSpec) -> bool:
    """Tells what is asked where the run has it already."""
    records, _ = shelf.runs.read(run_id)
    spec = shelf.runs.spec(run_id)
    told = document(run_id, spec.card(), spec.key(), records, answered=True)
    if told["status"] != "finished" or not all("chosen" in told["measured"].get(n, {}) for n in asked.evaluations):
        return False
    out.document = told
    out.say("This run has all of these figures.")
    tell(out, told, records)
    return True


def _of_run(out: Output, run_id: str, asked: RunSpec, given: Settings) -> Code:
    """Measured in the run's own place."""
    from neuroal.commands.progress import Watch
    from neuroal.commands.workplace import followed, working

    if fixed := [name for name in ITS_OWN if name in given]:
        raise Misuse(f"{option_of(fixed[0])} is for a model alone; a run is measured on the text that it began with.")
    with working(instead="press Measure there") as workshop:
        jobs = workshop.jobs
        before = len(jobs.read(run_id)[0])
        workshop.measure(run_id, asked)
        watch = Watch(out)
        watch.fold_before(jobs.read(run_id)[0][:before])
        again = f"evaluate {run_id} --evaluations {','.join(asked.evaluations)}"
        code = followed(out, jobs, run_id, watch, lambda: jobs.cancel(run_id), again=again)
        records, _ = jobs.read(run_id)
        spec = jobs.spec(run_id)
    told = out.document = document(run_id, spec.card(), spec.key(), records, answered=False)
    tell(out, told, records)
    return code


def _of_model(out: Output, spec: RunSpec) -> Code:
    """Of a model that was not pruned here."""
    from neuroal.commands.progress import Watch
    from neuroal.importing import import_engine

    alone = [name for name in EVALUATIONS.labels if "dense" in EVALUATIONS.get(name).variants]
    for name in spec.evaluations:
        if name not in alone:
            raise Misuse(f"{name} is about what pruning did, so it needs a run; of a model alone: {', '.join(alone)}.")
    import_engine()
    from neuroal.runs.estimate import check
    from neuroal.runs.pool import ModelPool
    from neuroal.runs.run import examine

    check(spec)
    records: list[Record] = []
    with Watch(out) as watch, closing(examine(spec, pool=ModelPool())) as events:
        for record in _numbered(events):
            records.append(record)
            watch.take([record])
    told = document("", spec.card(), spec.key(), records)
    out.document = {name: told[name] for name in ("status", "measured", "notices")} | {"model": spec.model}
    out.line(spec.model)
    tell_figures(out, told, records)
    return Code.OK


def _numbered(events: Generator[Event, None, None]) -> Iterator[Record]:
    """As a log stamps them."""
    began = time.monotonic()
    for n, event in enumerate(events, 1):
        yield {"n": n, "t": round(time.monotonic() - began, 3), **event.to_dict()}
