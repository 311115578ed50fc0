"""`History`: what a journal holds of one run, read once, and found by address."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pocketflex_nb.journal.blobs import MENTION
from pocketflex_nb.journal.file_format import RUN_BITS, checksum, is_sound
from pocketflex_nb.journal.journal_file import JournalFile
from pocketflex_nb.journal.row_kinds import Kind, Row, read_changes, read_value
from pocketflex_nb.journal.salvage import DamagedJournal

__all__ = ["INSIDE", "History"]

#: begins the part of an address that names a run which a step began
INSIDE = "/~>"

#: the walk of an item is inside of the visit of the batch flow
_ITEM = re.compile(r"\[\d+\]$")
_KINDS = {int(kind): kind for kind in Kind}


class History:
    """The records of one run.

    Attributes
    ----------
    run : int
        Its number in the journal.
    name : str
        Its name.
    begun : float
        When it was launched, in seconds since 1970.
    header : dict
        What was known before the first node.
    rows : list of Row
        What was recorded, oldest first; without what runs did that its steps began.
    every : list of Row
        With that.
    missing : list of str
        What is damaged, in words.
    last, last_answer : int
        Numbers of the last record, and of the last answer; 0 when there is none.
    """

    def __init__(self, file: JournalFile | DamagedJournal, run: int) -> None:
        self.run, self._file = run, file
        found = file.read("SELECT id, name, begun, header, crc FROM runs WHERE id = ?", (run,))
        row = found[0] if found else (run, f"run {run}", 0.0, "{}", -1)
        self.missing: list[str] = [] if is_sound(row) else [f"the header of run {run}"]
        self.name, self.begun = str(row[1]), float(row[2]) if isinstance(row[2], (int, float)) else 0.0
        self.header: dict[str, Any] = json.loads(file.blobs.filled(str(row[3]))) if not self.missing else {}
        self.rows: list[Row] = []
        self.every: list[Row] = []
        self.answers: dict[tuple[str, int], str] = {}
        self.finished: dict[str, Row] = {}  # by address, the visits that are over
        self.inner: Counter[str] = Counter()  # by address, the visits inside that are over
        self.results: dict[str, Row] = {}  # results and items that stand for their call
        self.attempts: dict[str, int] = {}
        self.contents: dict[str, Row] = {}
        self.end: Row | None = None
        self._questions: dict[tuple[str, int], int] | None = None
        self.last = self.last_answer = 0
        self._read()

    def _read(self) -> None:
        base, blobs = self.run << RUN_BITS, self._file.blobs
        found = self._file.read("SELECT at, kind, address, body, crc FROM records WHERE at > ? AND at < ? ORDER BY at",
                                (base, base + (1 << RUN_BITS)))
        take, small = self._take, MENTION
        rows: Any = found
        for at, kind, address, body, crc in rows:
            self.last = number = at - base
            if crc != checksum(at, kind, address, body) or kind not in _KINDS:
                self.missing.append(f"record {number} of run {self.run}")
                continue
            take(Row(number, _KINDS[kind], address, blobs.filled(body) if len(body) == small else body))
        for answer in self._file.read("SELECT at, address, number, body, crc FROM answers WHERE at > ? AND at < ? ORDER BY at",
                                      (base, base + (1 << RUN_BITS))):
            self.last_answer = int(str(answer[0])) - base
            if is_sound(answer):
                self.answers[str(answer[1]), int(str(answer[2]))] = blobs.filled(str(answer[3]))
            else:
                self.missing.append(f"an answer of run {self.run}")

    def _take(self, row: Row) -> None:
        self.every.append(row)
        kind, address = row.kind, row.address
        inside = address.rfind(INSIDE) + 1  # where the part begins that names the run, if it is one inside
        if not inside:
            self.rows.append(row)
        if kind is Kind.HOP or kind is Kind.FAILED:
            self.finished[address] = row
            at = address.find("/", inside)
            at = address.find("/", at + 1) if at > 0 else at
            while at > 0:
                self.inner[_ITEM.sub("", address[:at])] += 1
                at = address.find("/", at + 1)
        elif kind in (Kind.RESULT, Kind.ITEM):
            self.results[address] = row
        elif kind is Kind.ATTEMPT:
            self.attempts[address] = max(self.attempts.get(address, 0), int(row.data["n"]) + 1)
        elif kind is Kind.CONTENT:
            self.contents[address] = row
        elif kind is Kind.END or kind is Kind.RESUMED:
            self.end = row if kind is Kind.END else None

    @property
    def hops(self) -> int:
        """How many nodes are finished."""
        return sum(row.kind in (Kind.HOP, Kind.FAILED) for row in self.rows)

    @property
    def status(self) -> str:
        """``done``, ``failed`` or ``cancelled``; ``unfinished`` when its process ended before it."""
        return str(self.end.data["status"]) if self.end is not None else "unfinished"

    @property
    def usage(self) -> tuple[float, float]:
        """Tokens and cost that its finished nodes have spent."""
        spent = [row.data["u"] for row in self.every if "u" in row.data]
        return sum(one[0] for one in spent), sum(one[1] for one in spent)

    @property
    def seconds(self) -> float:
        """How long its finished nodes took, in seconds."""
        return float(sum(row.data.get("s", 0.0) for row in self.rows))

    def questions(self) -> dict[tuple[str, int], int]:
        """The numbers of the questions that were asked, by where, and by which of those there."""
        if self._questions is None:
            self._questions = {}
            for row in self.rows:
                if row.kind is Kind.NOTED and '"asked"' in row.body:
                    for kind, _, _, _, facts in row.notes():
                        if kind == "asked" and (place := facts.get("place")):
                            self._questions[str(place[0]), int(place[1])] = int(facts["ask"])
        return self._questions

    def content(self, scope: str = "", *, hops: int | None = None) -> dict[Any, Any]:
        """What a store held after so many finished nodes, or at the end: the run's own, or the private one at an address."""
        content: dict[Any, Any] = {}
        if not scope:
            content = {read_value(key): read_value(value) for key, value in self.header.get("store", ())}
        for row in self.until(hops):
            if row.kind is Kind.CONTENT and row.address == scope and row.data.get("all"):
                content.clear()
            for where, pairs in read_changes(row):
                if where == scope:
                    for key, is_there, value in pairs:
                        if is_there:
                            content[key] = value
                        else:
                            content.pop(key, None)
        return content

    def private_contents(self) -> dict[str, dict[Any, Any]]:
        """What the private stores hold at the end, by address."""
        found: dict[str, dict[Any, Any]] = {}
        for row in self.every:
            for where, pairs in read_changes(row):
                if where:
                    content = found.setdefault(where, {})
                    for key, is_there, value in pairs:
                        if is_there:
                            content[key] = value
                        else:
                            content.pop(key, None)
        return found

    def until(self, hops: int | None) -> Iterator[Row]:
        """The records up to so many finished nodes; None: all."""
        count = 0
        for row in self.every:
            if hops is not None and count >= hops:
                return
            count += row.kind in (Kind.HOP, Kind.FAILED) and INSIDE not in row.address
            yield row
