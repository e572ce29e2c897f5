"""``runs resume``, ``cancel``, ``bundle`` and ``open``: runs that go on, stop, leave and come in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroal.commands.completion import run_names
from neuroal.commands.output import Code, Output
from neuroal.commands.report import document, tell
from neuroal.errors import UserError

if TYPE_CHECKING:
    from neuroal.commands.progress import Watch

HELP = "Id or its beginning, name, link, or last; also of a sweep."
Run = Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_names, help=HELP)]
Target = Annotated[str, typer.Option("--out", metavar="FILE", help="Where the .zip is written.")]

NO_PAGE = "The code of the page is not installed here, and bundles need it for their charts."


def resume(out: Output, run: Run) -> Code | None:
    """Goes on with a run or a sweep that was cancelled, interrupted or failed, from what it had finished."""
    from neuroal.commands.progress import SweepWatch, Watch
    from neuroal.commands.sweep import stop, tell_sweep
    from neuroal.commands.workplace import followed, is_sweep, reading, working

    with reading() as shelf:
        run_id = shelf.find(run)
    with working(instead="press Resume there") as workshop:
        if is_sweep(run_id):
            jobs = workshop.sweeps.jobs
            watch: Watch = SweepWatch(out)
            watch.fold_before(jobs.read(run_id)[0])
            workshop.sweeps.resume(run_id)
            code = followed(out, jobs, run_id, watch, lambda: stop(workshop, run_id))
            tell_sweep(out, run_id, jobs.read(run_id)[0], workshop.jobs.status)
            return code
        jobs = workshop.jobs
        watch = Watch(out)
        watch.fold_before(jobs.read(run_id)[0])
        jobs.resume(run_id)
        code = followed(out, jobs, run_id, watch, lambda: jobs.cancel(run_id))
        spec, records = jobs.spec(run_id), jobs.read(run_id)[0]
    out.document = document(run_id, spec.card(), spec.key(), records)
    tell(out, out.document, records)
    return code


def cancel(out: Output, run: Run) -> Code | None:
    """Stops a run or a sweep that another process does; where that has the data folder for itself, only it can."""
    from neuroal.commands.workplace import is_sweep, reading, working
    from neuroal.runs.rows import GOING
    from neuroal.sweeps.sweeps import KIND

    with reading() as shelf:
        run_id = shelf.find(run)
        row = shelf.store.run(run_id)
        if row.status not in GOING:
            raise UserError(f"This run is {row.status}, so there is nothing to cancel.")
        kind = KIND if is_sweep(run_id) else "run"
        asked = shelf.registry(run_id).instance.ask_to_cancel(kind, run_id)
    if not asked:
        with working(instead="press Cancel there, or Ctrl+C where the command runs"):
            pass  # whoever did it is gone, and what it left is marked as interrupted now
    out.document = {"run": run_id, "cancelling": asked}
    out.line(
        f"Cancelling {run_id} at its next block." if asked else f"Nobody does {run_id} any more; it can be resumed."
    )


def bundle(out: Output, run: Run, target: Target) -> Code | None:
    """Writes a finished run or sweep as one .zip that any instance of the app opens; never one on own text."""
    from neuroal.commands.runs import written
    from neuroal.commands.workplace import reading

    packed_of = _page().packed_of
    with reading() as shelf:
        run_id = shelf.find(run)
        content = packed_of(_Logs(shelf), run_id)
    file = written(target, content)
    out.document = {"run": run_id, "file": str(file), "bytes": len(content)}
    out.line(f"{file} ({len(content) / 1e6:.1f} MB)")


def open_bundle(
    out: Output, file: Annotated[str, typer.Argument(metavar="FILE", help="A bundle of a run or a sweep.")]
) -> Code | None:
    """Takes in a bundle that any instance of the app has made."""
    from neuroal.commands.workplace import reading, working

    page = _page()
    if not Path(file).is_file():
        raise UserError(f"There is no file {file!r}; give the path of a bundle.")
    if _is_of_sweep(file):
        with working(instead="open it there, under Trade-offs") as workshop:
            run_id = page.adopted_sweep(workshop.sweeps, file)
    else:
        with reading() as shelf:
            run_id = page.adopted(shelf.runs, file)
    out.document = {"run": run_id}
    out.line(f"Run {run_id}")


def _is_of_sweep(file: str) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(file) as packed:
            return "sweep.json" in packed.namelist()
    except (OSError, zipfile.BadZipFile):
        return False  # whoever reads it says so


class _Logs:
    """Where the page's packer reads."""

    def __init__(self, shelf: Any) -> None:
        self.shelf = shelf

    def read(self, run_id: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        """As ``Jobs.read``."""
        return self.shelf.registry(run_id).read(run_id, after)


def _page() -> Any:
    """The page's own packer, which draws the charts."""
    import sys

    from neuroal.commands.serve import ROOT

    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    try:
        from components import bundles
    except ImportError as error:
        raise UserError(NO_PAGE) from error
    return bundles
