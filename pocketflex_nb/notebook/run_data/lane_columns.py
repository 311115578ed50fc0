"""Which lines of a lane stand side by side: those of visits that went on at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketflex_nb.core.lane_text import LINES

if TYPE_CHECKING:
    from pocketflex_nb.core.state import Span, State

__all__ = ["LaneColumns"]

#: visits whose column is remembered
_KEPT = 8 * LINES


class LaneColumns:
    """The columns of one run's lane, from update to update.

    Notes
    -----
    A visit stands beside another when it says something while the other goes on, and gets the first column that is free then. A group
    is a part of the lane in which visits overlap; it ends when all its visits are over.
    """

    def __init__(self) -> None:
        self._read, self._ended = 0, -1  # lines, and the number of the last span, that were looked at
        self._open: dict[str, int] = {}  # address of a visit that has said something: its column
        self._places: dict[str, tuple[int, int]] = {}
        self._group = 0
        self._widths: dict[int, int] = {}

    def follow(self, state: State) -> None:
        """Look at the lines and visits that came since the last time."""
        if state.said < self._read:  # an earlier moment: its visits are known
            return
        new = list(state.origins)[-(state.said - self._read) :] if state.said > self._read else []
        ends = self._new_ends(state)
        for address, ns in new:
            while ends and ends[-1].end <= ns:
                self._end(ends.pop().address)
            if address not in self._open:
                self._begin(address)
        for span in reversed(ends):
            self._end(span.address)
        self._read = state.said
        if state.finished:
            self._open.clear()

    def of(self, address: str) -> tuple[int, int] | None:
        """Group and column of a visit; None where nothing stands beside it."""
        place = self._places.get(address)
        return place if place is not None and self._widths.get(place[0], 1) > 1 else None

    def _new_ends(self, state: State) -> list[Span]:
        """The visits that ended since, the earliest last."""
        found: list[Span] = []
        if not state.spans or state.spans[-1].seq <= self._ended:
            return found
        for span in reversed(list(state.spans)):
            if span.seq <= self._ended:
                break
            found.append(span)
        if found:
            self._ended = found[0].seq
        return sorted(found, key=lambda span: -span.end)

    def _begin(self, address: str) -> None:
        walk = address.rpartition("/")[0]
        for other in [known for known in self._open if "[" not in known and known.rpartition("/")[0] == walk]:
            del self._open[other]  # a walk makes one visit at a time
        if not self._open:
            self._group += 1
        taken = set(self._open.values())
        column = next(k for k in range(len(taken) + 1) if k not in taken)
        self._open[address] = column
        self._places[address] = self._group, column
        self._widths[self._group] = max(self._widths.get(self._group, 1), column + 1)
        if len(self._places) > _KEPT:
            gone, _ = self._places.pop(next(iter(self._places)))
            self._widths.pop(gone, None)

    def _end(self, address: str) -> None:
        for known in [known for known in self._open if known == address or known.startswith((f"{address}/", f"{address}["))]:
            del self._open[known]
