"""Which tables a journal has, how it is recognised, and which files and places are refused.

See ``docs/journal.md`` for the meaning of rows. Tables grow at their ends only; `leases` and `owners` tell who may append.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

from pocketflex_nb.core.errors import JournalError

__all__ = [
    "APPLICATION_ID", "FORMAT", "RUN_BITS", "TABLES", "check_place", "check_start", "checksum", "file_system_of", "is_sound", "prepare",
]

#: "PFXJ", in the file's header
APPLICATION_ID = 0x5046584A
#: number of this format, in the file's header as `user_version`. 2: with the tables `results` and `agents`
FORMAT = 2
#: a row's key is the number of its run, shifted, and its own number there: the rows of one run stand together, without an index
RUN_BITS = 40

#: as `sqlite_master` keeps them. Checksums find what SQLite does not: a byte that changed inside of a value
TABLES = {
    "runs": "CREATE TABLE runs "
    "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, begun REAL NOT NULL, header TEXT NOT NULL, crc INTEGER NOT NULL)",
    "records": "CREATE TABLE records "
    "(at INTEGER PRIMARY KEY, kind INTEGER NOT NULL, address TEXT NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL)",
    "answers": "CREATE TABLE answers "
    "(at INTEGER PRIMARY KEY, address TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL)",
    "blobs": "CREATE TABLE blobs (hash TEXT PRIMARY KEY, size INTEGER NOT NULL, kept REAL NOT NULL) WITHOUT ROWID",
    "results": "CREATE TABLE results "
    "(key TEXT PRIMARY KEY, node TEXT NOT NULL, used REAL NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL)",
    "agents": "CREATE TABLE agents "
    "(key TEXT PRIMARY KEY, token INTEGER NOT NULL, owner TEXT NOT NULL, format INTEGER, class TEXT, saved REAL, body TEXT, crc INTEGER)",
    "leases": "CREATE TABLE leases (run INTEGER PRIMARY KEY, token INTEGER NOT NULL, owner TEXT NOT NULL)",
    "owners": "CREATE TABLE owners (owner TEXT PRIMARY KEY, until REAL NOT NULL, lease REAL NOT NULL) WITHOUT ROWID",
}
#: file systems of a network: write-ahead logging needs memory that all who use the file share
_REMOTE = frozenset({
    "afs", "beegfs", "ceph", "cifs", "coda", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "glusterfs",
    "lustre", "ncpfs", "nfs", "nfs3", "nfs4", "smb", "smb2", "smb3", "smbfs",
})
_START = b"SQLite format 3\0"


def checksum(*parts: object) -> int:
    """A number that changes with any byte of the texts and numbers of a row."""
    text = "\0".join([part if part.__class__ is str else str(part) for part in parts])
    try:
        return zlib.crc32(text.encode())
    except UnicodeEncodeError:
        return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def is_sound(row: tuple[object, ...]) -> bool:
    """Whether the last field of a row is the checksum of the others."""
    return row[-1] == checksum(*row[:-1])


def file_system_of(path: Path, mounts: str = "/proc/mounts") -> str:
    """The kind of file system that `path` stands on, as the system names it; ``""`` where it does not say."""
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        where = fields[1].replace("\\040", " ")
        if len(where) >= len(best) and (str(path) == where or str(path).startswith(where.rstrip("/") + "/")):
            best, kind = where, fields[2]
    return kind


def check_place(path: Path, mounts: str = "/proc/mounts") -> None:
    """Raise unless a journal may stand at `path`.

    Raises
    ------
    JournalError
        Its folder is missing or read-only, it is itself a folder or read-only, or the file system is one of a network.
    """
    folder = path.parent
    if not folder.is_dir():
        raise JournalError(f"the journal {path} needs the folder {folder}, which is not there; create it, or name another file")
    if path.is_dir():
        raise JournalError(f"the journal {path} is a folder; name a file in it: {path / 'runs.sqlite'}")
    kind = file_system_of(folder.resolve(), mounts)
    if kind in _REMOTE:
        raise JournalError(
            f"the journal {path} would stand on a network file system ({kind}), where two machines could not see each other's writes; "
            "name a file on a local disk"
        )
    if not os.access(folder, os.W_OK):
        raise JournalError(f"the journal {path} cannot be written: the folder {folder} is read-only; name a file in another one")
    if path.exists() and not os.access(path, os.W_OK):
        raise JournalError(f"the journal {path} is read-only; give yourself the right to write, or copy it")


def check_start(path: Path) -> None:
    """Raise if the file is there and begins as no SQLite file does."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(_START))
    except FileNotFoundError:
        return
    except OSError as exc:
        raise JournalError(f"the journal {path} cannot be read: {exc.strerror or exc}") from exc
    if start and start != _START:
        raise JournalError(f"{path} is no journal: it is no SQLite file; name another one, and leave this one alone")


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file, or raise unless it is a journal that this version reads.

    Raises
    ------
    JournalError
        Another program's file, or one of a later version of this package.
    """
    do = connection.execute
    known, version = do("PRAGMA application_id").fetchone()[0], do("PRAGMA user_version").fetchone()[0]
    if known == APPLICATION_ID:
        if version > FORMAT:
            raise JournalError(
                f"the journal {path} has format {version}; this version of pocketflex_nb reads up to {FORMAT}: "
                "update it (pip install -U pocketflex_nb)"
            )
        if version < FORMAT:
            _renew(do)
        return
    if known or version or do("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise JournalError(f"{path} is no journal: it is an SQLite file of another program; name another one, and leave this one alone")
    _renew(do)


def _renew(do: Callable[[str], sqlite3.Cursor]) -> None:
    """Make the tables that a new file, or one of an earlier format, does not have yet."""
    do("BEGIN IMMEDIATE")  # of those who open a file at once, one makes the tables
    try:
        known = {name for (name,) in do("SELECT name FROM sqlite_master").fetchall()}
        for name, sql in TABLES.items():
            if name not in known:
                do(sql)
        do(f"PRAGMA application_id = {APPLICATION_ID}")
        do(f"PRAGMA user_version = {FORMAT}")
        do("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            do("ROLLBACK")
        raise
