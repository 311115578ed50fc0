"""The counts of visits and steps whose records have been dropped from a bounded log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketflex_nb.engine.records.frame import Frame

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.nodes import BaseNode

__all__ = ["VisitCounts"]


class VisitCounts:
    """The counts of dropped or skipped records: per walk and node the finished visits, per node path the sums."""

    __slots__ = ("begun", "edges", "inner", "prefixes", "row", "seq", "steps", "sums", "visits")

    def __init__(self) -> None:
        self.row = self.seq = self.steps = 0
        self.visits: dict[tuple[Frame, BaseNode], int] = {}
        self.prefixes: dict[Frame, str] = {}
        self.sums: dict[str, tuple[int, float]] = {}
        self.edges: dict[tuple[str, str], int] = {}
        self.inner: dict[int, tuple[str, str]] = {}  # number of an inner run that goes on: its address and graph path
        self.begun: dict[str, int] = {}  # inner runs of one name within one step

    def copy(self) -> VisitCounts:
        """The same counts, to count on from."""
        twin = VisitCounts()
        twin.row, twin.seq, twin.steps = self.row, self.seq, self.steps
        twin.visits, twin.prefixes = dict(self.visits), dict(self.prefixes)
        twin.sums, twin.edges = dict(self.sums), dict(self.edges)
        twin.inner, twin.begun = dict(self.inner), dict(self.begun)
        return twin
