"""The order in which the runs of a group begin: so many at once, and the next when one is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocketflex_nb.engine.runs.run import Run

__all__ = ["GroupQueue"]


class GroupQueue:
    """The runs of one group that have not begun; the engine's side of a `RunGroup`.

    Parameters
    ----------
    made : iterable of Run
        In order.
    cancel_all : callable
        Ends the group; called when a run fails, if the group is to stop then, else None.
    """

    def __init__(self, made: Iterable[Run], cancel_all: Callable[[], object] | None) -> None:
        self._left = deque(made)
        self._cancel_all = cancel_all
        self._start: Callable[[list[Run]], object] = lambda ready: None

    def begin(self, at_once: int | None, start: Callable[[list[Run]], object]) -> list[Run]:
        """The runs to start with: `at_once`, or all when it is None. `start` is called with each run that may begin later."""
        self._start = start
        number = len(self._left) if at_once is None else at_once
        return [self._left.popleft() for _ in range(min(number, len(self._left)))]

    def clear(self) -> None:
        """Let no further run begin."""
        self._left.clear()

    def follow(self, run: Run) -> None:
        """`run` is over: start the next one, or end the others."""
        if run.status == "failed" and self._cancel_all is not None:
            self._cancel_all()
        elif self._left:
            try:
                following = self._left.popleft()
            except IndexError:  # another run ended at the same moment, or the group was cancelled
                return
            self._start([following])
