"""`ResultCache`: results of `exec` by what they depend on, kept in a journal's file for the runs that follow."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from pocketflex_nb.core.errors import JournalError
from pocketflex_nb.journal.blobs import LARGE
from pocketflex_nb.journal.file_format import checksum
from pocketflex_nb.journal.journal_file import JournalFile, Statement

__all__ = ["ResultCache"]

_DAY = 86_400.0
_KEPT = (
    "INSERT INTO results VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT (key) DO UPDATE SET node = ?2, used = ?3, body = ?4, crc = ?5"
)
_BLOB = "INSERT INTO blobs VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO UPDATE SET kept = ?3"


class ResultCache:
    """The cached results of one file.

    Parameters
    ----------
    file : JournalFile
        Where they are.
    """

    def __init__(self, file: JournalFile) -> None:
        self.file = file

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    def get(self, key: str) -> str | None:
        """The result as it was encoded; None when there is none, or it is damaged.

        Raises
        ------
        JournalError
            The file cannot be read.
        """
        rows = self.file.read("SELECT node, used, body, crc FROM results WHERE key = ?", (key,))
        if not rows:
            return None
        node, used, body, crc = rows[0]
        if crc != checksum(key, node, body):
            return None
        now = time.time()
        if now - float(str(used)) > _DAY:  # `prune` leaves it alone
            self.file.submit([("UPDATE results SET used = ? WHERE key = ?", (now, key), False)], None, "batch")
        try:
            return self.file.blobs.filled(str(body))
        except JournalError:  # its file is gone
            return None

    async def keep(self, key: str, node: str, text: str) -> None:
        """Keep a result; returns when those who look for it find it.

        Raises
        ------
        JournalError
            It could not be written.
        """
        statements: list[Statement] = []
        now = time.time()
        if len(text) > LARGE:
            text, digest, size = self.file.blobs.keep(text)
            statements.append((_BLOB, (digest, size, now), False))
        statements.append((_KEPT, (key, node, now, text, checksum(key, node, text)), False))
        if not self.file.try_write(statements):
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.file.submit(statements, done)
            await done
