"""Debian's PostgreSQL as tests need it: a server of their own, on a socket in a folder of their own.

``initdb`` refuses root, so as root everything is done by the user ``postgres`` that Debian's package makes.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "p@ss/w:rd-%of the tests"

# Nothing of a test need survive a power cut; what was committed does survive a crash of the server.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "50",
            "listen_addresses": "''", "shared_buffers": "16MB", "log_min_messages": "fatal"}  # fmt: skip


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl, of the newest version that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Server:
    """A running server.

    Args:
        folder: an empty one that its user may write to; its path is short, for it is that of a socket too.
        user: as whom it runs; None for the user of this process.
    """

    def __init__(self, folder: Path, programs: Path, user: str | None, settings: dict[str, str]) -> None:
        self.folder, self.programs, self.user, self.settings = folder, programs, user, settings
        self._numbers = itertools.count(1)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if user is not None:
            shutil.chown(secret, user)
        self._run("initdb", "--no-sync", "--no-instructions", "-A", "scram-sha-256", "-U", "neuroal", "-E", "UTF8",
                  "--locale=C.UTF-8", f"--pwfile={secret}", "-D", str(folder / "data"))  # fmt: skip
        self.start()

    def start(self) -> None:
        options = " ".join(f"-c {name}={value}" for name, value in self.settings.items())
        self._control("start", "-o", f"{options} -k {self.folder}", "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """``fast`` breaks off every connection, ``immediate`` is as a crash."""
        self._control("stop", "-m", mode)

    def url(self, database: str = "postgres", password: str = PASSWORD, user: str = "neuroal") -> str:
        from sqlalchemy.engine import URL

        address = URL.create("postgresql+psycopg", user, password, database=database, query={"host": str(self.folder)})
        return address.render_as_string(hide_password=False)

    def new_database(self) -> str:
        """The URL of an empty one."""
        import psycopg

        name = f"test_{next(self._numbers)}"
        with psycopg.connect(
            host=str(self.folder), user="neuroal", password=PASSWORD, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.url(name)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-s", "-w", "-D", str(self.folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments], check=True, user=self.user, cwd=self.folder, timeout=60,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )  # fmt: skip


@contextmanager
def running(programs: Path, settings: dict[str, str] = SETTINGS) -> Iterator[Server]:
    """A server, until the end of the block. Not in pytest's folder: that of root is closed to the server's user."""
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="neuroal-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    try:
        server = Server(folder, programs, user, settings)
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)
