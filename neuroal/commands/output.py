"""What a command says: its answer to stdout, as text or as one JSON document; everything else to stderr.

Where stdout or stderr is no terminal nothing but plain text is written to it: tables become lines of cells separated by
tabs, and progress becomes a sentence a stage.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TextIO

from neuroal.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


class Code(IntEnum):
    """What the process says to whoever started it, see ``EXIT_CODES``."""

    OK = 0
    FAILED = 1
    MISUSED = 2
    IN_USE = 3
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


EXIT_CODES = {
    Code.OK: "done",
    Code.FAILED: "a run failed, or what was asked could not be done",
    Code.MISUSED: "an option or a value that is not allowed",
    Code.IN_USE: "another process uses the data folder",
    Code.INTERRUPTED: "stopped by Ctrl+C; a run can be resumed",
    Code.PIPE_CLOSED: "whoever read the output went away",
    Code.TERMINATED: "stopped by SIGTERM; a run can be resumed",
}


# Letters of a word that a column of text has room for; a longer one goes on in the next line.
LONGEST_WORD = 20


class Misuse(UserError):
    """An option, a file or a value that is not allowed: exit code 2."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl+C, from a supervisor."""


class Busy(UserError):
    """Another process uses the data folder: exit code 3."""


class Output:
    """Where a command writes.

    Args:
        as_json: one JSON document instead of text on stdout.
        debug: tracebacks and the log of the libraries too.

    Attributes:
        document: the JSON document, which the command fills.
    """

    def __init__(self, as_json: bool = False, debug: bool = False) -> None:
        self.as_json, self.debug = as_json, debug
        self.document: Any = None
        self.stdout, self.stderr = sys.stdout, sys.stderr
        self._errors: Console | None = None

    @property
    def errors(self) -> Console:
        """stderr, for notices and progress."""
        self._errors = self._errors or _console(self.stderr)
        return self._errors

    @property
    def interactive(self) -> bool:
        """Whether progress may be drawn."""
        return self.stderr.isatty() and not self.errors.is_dumb_terminal

    @property
    def terminal(self) -> bool:
        """Whether a person reads the answer as it comes."""
        return self.stdout.isatty()

    def say(self, sentence: str) -> None:
        """A notice, to stderr; nobody may be listening there any more."""
        with suppress(OSError, ValueError):
            if self.stderr.isatty():
                self.errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
            else:
                print(sentence, file=self.stderr, flush=True)

    def line(self, text: str = "") -> None:
        """A part of the answer as text."""
        if not self.as_json:
            print(text, file=self.stdout)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A part of the answer: aligned in a terminal that is wide enough, in a narrower one a line a cell, and where
        there is none cells apart by tabs."""
        if self.as_json:
            return
        rows = [list(row) for row in rows]
        if not self.terminal:
            for row in (head, *rows):
                self.line("\t".join(" ".join(cell.split()) for cell in row))
            return
        used = [i for i in range(len(head)) if any(row[i] for row in rows)]
        head, rows = [head[i] for i in used], [[row[i] for i in used] for row in rows]
        console = _console(self.stdout)
        if _least_width(head, rows) <= console.width:
            console.print(_table(head, rows))
            return
        for row in rows:
            for name, cell in zip(head, row, strict=True):
                console.print(f"{name}: {cell}" if name else cell, markup=False, highlight=False, soft_wrap=True)
            self.line()

    def finish(self) -> None:
        """Writes the document, and all that is still to be written."""
        if self.as_json:
            json.dump(self.document, self.stdout, indent=1, ensure_ascii=False, allow_nan=False)
            self.stdout.write("\n")
        self.stdout.flush()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Figures are set to the right and kept whole, as is what has no blank; the other columns share what is left."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(head):
        figures = _are_figures(rows, i)
        drawn.add_column(
            Text(name), justify="right" if figures else "left", no_wrap=_is_whole(rows, i), overflow="fold"
        )
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn


def _are_figures(rows: Sequence[Sequence[str]], i: int) -> bool:
    return i > 0 and all(row[i][:1] in "0123456789-–+" for row in rows)


def _is_whole(rows: Sequence[Sequence[str]], i: int) -> bool:
    return _are_figures(rows, i) or not any(" " in row[i] for row in rows)


def _least_width(head: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Letters of a line in which no figure is cut, and no word into more pieces than can be read."""
    width = 0
    for i, name in enumerate(head):
        pieces = [name, *(row[i] for row in rows)]
        if not _is_whole(rows, i):
            pieces = [word[:LONGEST_WORD] for piece in pieces for word in piece.split()]
        width += max(map(len, pieces), default=0) + 2
    return width


def _console(file: TextIO) -> Console:
    from rich.console import Console

    return Console(file=file)


def abandon(stream: TextIO) -> None:
    """Nothing more is written to a stream that cannot take it, also not when the process ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
