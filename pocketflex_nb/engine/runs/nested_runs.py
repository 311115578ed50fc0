"""The runs that the steps of a run began: their events go into its log, and they are cancelled with it."""

from __future__ import annotations

import threading
from collections import deque
from time import perf_counter_ns as now
from typing import Any

from pocketflex_nb.engine.records.frame import KEPT_RECORDS, TRIM_AT, Frame
from pocketflex_nb.engine.records.nested_blocks import NESTED, Block
from pocketflex_nb.engine.records.visit_counts import VisitCounts

__all__ = ["CHILDREN", "NestedRuns"]

#: runs inside that are over, as many as one run remembers
CHILDREN = 200


class NestedRuns:
    """The runs that steps of one run began."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.live: dict[Any, list[Any]] = {}  # run to what of its log is taken over (`VisitCounts`), and the frame and node it began in
        self.ended: deque[Any] = deque(maxlen=CHILDREN)
        self._lock = threading.RLock()
        self._blocks: deque[Block] = deque()  # those that stand for events
        self._unread: deque[Block] = deque()  # those of them that are made when somebody reads
        self._kept = 0
        self._is_over = False

    def add(self, child: Any, frame: Frame) -> None:
        """Register `child`, which a step at `frame` began."""
        with self._lock:
            self.live[child] = [None, frame, frame.node]
            self._lay(child, Block(child, 0))

    def take(self) -> None:
        """Take over what is new in the logs of those that are not over."""
        with self._lock:
            for child in () if self._is_over else list(self.live):
                self._take(child)

    def _take(self, child: Any) -> None:
        known = self.live[child]
        events, known[0] = child.log.follow(known[0] or VisitCounts())
        if events:
            self._lay(child, Block(child, len(events), events[0].seq, events))

    def release(self, child: Any) -> None:
        """`child` is over: its unread events become one block, which is read on demand."""
        with self._lock:
            if child not in self.live:
                return
            counts = self.live[child][0] or VisitCounts()
            number = child.log.size() - counts.seq if child.started else 0
            if number > 0 and not self._is_over:
                block = Block(child, number, counts.seq, counts=counts)
                self._lay(child, block)
                self._unread.append(block)
                if len(self._unread) > CHILDREN:
                    self._unread.popleft().settle()
            del self.live[child]
            if child.started:
                self.ended.append(child)

    def over(self) -> None:
        """The run itself is over: inner runs that are not over continue on their own."""
        self.take()
        self._is_over = True

    def _lay(self, child: object, block: Block) -> None:
        _, frame, node = self.live[child]
        ns = now()
        self.run.records.extend((frame, node, NESTED, block, ns))
        if block.number:
            self._blocks.append(block)
            self._kept += block.number
        while self._kept > KEPT_RECORDS and len(self._blocks) > 1:
            oldest = self._blocks.popleft()
            self._kept -= oldest.number
            oldest.empty()
        if len(self.run.records) > TRIM_AT:
            self.run.log.trim()
