"""The command line as a whole: its commands, and how a process runs it."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import typer

from neuroal.commands import compare, evaluate, export, models, prune, runs, serve, sweep
from neuroal.commands.command import add_command
from neuroal.commands.output import EXIT_CODES, Code, Terminated, abandon
from neuroal.sharing.repeat import PROGRAM

NAME = "neuroal"

_ABOUT = """Prunes small language models, and shows why each block keeps what it keeps.

Runs are kept in the data folder (NEUROAL_DATA), where the page finds them, and a question that was answered before is
answered from there. A run is named by its id or the beginning of it, its name, a link to it, or the word last.
"""

_EPILOG = "\n\n".join(["Exit codes:", *(f"  {code.value}  {told}" for code, told in EXIT_CODES.items())])


def build() -> typer.Typer:
    """All commands."""
    app = typer.Typer(
        name=NAME, help=_ABOUT, epilog=_EPILOG, no_args_is_help=True, rich_markup_mode="rich",
        pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    add_command(app, prune.prune, prune.PRUNE_EXAMPLES, settings=prune.PRUNE_SETTINGS)
    add_command(app, prune.search, prune.SEARCH_EXAMPLES, settings=prune.SEARCH_SETTINGS)
    add_command(app, evaluate.evaluate, evaluate.EVALUATE_EXAMPLES, settings=evaluate.EVALUATE_SETTINGS)
    add_command(app, compare.compare, compare.COMPARE_EXAMPLES)
    add_command(app, sweep.sweep, sweep.SWEEP_EXAMPLES, settings=sweep.SWEEP_SETTINGS)
    app.add_typer(runs.build(), name="runs")
    add_command(app, export.export, export.EXPORT_EXAMPLES)
    add_command(app, export.decode, export.DECODE_EXAMPLES)
    add_command(app, export.push, export.PUSH_EXAMPLES)
    add_command(app, models.models, models.MODELS_EXAMPLES)
    add_command(app, serve.serve, serve.SERVE_EXAMPLES, logs=True)
    return app


app = build()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line once; returns the code to exit with."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" not in given:
        os.environ.setdefault("TQDM_DISABLE", "1")  # before it is imported: the libraries' bars are none of ours
    before = signal.signal(signal.SIGTERM, _terminate)
    # Completion is for a command of its own name: shells cannot complete what comes after "python -m".
    completing = any(word.startswith(("--show-completion", "--install-completion")) for word in given[:1])
    called = NAME if completing or f"_{NAME.upper()}_COMPLETE" in os.environ or _is_installed() else PROGRAM
    try:
        try:
            return int(app(args=given, prog_name=called, standalone_mode=False) or 0)
        except Exception as error:
            return int(_misused(error, "--json" in given))
    except KeyboardInterrupt as stop:
        return int(Code.TERMINATED if isinstance(stop, Terminated) else Code.INTERRUPTED)
    except OSError as error:
        abandon(sys.stdout)
        return int(Code.PIPE_CLOSED if error.errno == errno.EPIPE else Code.FAILED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _misused(error: Any, as_json: bool) -> Code:
    """Typer refuses an option or a command; it does not say so itself, because that would be no JSON."""
    if type(error).__name__ == "Abort":
        return Code.INTERRUPTED
    if not hasattr(error, "format_message"):
        raise error
    error.show(file=sys.stderr)
    if as_json:
        print(json.dumps({"error": error.format_message(), "code": int(Code.MISUSED)}, indent=1), flush=True)
    return Code.MISUSED


def _is_installed() -> bool:
    """Whether it was called by a name of its own."""
    return os.path.basename(sys.argv[0]).split(".")[0] == NAME


def _terminate(*_: object) -> None:
    raise Terminated
