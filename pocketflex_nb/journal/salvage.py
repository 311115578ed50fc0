"""Reads what is sound of a damaged journal: every row that stands whole on some page of the file or of its write-ahead log.

SQLite gives up where a page of the tree above is damaged, although the leaves, which hold the rows, may be whole. Here the leaves are read
one by one, without the tree; a row counts when its checksum is right.

References
----------
https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from pocketflex_nb.core.errors import JournalError
from pocketflex_nb.journal.blobs import Blobs
from pocketflex_nb.journal.file_format import TABLES, is_sound

__all__ = ["DamagedJournal"]

_LEAF = 0x0D
_WAL_START, _FRAME_START = 32, 24
_WIDTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


class DamagedJournal:
    """A damaged journal, to be read: `read` answers queries as `JournalFile.read` does, over the rows that are sound.

    Attributes
    ----------
    missing : list of str
        What cannot be read, in words.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.blobs = path, Blobs(path)
        self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        for sql in TABLES.values():
            self._memory.execute(sql)
        pages, size = _pages_of(path)
        found: dict[str, dict[int, tuple[object, ...]]] = {"runs": {}, "records": {}, "answers": {}}
        for page in pages.values():
            for key, fields in _rows_on(page, pages.get, size):
                for table, row in _read_as(key, fields):
                    found[table][key] = row
        for table, rows in found.items():
            marks = ", ".join("?" * 5)
            self._memory.executemany(f"INSERT INTO {table} VALUES ({marks})", [rows[key] for key in sorted(rows)])
        self.missing = [f"some pages of {path.name}: {reason}"]

    def read(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """The rows of a query."""
        return self._memory.execute(sql, values).fetchall()

    def close(self) -> None:
        """Forget what was read."""
        self._memory.close()


def _pages_of(path: Path) -> tuple[dict[int, bytes], int]:
    """The pages by number, those of the write-ahead log in the place of the older ones; and the size of a page in bytes."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise JournalError(f"the journal {path} cannot be read: {exc.strerror or exc}") from exc
    size = int.from_bytes(data[16:18], "big") or 65_536
    if size == 1:
        size = 65_536
    if size < 512 or size & (size - 1) or size > 65_536:
        size = 4_096
    pages = {number + 1: data[number * size : (number + 1) * size] for number in range((len(data) + size - 1) // size)}
    try:
        log = path.with_name(path.name + "-wal").read_bytes()
    except OSError:
        return pages, size
    pending: dict[int, bytes] = {}
    salt = log[16:24]
    for at in range(_WAL_START, len(log) - _FRAME_START - size + 1, _FRAME_START + size):
        number, commit = struct.unpack(">II", log[at : at + 8])
        if log[at + 8 : at + 16] != salt:  # of an earlier round
            break
        pending[number] = log[at + _FRAME_START : at + _FRAME_START + size]
        if commit:
            pages.update(pending)
            pending.clear()
    return pages, size


def _rows_on(page: bytes, page_of: Callable[[int], bytes | None], size: int) -> Iterator[tuple[int, list[object]]]:
    """Key and fields of the rows on a leaf; of what is damaged, those that are not."""
    start = 100 if page[:16] == b"SQLite format 3\0" else 0
    if len(page) < start + 8 or page[start] != _LEAF:
        return
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    for number in range(min(count, size // 4)):
        at = start + 8 + 2 * number
        try:
            yield _row_at(page, int.from_bytes(page[at : at + 2], "big"), page_of, size)
        except (IndexError, ValueError, struct.error, UnicodeDecodeError):
            continue


def _row_at(page: bytes, at: int, page_of: Callable[[int], bytes | None], size: int) -> tuple[int, list[object]]:
    length, at = _varint(page, at)
    key, at = _varint(page, at)
    most = size - 35
    local = length
    if length > most:
        least = (size - 12) * 32 // 255 - 23
        local = least + (length - least) % (size - 4)
        local = local if local <= most else least
    payload = page[at : at + local]
    if local < length:
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        parts, left, seen = [payload], length - local, set[int]()
        while left > 0 and following and following not in seen:
            seen.add(following)
            more = page_of(following)
            if more is None:
                raise ValueError("a page is missing")
            parts.append(more[4 : 4 + min(left, size - 4)])
            left -= len(parts[-1])
            following = int.from_bytes(more[:4], "big")
        payload = b"".join(parts)
    if len(payload) != length:
        raise ValueError("cut short")
    return key, _fields(payload)


def _fields(payload: bytes) -> list[object]:
    end, at = _varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    fields: list[object] = []
    for kind in kinds:
        width = (kind - 12) // 2 if kind >= 12 else _WIDTHS[kind]
        data = payload[at : at + width]
        if len(data) != width:
            raise ValueError("cut short")
        at += width
        if kind >= 12:
            fields.append(data.decode() if kind & 1 else data)
        elif kind == 7:
            fields.append(struct.unpack(">d", data)[0])
        elif kind in (8, 9):
            fields.append(kind - 8)
        else:
            fields.append(int.from_bytes(data, "big", signed=True) if kind else None)
    return fields


def _read_as(key: int, fields: list[object]) -> Iterator[tuple[str, tuple[object, ...]]]:
    """A row as the table has it whose checksum it bears."""
    if len(fields) != 5 or fields[0] is not None:
        return
    row = (key, *fields[1:])
    if isinstance(row[1], int):
        tables = [("records", row)]
    elif isinstance(row[2], int):
        tables = [("answers", row), ("runs", (row[0], row[1], float(row[2]), *row[3:]))]  # a whole number may stand for a float
    else:
        tables = [("runs", row)]
    for table, as_row in tables:
        if is_sound(as_row):
            yield table, as_row


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    value = value << 8 | data[at]
    return value - (1 << 64) if value >= 1 << 63 else value, at + 1
