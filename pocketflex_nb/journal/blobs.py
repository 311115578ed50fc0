"""Values of more than a megabyte: files beside the journal, named by the hash of what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import time
from pathlib import Path

from pocketflex_nb.core.errors import JournalError

__all__ = ["LARGE", "MENTION", "Blobs", "hash_in"]

#: bytes of a text from which on it is a file of its own
LARGE = 2**20
#: seconds that a file is left alone for which no row stands yet: its writer may be about to write that
_YOUNG = 3_600.0
#: characters of the mention of such a file
MENTION = len('{"$":"pfx blob","v":""}') + 64
_MENTION = re.compile(r'\{"\$":"pfx blob","v":"([0-9a-f]{64})"\}')


def hash_in(body: str) -> str | None:
    """The hash of the file that a body mentions instead of itself."""
    found = _MENTION.fullmatch(body)
    return None if found is None else found[1]


class Blobs:
    """The large values of one journal.

    Parameters
    ----------
    journal : Path
        They stand in the folder of its name with ``.blobs`` behind it, which is created with the first.
    """

    def __init__(self, journal: Path) -> None:
        self.folder = journal.with_name(journal.name + ".blobs")

    def keep(self, text: str) -> tuple[str, str, int]:
        """Write a text unless it is there; its mention for a body, its hash, and its size in bytes."""
        data = text.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(data).hexdigest()
        file = self._file(digest)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            try:
                os.utime(file)  # used again: `prune` leaves it alone
            except FileNotFoundError:
                self._write(file, data)
        except OSError as exc:
            raise JournalError(f"a value of {len(data):,} bytes cannot be kept in the folder {self.folder}: {exc.strerror}") from exc
        return f'{{"$":"pfx blob","v":"{digest}"}}', digest, len(data)

    def _write(self, file: Path, data: bytes) -> None:
        """All or nothing, and on the disk before the row that mentions it."""
        part = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            with open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            os.replace(part, file)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise

    def _file(self, digest: str) -> Path:
        return self.folder / digest

    def text(self, digest: str) -> str:
        """What was kept.

        Raises
        ------
        JournalError
            The file is missing, or is not what was written.
        """
        try:
            data = self._file(digest).read_bytes()
        except OSError as exc:
            raise JournalError(f"a large value is missing: {self._file(digest)} ({exc.strerror}); copy it back beside the journal") from exc
        if hashlib.sha256(data).hexdigest() != digest:
            raise JournalError(f"a large value is damaged: {self._file(digest)} is not what was written")
        return data.decode("utf-8", "surrogatepass")

    def filled(self, body: str) -> str:
        """A body, or the text of the file that it mentions instead of itself."""
        found = _MENTION.fullmatch(body)
        return body if found is None else self.text(found[1])

    def drop_but(self, kept: set[str]) -> int:
        """Remove the files whose hash is not in `kept`, but the youngest; their number."""
        count = 0
        with contextlib.suppress(FileNotFoundError):
            for file in self.folder.iterdir():
                with contextlib.suppress(OSError):
                    if file.name[:64] not in kept and time.time() - file.stat().st_mtime > _YOUNG:
                        file.unlink()
                        count += 1
        return count
