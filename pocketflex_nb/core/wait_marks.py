"""`waiting`: marks that the running step waits, so that its run can say for what."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING

from pocketflex_nb.core.context import CURRENT_FRAME

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["waiting"]

#: seconds from which on a wait has no end
_FOREVER = 1e9


class waiting:
    """``with waiting("lock", ...):`` around a wait that has begun; nothing outside of a run.

    A step that need not wait never comes here: the mark stands behind the look that found the lock taken, or the queue empty. It is two
    operations of a dict; the texts are made when somebody reads them.

    Parameters
    ----------
    kind : str
        See `Wait.kind`.
    text : str or callable
        What is waited for; ``""`` from the callable while nothing is.
    seconds : float, optional
        After which the step goes on by itself.
    detail : str or callable
        See `Wait.detail`.
    timeout : float, optional
        Seconds that the step waits at most, which the detail then tells.
    frame : WalkFrame, optional
        Whose wait it is; default: the running code's.

    Attributes
    ----------
    frame : WalkFrame or None
        The walk that waits.
    since, until : int, int or None
        Monotonic ns.
    """

    __slots__ = ("_seconds", "detail", "frame", "kind", "since", "text", "until")

    def __init__(
        self, kind: str, text: str | Callable[[], str], *, seconds: float | None = None, detail: str | Callable[[], str] = "",
        timeout: float | None = None, frame: WalkFrame | None = None,
    ) -> None:
        self.kind, self.text, self._seconds = kind, text, seconds
        self.detail = detail if timeout is None else lambda: f"of {timeout:g} s"
        self.frame: WalkFrame | None = CURRENT_FRAME.get() if frame is None else frame
        self.since = 0
        self.until: int | None = None

    def __enter__(self) -> waiting:
        frame = self.frame
        if frame is not None:
            self.since = perf_counter_ns()
            if self._seconds is not None and self._seconds < _FOREVER:
                self.until = self.since + int(self._seconds * 1e9)
            frame.waits[self] = None
        return self

    def __exit__(self, *exc: object) -> None:
        frame = self.frame
        if frame is not None:
            frame.waits.pop(self, None)
