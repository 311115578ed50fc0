"""`Wait`: what a step of a run waits for, as people and views read it."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns

from pocketflex_nb.core.units import duration_text

__all__ = ["Wait"]


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing that steps of a run wait for, while they wait.

    Attributes
    ----------
    kind : str
        retry, limiter, place (in a batch, a fan-out or a group), thread, lock, question, join, queue, topic, watch, reply (of an agent),
        task, run, pause or breakpoint.
    node : str
        Graph path of the node that waits; below a step that began runs the path inside them. ``""`` for a run as a whole.
    text : str
        What is waited for, such as ``"limiter 10/min"``.
    since : int
        Monotonic ns since when; 0 where nobody knows.
    until : int or None
        Monotonic ns at which the step goes on by itself, where that is known.
    detail : str
        What else is worth knowing: the error before a retry, the bound of a wait.
    number : int
        How many steps or items of the node wait for just this, since the first of them.

    Examples
    --------
    >>> Wait("retry", "write", "try 2 of 3", since=0, until=4_000_000_000, detail="TimeoutError").told(now=0)
    'try 2 of 3 in 4 s (TimeoutError)'
    >>> Wait("lock", "write", 'lock "draft"', since=1, detail="of 5 s").told(now=1_250_000_001)
    'lock "draft" 1.25 s of 5 s'
    """

    kind: str
    node: str
    text: str
    since: int = 0
    until: int | None = None
    detail: str = ""
    number: int = 1

    def words(self) -> tuple[str, str]:
        """What stands before the time, and what behind it.

        Returns
        -------
        before, after : str
            The time between them is what is left, where `until` is known, else the duration so far.
        """
        joint = "" if self.until is None else " in" if self.kind == "retry" else ", next in"
        behind = f"({self.detail})" if self.detail and self.kind == "retry" else self.detail
        return f"{self.text}{joint}", behind

    def told(self, now: int | None = None) -> str:
        """The wait in one short line, without its node.

        Parameters
        ----------
        now : int, optional
            Monotonic ns; default: now.

        Returns
        -------
        str
        """
        now = perf_counter_ns() if now is None else now
        before, after = self.words()
        time = ""
        if self.kind == "place":  # of many, each of which waits for another time
            pass
        elif self.until is not None:
            time = duration_text(max(self.until - now, 0) / 1e9)
        elif self.since:
            time = duration_text(max(now - self.since, 0) / 1e9)
        several = f"{self.number:,} × " if self.number > 1 else ""
        return several + " ".join(part for part in (before, time, after) if part)

    def __repr__(self) -> str:
        return f"<Wait {self.node}{': ' if self.node else ''}{self.told()}>"
