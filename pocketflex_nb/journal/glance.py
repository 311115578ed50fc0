"""`Glance`: what can be told of a recorded run at once, however long it is; the whole of it is read when somebody asks."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from pocketflex_nb.core.errors import JournalError
from pocketflex_nb.journal.file_format import RUN_BITS, is_sound
from pocketflex_nb.journal.history import History
from pocketflex_nb.journal.journal_file import JournalFile
from pocketflex_nb.journal.row_kinds import Kind, Row
from pocketflex_nb.journal.salvage import DamagedJournal

__all__ = ["Glance", "Sums"]

_HOPS = f"({int(Kind.HOP)}, {int(Kind.FAILED)})"
_ENDS = f"({int(Kind.RESUMED)}, {int(Kind.END)})"
#: sums of the records up to one; the last but three are how many events they become, see `engine.records.recorded_events`
_SUMS = f"""
SELECT rtrim(address, '0123456789') AS place, kind, json_extract(body, '$.a') AS action, count(*), sum(json_extract(body, '$.s')),
    sum(coalesce(json_array_length(body, '$.c'), 0) * (json_extract(body, '$.all') IS NULL) + (json_extract(body, '$.u') IS NOT NULL) * ?3
        + (kind NOT IN ({int(Kind.RESULT)}, {int(Kind.ITEM)}, {int(Kind.CONTENT)}, {int(Kind.NOTED)}, {int(Kind.SUMS)}))
        + coalesce(json_array_length(body, '$.n'), 0)),
    sum(json_extract(body, '$.u[0]')), sum(json_extract(body, '$.u[1]')), sum(json_extract(body, '$."$"') IS NOT NULL)
FROM records WHERE at > ?1 AND at < ?2 AND (kind <> {int(Kind.HOP)} OR at > ?4) GROUP BY place, kind, action
"""
_SPENT = """
SELECT coalesce(sum(json_extract(body, '$.u[0]')), 0), coalesce(sum(json_extract(body, '$.u[1]')), 0) FROM records WHERE at > ? AND at < ?
"""
#: kinds of events that say something of the whole run, wherever they stand
_LASTING = ("abandoned", "conflict", "node_failed", "overdue", "pool_full", "summary", "unknown_action")


class Sums(NamedTuple):
    """Records that are alike: a place (an address without its last number), a kind, and an action, as SQLite reads JSON.

    Attributes
    ----------
    number, seconds, events, tokens, cost : float
        How many there are, how long they took, how many events they become, and what they spent.
    """

    place: str
    kind: str
    action: Any
    number: float
    seconds: float
    events: float
    tokens: float
    cost: float


class Glance:
    """A recorded run at a glance.

    Parameters
    ----------
    file : JournalFile or DamagedJournal
        Where it is.
    path : Path
        The journal's file, as it was named.
    run : int
        Its number.
    is_held : bool
        Whether a living process writes it.

    Attributes
    ----------
    name : str
        Its name.
    begun : float
        When it was launched, in seconds since 1970.
    header : dict
        What was known before the first node, but for its store.
    """

    def __init__(self, file: JournalFile | DamagedJournal, path: Path, run: int, is_held: bool) -> None:
        self._file, self.path, self.run, self.is_held = file, path, run, is_held
        self._bounds = run << RUN_BITS, (run + 1) << RUN_BITS
        found = file.read("SELECT id, name, begun, header, crc FROM runs WHERE id = ?", (run,))
        row = found[0] if found else (run, f"run {run}", 0.0, "{}", -1)
        known = bool(found) and is_sound(row)
        self.name, self.begun = str(row[1]), float(row[2]) if isinstance(row[2], (int, float)) else 0.0
        self.header: dict[str, Any] = json.loads(file.blobs.filled(str(row[3]))) if known else {}
        self._history: History | None = None

    @property
    def history(self) -> History:
        """All that is recorded of it; read once."""
        if self._history is None:
            self._history = History(self._file, self.run)
        return self._history

    @property
    def is_read(self) -> bool:
        """Whether `history` was read."""
        return self._history is not None

    def end(self) -> Row | None:
        """The record of its end; None when it did not end."""
        last = self._rows(f"kind IN {_ENDS} ORDER BY at DESC LIMIT 1")
        return last[0] if last and last[0].kind is Kind.END else None

    def hops(self) -> int:
        """How many nodes are finished."""
        found = self._file.read(f"SELECT count(*) FROM records WHERE at > ? AND at < ? AND kind IN {_HOPS}", self._bounds)
        return int(str(found[0][0]))

    def last_time(self) -> float:
        """When the last node was finished, in seconds since the launch; 0 when that is not told."""
        last = self._rows(f"kind IN {_HOPS} ORDER BY at DESC LIMIT 1")
        return float(last[0].data.get("t", 0.0)) if last else 0.0

    def usage(self) -> tuple[float, float]:
        """Tokens and cost that were spent."""
        found = self._file.read(_SPENT, self._bounds)
        return float(str(found[0][0])), float(str(found[0][1]))

    def tail(self, hops: int) -> tuple[int, list[Row]]:
        """The records from the last so many finished nodes on, and the number of the one before them."""
        last = f"SELECT at FROM records WHERE at > ? AND at < ? AND kind IN {_HOPS} ORDER BY at DESC LIMIT 1 OFFSET ?"
        found = self._file.read(last, (*self._bounds, hops))
        first = int(str(found[0][0])) - self._bounds[0] if found else 0
        return first, self._rows("at > ? ORDER BY at", self._bounds[0] + first)

    def sums(self, until: int) -> list[Sums] | None:
        """The records up to one, summed; None when that cannot be told without reading each."""
        base = self._bounds[0]
        summed = self._rows(f"at <= ? AND kind = {int(Kind.SUMS)} ORDER BY at DESC LIMIT 1", base + until)
        known = summed[0].data["sums"] if summed else ()
        try:
            is_old = 0 if self.header.get("told") else 1
            found = self._file.read(_SUMS, (base, base + until + 1, is_old, base + summed[0].number if summed else 0))
        except (sqlite3.Error, JournalError):  # a body that is no JSON: reading all of them tells which
            return None
        if any(row[-1] for row in found):
            return None
        return [
            *(
                Sums(str(place), "hop", did if did.startswith("[") else json.loads(did), *map(float, numbers))
                for place, did, *numbers in known
            ),
            *(
                Sums(str(place), Kind(int(str(kind))).name.lower(), action, *(float(str(number or 0)) for number in numbers))
                for place, kind, action, *numbers, _ in found
            ),
        ]

    def lasting(self, until: int) -> list[Row]:
        """The records up to one that tell something which a view of the whole run needs."""
        like = " OR ".join(f"body LIKE '%[\"{kind}\",%'" for kind in _LASTING)
        return self._rows(f"at <= ? AND kind = {int(Kind.NOTED)} AND ({like}) ORDER BY at", self._bounds[0] + until)

    def _rows(self, condition: str, *values: object) -> list[Row]:
        sql = f"SELECT at, kind, address, body, crc FROM records WHERE at > ? AND at < ? AND {condition}"
        filled, base = self._file.blobs.filled, self._bounds[0]
        return [
            Row(int(str(row[0])) - base, Kind(int(str(row[1]))), str(row[2]), filled(str(row[3])))
            for row in self._file.read(sql, (*self._bounds, *values)) if is_sound(row)
        ]
