"""The data folder, and how anything comes into it: written aside, then renamed, so that no half file is ever in use."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neuroal.errors import DISK_FULL, UserError

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "data"
PARTIAL = ".partial"

# An untouched temporary folder this old belongs to nobody, where its writer cannot be asked.
STALE_SECONDS = 24 * 3600

# A process that started so much later than a folder was last touched is not its writer: ids are given again.
LATER_SECONDS = 60

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
WRITE_FAILURES = (*FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
HOST = socket.gethostname().replace(".", "-")

_in_use: set[str] = set()


def data_path() -> Path:
    """Where the data folder is, for reading: ``NEUROAL_DATA``, or ``data`` beside the code. It may not exist yet."""
    return Path(os.environ.get("NEUROAL_DATA") or DEFAULT_FOLDER).expanduser().absolute()


def data_folder() -> Path:
    """The folder of everything that outlives the process, for writing; created on demand.

    Raises:
        UserError: it cannot be created or written.
    """
    folder = data_path()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(_cannot_write()) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(_cannot_write())
    return folder


def require_space(folder: Path, needed: int, what: str) -> None:
    """Refuses before the work rather than in the middle of it.

    Raises:
        UserError: fewer than ``needed`` bytes are free where ``folder`` is, or will be.
    """
    place = next(f for f in (folder, *folder.absolute().parents) if f.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise UserError(
            f"{what} needs about {needed / 10**9:.1f} GB of disk, but only {free / 10**9:.1f} GB are free; "
            "make room, or set NEUROAL_DATA (or HF_HOME for Hub downloads) to a folder on a larger disk."
        )


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """A new empty folder that becomes ``target`` when the block ends well, and vanishes when it does not.

    A ``target`` that exists is replaced. Should the process be killed in between, only a ``.partial`` folder is left,
    which nobody uses and :func:`sweep` removes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent)
    with _partial(target.parent, target.name) as folder:
        yield folder
        for path in (*folder.rglob("*"), folder):
            _settle(path)
        _replace(folder, target)
        _settle(target.parent)


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A temporary folder inside ``parent``, removed when the block ends, however it ends."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    with _partial(parent, "scratch") as folder:
        yield folder


def sweep(parent: Path) -> None:
    """Removes temporary folders whose writer is gone: a dead process of this machine, or elsewhere and a day old."""
    for folder in parent.glob(f".*{PARTIAL}"):
        if folder.name not in _in_use and _is_stale(folder):
            shutil.rmtree(folder, ignore_errors=True)


def put(file: Path, target: Path) -> None:
    """Renames a file that was written aside, once its content is on the disk: after a power loss a name may otherwise
    be there without it. What is called ``target`` is replaced."""
    _settle(file)
    os.replace(file, target)
    _settle(target.parent)


def discard(target: Path) -> None:
    """Removes a folder at once: it is never seen in part."""
    with _partial(target.parent, target.name) as old:
        os.replace(target, old)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock beside ``path``, against other threads and other processes; waits as long as it takes."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / f".{path.name}.lock", thread_local=False):
        yield


@contextmanager
def _partial(parent: Path, name: str) -> Iterator[Path]:
    """A folder named after its writer, so that a sweep can tell whether that writer still lives."""
    unique = f"{_began(os.getpid())}-{uuid.uuid4().hex[:8]}"
    folder = parent / f".{name}.{HOST}.{os.getpid()}.{unique}{PARTIAL}"
    _in_use.add(folder.name)
    try:
        folder.mkdir()
        yield folder
    except Exception as error:
        if (number := _errno(error)) not in WRITE_FAILURES:
            raise
        raise UserError(DISK_FULL if number in FULL else _cannot_write()) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _in_use.discard(folder.name)


def _settle(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk; where the system cannot tell, it is not waited."""
    with suppress(OSError):
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _replace(folder: Path, target: Path) -> None:
    """``os.replace`` for folders, which cannot replace one that is not empty: that one steps aside first."""
    if not target.exists():
        os.replace(folder, target)
        return
    with _partial(target.parent, target.name) as old:
        os.replace(target, old)
        os.replace(folder, target)


def _is_stale(folder: Path) -> bool:
    """Whether the writer named in the folder's name is gone; a folder that cannot be read is left alone."""
    try:
        touched = folder.stat().st_mtime
    except OSError:
        return False
    match folder.name.rsplit(".", 4):
        case [_, host, pid, unique, _] if host == HOST and pid.isdigit():
            # Our own id but not in our list: a process before us, in a container that numbers them from 1 each time.
            if int(pid) == os.getpid():
                return True
            if began := unique.rpartition("-")[0]:  # whatever the clock says since
                return began != _began(int(pid))
            return not _runs_since(int(pid), touched)
    return time.time() - touched > STALE_SECONDS


def _began(pid: int) -> str:
    """When a process was started, in the kernel's count since the machine was; "" where there is none to read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _runs_since(pid: int, moment: float) -> bool:
    """Whether a process that was there at that moment still is."""
    import psutil

    try:
        return psutil.Process(pid).create_time() <= moment + LATER_SECONDS
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _errno(error: Exception) -> int | None:
    """The system's number of what went wrong; safetensors only quotes it."""
    if isinstance(error, OSError):
        return error.errno
    quoted = re.search(r"\(os error (\d+)\)", str(error))
    return int(quoted[1]) if quoted else None


def _cannot_write() -> str:
    """One sentence for every way of not being able to write there."""
    return (
        "The data folder cannot be written; set NEUROAL_DATA to a folder that exists or can be created, "
        "that this process may write to, and that has room."
    )
