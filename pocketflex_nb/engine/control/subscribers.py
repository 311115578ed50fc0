"""Subscribers of one run: functions that get each event in order, from the first on, however late they subscribe."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from pocketflex_nb.core.events import Event
from pocketflex_nb.engine.control.outer_run import around
from pocketflex_nb.engine.records.visit_counts import VisitCounts

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.frame import Frame
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["Subscribers"]

_log = logging.getLogger("pocketflex_nb")


class Subscribers:
    """The subscribers of one run's events; true while there is one, subscribers of outer runs included."""

    def __init__(self, run: Lifecycle[Frame]) -> None:
        self.run = run
        self.fns: list[Callable[[Event], object]] = []
        self._late: list[Callable[[Event], object]] = []  # those that have not heard yet what the others have
        self._own: list[Callable[[Event], object]] = []  # of `fns`, those that hear the runs inside by themselves
        self._telling = threading.RLock()
        self._is_telling = False
        self._heard = VisitCounts()

    @property
    def hears_inner(self) -> bool:
        """Whether there is a subscriber that gets the events of inner runs."""
        return len(self.fns) + len(self._late) > len(self._own)

    def __bool__(self) -> bool:
        return bool(self.fns or self._late) or (self.run.parent is not None and any(_hears_inner(outer) for outer in around(self.run)))

    def add(self, fn: Callable[[Event], object], *, is_of_all: bool = False) -> None:
        """Call `fn` with each event, from the first that is kept. A subscriber of all runs gets each event once."""
        with self._telling:
            if is_of_all:
                self._own.append(fn)
            self._late.append(fn)
        self.tell()

    def drop(self, fn: Callable[[Event], object]) -> None:
        """Stop calling `fn`."""
        with self._telling:
            for fns in (self.fns, self._late, self._own):
                if fn in fns:
                    fns.remove(fn)

    def tell(self) -> None:
        """Call all subscribers with the events that are new to them: those of this run, then those of the outer runs."""
        if self.fns or self._late:
            self._tell()
        if self.run.parent is not None:
            for outer in around(self.run):
                if _hears_inner(outer):
                    outer.controller.subscribers._tell()

    def _tell(self) -> None:
        """Deliver new events. Events that a subscriber causes meanwhile are delivered when all have got the others."""
        with self._telling:
            if self._is_telling:
                return
            self._is_telling = True
            try:
                while self.fns or self._late:
                    self._let_in()
                    events, self._heard = self.run.log.follow(self._heard)
                    if not events and not self._late:
                        return
                    for event in events:
                        for fn in list(self.fns):
                            if not (event.depth and fn in self._own):
                                self._call(fn, event)
            finally:
                self._is_telling = False

    def _let_in(self) -> None:
        """Deliver the past events to late subscribers; from here on they get events with the others."""
        while self._late:
            fn = self._late.pop(0)
            self.fns.append(fn)
            for event in self.run.log.events() if self._heard.seq else ():
                if event.seq >= self._heard.seq or fn not in self.fns:
                    break
                self._call(fn, event)

    def _call(self, fn: Callable[[Event], object], event: Event) -> None:
        try:
            fn(event)
        except Exception:
            self.drop(fn)
            _log.exception("a subscriber of run %r failed at %r; it hears no more", self.run.name, event.kind)


def _hears_inner(run: Lifecycle[Frame]) -> bool:
    return run.controller is not None and run.controller.subscribers.hears_inner
