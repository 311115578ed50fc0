"""`Tally`: what the finished nodes of a run come to so far, counted while it walks and written down from time to time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pocketflex_nb.journal.row_kinds import Kind, Row

__all__ = ["EVERY", "PLACES", "Tally"]

#: finished nodes between two records of sums
EVERY = 2_048
#: places (addresses without their last number, with an action) above which a run is not summed: it has as many as visits
PLACES = 200


class Tally:
    """The sums of one run.

    Parameters
    ----------
    rows : iterable of Row
        What an earlier process has recorded.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._sums: dict[tuple[str, str], list[float]] | None = {}
        self._left = EVERY
        for row in rows:
            if row.kind is Kind.HOP:
                data = row.data
                spent = data.get("u") or (0.0, 0.0)
                action = json.dumps(data.get("a"), ensure_ascii=False)
                self._count(row.address, action, float(data.get("s", 0.0)), 1 + len(data.get("c", ())), spent)

    def hop(self, address: str, action: str, seconds: float, events: int, spent: Sequence[float] | None) -> str | None:
        """Count a finished node; now and then the sums of those before it, as JSON.

        Parameters
        ----------
        action : str
            As JSON.
        events : int
            How many events its record becomes.
        spent : (float, float), optional
            Tokens and cost.
        """
        self._left -= 1
        told = None
        if self._left < 0 and self._sums is not None:
            self._left = EVERY - 1
            told = json.dumps({"sums": [[place, did, *sums] for (place, did), sums in self._sums.items()]}, ensure_ascii=False)
        self._count(address, action, seconds, events, spent or (0.0, 0.0))
        return told

    def _count(self, address: str, action: str, seconds: float, events: int, spent: Sequence[float]) -> None:
        if self._sums is None:
            return
        place = address.rstrip("0123456789"), action
        sums = self._sums.get(place)
        if sums is None:
            if len(self._sums) >= PLACES:
                self._sums = None
                return
            sums = self._sums[place] = [0, 0.0, 0, 0.0, 0.0]
        sums[0] += 1
        sums[1] += seconds
        sums[2] += events
        sums[3] += spent[0]
        sums[4] += spent[1]
