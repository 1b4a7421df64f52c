"""A real PostgreSQL server of its own, on the loopback interface, stopped whatever happens."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.deploy.rendered import BIN

PROGRAMS = BIN.parent / "postgresql"
"""Where `make deploy-tools` links PostgreSQL's programs."""
USER = "recal"
_UNPRIVILEGED = "nobody"
_UNPACKED = PROGRAMS.parent / "postgresql-files"
"""Where they were unpacked, on a machine that has none installed."""


class Postgres:
    """A cluster that is made at the start and deleted at the end."""

    def __init__(self) -> None:
        # Not pytest's folder, which no other user may enter; a socket's path must be short, too.
        self._folder = Path(tempfile.mkdtemp(prefix="recal-postgres-"))
        self._programs, self._libraries = _programs(self._folder)
        self._password = secrets.token_hex(16)
        self.port = _free_port()

    @property
    def uri(self) -> str:
        """As MLflow takes it; a secret."""
        return f"postgresql+psycopg://{USER}:{self._password}@127.0.0.1:{self.port}/postgres"

    @property
    def dsn(self) -> str:
        """As psycopg takes it; a secret."""
        return self.uri.replace("+psycopg", "")

    def __enter__(self) -> Postgres:
        secret = self._folder / "password"
        secret.write_text(self._password)
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            for path in (self._folder, secret):
                shutil.chown(path, user=_UNPRIVILEGED)
        data = str(self._folder / "data")
        words = ("--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", f"--pwfile={secret}")
        self._run("initdb", f"--pgdata={data}", f"--username={USER}", *words)
        listen = f"-h 127.0.0.1 -p {self.port} -k {self._folder} -c fsync=off"
        log = self._folder / "log"
        self._run("pg_ctl", f"--pgdata={data}", "--wait", f"--log={log}", "-o", listen, "start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._run("pg_ctl", f"--pgdata={self._folder / 'data'}", "--mode=immediate", "stop")
        finally:
            shutil.rmtree(self._folder)

    def _run(self, program: str, *words: str) -> None:
        as_user: dict[str, Any] = {}
        if os.getuid() == 0:
            as_user = {"user": _UNPRIVILEGED, "group": _group(), "extra_groups": []}
        path = {"LD_LIBRARY_PATH": str(self._libraries)} if self._libraries else {}
        done = subprocess.run(
            [str(self._programs / program), *words],
            # pg_ctl's server inherits what is not given to it, and would keep a pipe open for good
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env={**os.environ, **path, "LC_ALL": "C"},
            cwd=self._folder,
            timeout=120,
            check=False,
            **as_user,
        )
        if done.returncode:
            log = self._folder / "log"
            told = log.read_text()[-2000:] if log.exists() else "no log"
            raise RuntimeError(f"`{program}` ended with {done.returncode}: {told}")


def _programs(folder: Path) -> tuple[Path, Path | None]:
    """Where PostgreSQL's programs lie, and the libraries that came with them.

    Unpacked ones are copied into `folder` where we are root and the checkout is root's alone: who
    runs them could not reach them there.
    """
    programs, unpacked = PROGRAMS.resolve(), _UNPACKED.resolve()
    if not programs.is_relative_to(unpacked):
        return programs, None
    if os.getuid() == 0 and not all(
        each.stat().st_mode & stat.S_IXOTH for each in programs.parents
    ):
        copied = shutil.copytree(unpacked, folder / "files", symlinks=True)
        programs, unpacked = copied / programs.relative_to(unpacked), copied
    return programs, next((unpacked / "usr" / "lib").glob("*-linux-gnu*"), None)


def _group() -> str:
    import grp
    import pwd

    return grp.getgrgid(pwd.getpwnam(_UNPRIVILEGED).pw_gid).gr_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
