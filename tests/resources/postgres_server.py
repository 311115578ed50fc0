"""A PostgreSQL server of the test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.environment import need
from tests.resources.brokers import quiet_port

__all__ = ["PASSWORD", "PostgresServer"]

PASSWORD = "pg/S3cret?1"
_QUOTED = "pg%2FS3cret%3F1"


def _programs() -> Path | None:
    """The folder with initdb and postgres: Debian keeps it off PATH."""
    known = shutil.which("postgres")
    folders = [Path(known).resolve().parent] if known else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -float(folder.parent.name))
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_isready").exists()), None)


class PostgresServer:
    """Started by `start`, ended by `stop`; its data is kept between the two.

    PostgreSQL refuses to run as root: then it runs as the user ``postgres``, whom its Debian package makes.
    """

    def __init__(self, *, fsync: bool = False) -> None:
        programs = _programs()
        need(programs, "PostgreSQL", "apt-get install postgresql")
        assert programs is not None
        self._programs, self._fsync, self.port = programs, fsync, quiet_port()
        self.folder = Path(tempfile.mkdtemp(prefix="pfx-pg-"))  # short, and open to the other user: its socket stands in it
        self._data = self.folder / "data"
        self.process: subprocess.Popen[bytes] | None = None
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None

    @property
    def url(self) -> str:
        """With the password."""
        return f"postgresql://pfx:{_QUOTED}@127.0.0.1:{self.port}/postgres"

    def _command(self, *command: str) -> subprocess.Popen[bytes]:
        who = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        with (self.folder / "server.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **who)

    def _make(self) -> None:
        word = self.folder / "password"
        word.write_text(PASSWORD, encoding="utf-8")
        if self._user is not None:
            for path in (self.folder, word):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        made = self._command(
            str(self._programs / "initdb"), "-D", str(self._data), "-U", "pfx", "--auth=scram-sha-256", f"--pwfile={word}", "-E", "UTF8",
            "--no-locale", "--no-sync",
        )
        assert made.wait(60) == 0, self.log()

    def log(self) -> str:
        """The end of what it has told."""
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")[-3000:]

    def start(self) -> PostgresServer:
        """Start it, and wait until it answers."""
        if not self._data.exists():
            self._make()
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder, "max_connections": 100,
            "shared_buffers": "32MB", "fsync": "on" if self._fsync else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = self._command(str(self._programs / "postgres"), "-D", str(self._data), *options)
        until = time.monotonic() + 60
        while subprocess.run([str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False).returncode:
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)
        return self

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it fast, its clients' connections with it, and wait for its end."""
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(10)
            self.process = None

    def remove(self) -> None:
        """End it and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
