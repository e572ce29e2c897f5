"""How a command is made of a function: its options, what becomes of its errors, and how the process then ends."""

from __future__ import annotations

import contextlib
import errno
import inspect
import logging
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Annotated, Any

import typer

from neuroal.commands.asked import taken
from neuroal.commands.output import Busy, Code, Misuse, Output, Terminated, abandon
from neuroal.commands.settings import parameters
from neuroal.errors import UserError
from neuroal.sharing.repeat import PROGRAM

_JSON = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")]
_DEBUG = Annotated[bool, typer.Option("--debug", help="Show tracebacks, and what the libraries log.")]


def add_command(
    app: typer.Typer,
    function: Callable[..., Code | None],
    examples: Sequence[str],
    *,
    name: str | None = None,
    settings: Collection[str] = (),
    panel: str | None = None,
    logs: bool = False,
) -> None:
    """Adds a command.

    Args:
        function: takes an Output first; its other parameters are options as typer wants them, and the first line of
            its docstring is the help. With ``settings`` its second parameter is a dict of those that were given.
        logs: whether it sets up the log itself.
        examples: command lines, without the program's name, shown at the end of the help.
        settings: names of RunSpec's fields that can be given as options.
    """
    own = list(inspect.signature(function, eval_str=True).parameters.values())[2 if settings else 1 :]

    def run(**values: Any) -> None:
        out = Output(values.pop("json"), values.pop("debug"))
        given = (taken(values),) if settings else ()
        with contextlib.nullcontext() if logs else _logged(out):
            code = _run(out, lambda: function(out, *given, **values))
        raise typer.Exit(int(code))

    shared = [_option("json", _JSON), _option("debug", _DEBUG)]
    asked = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *parameters(settings), *shared)]
    run.__signature__ = inspect.Signature(asked)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in asked}
    run.__doc__ = inspect.cleandoc(function.__doc__ or "")
    run.examples = tuple(examples)  # type: ignore[attr-defined]
    shown = "\n\n".join(["Examples:", *(f"  {PROGRAM} {example}".replace("[", r"\[") for example in examples)])
    app.command(name or function.__name__.replace("_", "-"), epilog=shown, rich_help_panel=panel)(run)


def _option(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)


def _run(out: Output, work: Callable[[], Code | None]) -> Code:
    """Does the work and writes its answer; whatever goes wrong is one sentence and a code."""
    try:
        try:
            with contextlib.redirect_stdout(out.stderr):  # what a library prints is no answer
                code = work() or Code.OK
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            code = _told(out, error)
        out.finish()
    except OSError as error:
        abandon(out.stdout)
        if error.errno == errno.EPIPE:
            return Code.PIPE_CLOSED
        out.say("The answer could not be written: " + (error.strerror or "the output is closed") + ".")
        return Code.FAILED
    return code


def _told(out: Output, error: BaseException) -> Code:
    """Says what went wrong, in a sentence."""
    if out.debug and not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error, file=out.stderr)
    code = _code(error)
    if isinstance(error, KeyboardInterrupt):
        sentence = "Stopped."
    elif isinstance(error, UserError):
        sentence = str(error)
    else:
        from neuroal.runs.job import sentence as unexpected

        said = unexpected(error)
        seen = "" if out.debug else " Add --debug to see where."
        sentence = said if "unexpected" not in said else f"Something unexpected went wrong: {_brief(error)}.{seen}"
    out.say(sentence)
    known = out.document if isinstance(out.document, dict) else {}  # what was done before it went wrong
    out.document = {**known, "error": sentence, "code": int(code)}
    return code


def _brief(error: BaseException) -> str:
    said = " ".join(str(error).split())[:200].rstrip(".")
    return f"{type(error).__name__}{f' ({said})' if said else ''}"


def _code(error: BaseException) -> Code:
    if isinstance(error, Terminated):
        return Code.TERMINATED
    if isinstance(error, KeyboardInterrupt):
        return Code.INTERRUPTED
    if isinstance(error, Misuse):
        return Code.MISUSED
    return Code.IN_USE if isinstance(error, Busy) else Code.FAILED


@contextlib.contextmanager
def _logged(out: Output) -> Iterator[None]:
    """A person sees warnings of this app as a line each: no traceback in a log, and nothing of the libraries, unless
    all of that is asked for."""
    handler = logging.StreamHandler(out.stderr)
    logging.getLogger().addHandler(handler)
    if out.debug:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)
        return
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: record.name.startswith("neuroal") and not record.exc_info)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger().removeHandler(handler)
