"""``export``, ``decode`` and ``push``: a pruned model taken away."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroal.commands.completion import run_names
from neuroal.commands.output import Code, Misuse, Output
from neuroal.commands.progress import Watch
from neuroal.commands.settings import completing
from neuroal.errors import UserError
from neuroal.export.forms import FORMS, find_form
from neuroal.models.memory import gigabytes

if TYPE_CHECKING:
    from neuroal.runs.events import Event

FORM_HELP = f"One of: {', '.join(FORMS)}."

HELP = "Id or its beginning, name, link, or last."
Run = Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_names, help=HELP)]
Form = Annotated[str, typer.Option("--form", help=FORM_HELP, autocompletion=completing(FORMS))]

EXPORT_EXAMPLES = (
    "export last --out ./my-pruned-model",
    "export RUN --form sparse --out my-model.sparse.zip",
    "export RUN --form gguf --out my-model.gguf --json",
)
DECODE_EXAMPLES = ("decode my-model.sparse.zip --out ./my-pruned-model",)
PUSH_EXAMPLES = ("push last me/my-pruned-model", "push RUN me/my-pruned-model --public")


class ExportWatch(Watch):
    """An export or an upload."""

    def empty(self) -> Any:
        """The state before the first record."""
        return {"message": "", "done": 0, "total": 0}

    def fold(self, record: dict[str, Any]) -> None:
        """One more record."""
        if record["kind"] == "ExportStep":
            self.state |= {name: record[name] for name in ("message", "done", "total")}

    def where(self) -> tuple[str, float, str]:
        """What happens now."""
        state = self.state
        return state["message"], state["done"] / state["total"] if state["total"] else 0.0, ""

    def news(self, record: dict[str, Any]) -> str:
        """Each stage once."""
        return self.state["message"] if record["kind"] == "ExportStep" else ""


def export(
    out: Output,
    run: Run,
    target: Annotated[str, typer.Option("--out", metavar="PATH", help="The file, or folder, that is made.")],
    form: Form = "folder",
) -> Code | None:
    """Makes a checkpoint, a zip, a sparse file or a GGUF file of a finished run's pruned model, and checks it."""
    check_target(form, target)
    from neuroal.commands.workplace import reading

    with reading() as shelf:
        run_id = shelf.find(run, "run")
        out.document = {"run": run_id, "export": exported(out, shelf, run_id, form, target)}


def check_target(form: str, target: str) -> None:
    """Refuses before anything is computed.

    Raises:
        Misuse: the form is not known, or the target is there already.
    """
    try:
        find_form(form)
    except UserError as error:
        raise Misuse(str(error)) from error
    if Path(target).expanduser().exists():
        raise Misuse(f"{target!r} exists already; name another file or folder, or remove it first.")


def exported(out: Output, where: Any, run_id: str, form: str, target: str) -> dict[str, Any]:
    """Exports a run.

    Args:
        where: knows the run and its pruned model: a workshop, or what reads the store.

    Returns:
        what is told of it, as JSON values.
    """
    from neuroal.importing import import_engine

    import_engine()
    from neuroal.export import iter_export, of_run

    made = drained(out, iter_export(of_run(where, run_id), form, target))
    told = made.told.to_dict() | {"path": str(made.path)}
    out.line(f"{target} ({gigabytes(told['bytes'])}, sha256 {told['sha256']})")
    out.line(told["checked"])
    return {name: value for name, value in told.items() if name != "kind"}


def decode(
    out: Output,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A sparse file.")],
    target: Annotated[str, typer.Option("--out", metavar="FOLDER", help="The folder that is made.")],
) -> Code | None:
    """Turns a sparse file back into the checkpoint that it was made of, bit for bit."""
    if not Path(file).is_file():
        raise UserError(f"There is no file {file!r}; give the path of a sparse file.")
    check_target("folder", target)
    from neuroal.importing import import_engine

    import_engine()
    from neuroal.export import iter_decode

    folder = drained(out, iter_decode(file, target))
    out.document = {"path": str(folder)}
    out.line(f"{target}: the checkpoint, with the checksums of what was exported")


def push(
    out: Output,
    run: Run,
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="On the Hugging Face Hub.")],
    public: Annotated[
        bool, typer.Option("--public/--private", help="Who sees a repository that is made for it.")
    ] = False,
) -> Code | None:
    """Uploads a finished run's pruned model to the Hugging Face Hub, by your login there or HF_TOKEN."""
    from neuroal.commands.workplace import reading
    from neuroal.importing import import_engine

    with reading() as shelf:
        run_id = shelf.find(run, "run")
        import_engine()
        from neuroal.export import iter_push, of_run

        pushed = drained(out, iter_push(of_run(shelf, run_id), repository, private=not public))
    out.document = {"run": run_id, "repository": pushed.repo_id, "url": pushed.url, "private": pushed.private}
    out.line(f"{pushed.url} ({'private' if pushed.private else 'public'})")


def drained(out: Output, events: Generator[Event, None, Any]) -> Any:
    """Shows a generator of an export's events; returns its result. Stopped, it leaves nothing behind."""
    with ExportWatch(out) as watch, closing(events):
        while True:
            try:
                watch.take([next(events).to_dict()])
            except StopIteration as end:
                return end.value
