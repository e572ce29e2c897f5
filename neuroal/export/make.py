"""Making an export: written aside, checked, then renamed. What goes wrong, or is cancelled, leaves nothing behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from neuroal.api import drain
from neuroal.errors import UserError
from neuroal.export import decoding, sparse, zipped
from neuroal.export.checkpoint import checkpoint_bytes, iter_checkpoint
from neuroal.export.events import ExportFinished, ExportStarted, ExportStep
from neuroal.export.forms import Form, find_form
from neuroal.export.provenance import Provenance, iter_provenance
from neuroal.export.source import Source
from neuroal.export.streams import sha256_of
from neuroal.export.verify import iter_verify
from neuroal.models.cache import put, require_space, scratch, written_aside
from neuroal.runs.events import Event

# Tokenizer, card and the like, on top of the weights.
BESIDE = 100_000_000

SUMS = "SHA256SUMS"

Steps = Generator[Event, None, ExportFinished]


@dataclass(frozen=True)
class Exported:
    """What was made: where it is, and what is told of it."""

    path: Path
    told: ExportFinished


def export(source: Source, form: str, target: str | Path) -> Exported:
    """:func:`iter_export`, drained."""
    return drain(iter_export(source, form, target))


def iter_export(source: Source, form: str, target: str | Path) -> Generator[Event, None, Exported]:
    """Makes one form of a pruned model, and checks it before it is there.

    Args:
        source: of ``of_run`` or ``of_model``; not written to.
        form: a name in ``FORMS``.
        target: the file, or for "folder" the folder, that is made; it must not exist yet.

    Yields:
        ExportStarted, ExportStep, and ExportFinished as the last one.

    Raises:
        UserError: the form is not known or cannot be made of this model, the target exists, the disk is too small, or
            what was made is not what it was made of.
    """
    wanted, target = find_form(form), Path(target).expanduser().absolute()
    if target.exists():
        raise UserError(f"{target.name!r} exists already; name another file or folder, or remove it first.")
    needed = int(wanted.copies * checkpoint_bytes(source.model)) + BESIDE
    require_space(target.parent, needed, "This export")
    return _export(source, wanted, target, needed)


def _export(source: Source, form: Form, target: Path, needed: int) -> Generator[Event, None, Exported]:
    yield ExportStarted(form.name, target.name, needed)
    known = yield from iter_provenance(source)
    finished = yield from _MAKERS[form.name](source, known, target)
    yield finished
    return Exported(target, finished)


def _folder(source: Source, known: Provenance, target: Path) -> Steps:
    started = time.perf_counter()
    with written_aside(target) as folder:
        checked = yield from _checkpoint(source, known, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        lines = []
        for done, path in enumerate(files, 1):
            lines.append(f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n")
            yield ExportStep("check", "Adding up checksums.", done, len(files))
        (folder / SUMS).write_text("".join(lines), encoding="utf-8")
        nbytes, sha256 = _bytes(folder), sha256_of(folder / SUMS)
        dense = _weights(folder)
    return ExportFinished("folder", target.name, nbytes, dense, sha256, checked, time.perf_counter() - started)


def _zip(source: Source, known: Provenance, target: Path) -> Steps:
    def pack(folder: Path, file: Path) -> Generator[Event, None, tuple[str, str]]:
        sha256 = yield from zipped.iter_zip(folder, file)
        count = yield from zipped.iter_check(file, folder)
        return sha256, f" The zip was read again: its {count} files are those of the checkpoint."

    return (yield from _packed("zip", source, known, target, pack))


def _sparse(source: Source, known: Provenance, target: Path) -> Steps:
    def pack(folder: Path, file: Path) -> Generator[Event, None, tuple[str, str]]:
        sha256 = yield from sparse.iter_encode(folder, file)
        count = yield from decoding.iter_check(file)
        return sha256, f" The sparse file was decoded again: its {count} files have the checksums of the checkpoint's."

    return (yield from _packed("sparse", source, known, target, pack))


def _packed(
    form: str,
    source: Source,
    known: Provenance,
    target: Path,
    pack: Callable[[Path, Path], Generator[Event, None, tuple[str, str]]],
) -> Steps:
    """A checkpoint in one file. ``pack`` makes the second argument of the first; returns its SHA-256 and a sentence."""
    started = time.perf_counter()
    with scratch(target.parent) as aside:
        folder, file = aside / "checkpoint", aside / "packed"
        folder.mkdir()
        checked = yield from _checkpoint(source, known, folder)
        sha256, sentence = yield from pack(folder, file)
        dense, nbytes = _weights(folder), file.stat().st_size
        put(file, target)
    return ExportFinished(form, target.name, nbytes, dense, sha256, checked + sentence, time.perf_counter() - started)


def _gguf(source: Source, known: Provenance, target: Path) -> Steps:
    from neuroal.export.gguf_file import iter_gguf

    started = time.perf_counter()
    with scratch(target.parent) as aside:
        tokens, folder = aside / "tokens", aside / "file"
        tokens.mkdir()
        folder.mkdir()
        file = folder / "model.gguf"
        checked = yield from iter_gguf(source, known, tokens, file)
        yield ExportStep("check", "Adding up checksums.")
        sha256, nbytes = sha256_of(file), file.stat().st_size
        put(file, target)
    dense = checkpoint_bytes(source.model)
    return ExportFinished("gguf", target.name, nbytes, dense, sha256, checked, time.perf_counter() - started)


def _checkpoint(source: Source, known: Provenance, folder: Path) -> Generator[Event, None, str]:
    """Writes and verifies it; returns the sentence about that."""
    yield from iter_checkpoint(source, known, folder)
    return (yield from iter_verify(source, known, folder))


def _bytes(folder: Path, pattern: str = "*") -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def _weights(folder: Path) -> int:
    return _bytes(folder, "*.safetensors")


_MAKERS: dict[str, Callable[[Source, Provenance, Path], Steps]] = {
    "folder": _folder,
    "zip": _zip,
    "sparse": _sparse,
    "gguf": _gguf,
}
