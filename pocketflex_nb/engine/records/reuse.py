"""`Reuse`: where a run takes results of `exec` from instead of computing them: a tape, a cache; and which visits have done so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pocketflex_nb.core.port_types import CachedResults, RecordedRun
from pocketflex_nb.engine.records.addresses import QuestionCounts

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.frame import Frame
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["CACHED", "CALLED", "TAPED", "ExecCall", "Reuse", "exec_asks"]

#: where a result is from
CALLED, CACHED, TAPED = "", "cached", "taped"

#: visits whose origin a run remembers: a quarter more than the records that it keeps
_MARKS = 12_500


class ExecCall:
    """One call of `exec` that may come into the cache, while it goes on.

    Attributes
    ----------
    is_kept : bool
        Whether its result may be kept: not when it is a fallback's, or rests on what a person answered.
    landed : asyncio.Future
        The result's text for those who wait for the same, or None: they call `exec` themselves then.
    """

    __slots__ = ("frame", "is_kept", "landed")

    def __init__(self, frame: Frame) -> None:
        self.frame, self.is_kept = frame, True
        self.landed: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def land(self, text: str | None) -> None:
        """Tell those who wait."""
        if not self.landed.done():
            self.landed.set_result(text)

    def withdraw(self) -> None:
        """It is not kept, and nobody needs to wait for it. From any thread."""
        self.is_kept = False
        loop = self.landed.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(self.land, None)

    def is_around(self, frame: Frame) -> bool:
        """Whether `frame` is a part of what this call does: waiting for it would never end."""
        outer: Frame | None = frame
        while outer is not None:
            if outer is self.frame:
                return True
            outer = outer.parent if outer.parent is not None else outer.lifecycle.outer
        return False


class Reuse:
    """What one run takes its results from.

    Parameters
    ----------
    cache : CachedResults, optional
        Where results of unchanged nodes are.
    refreshes : set of str or None
        The keys that were computed anew so far, when what the cache held before is not to be used.
    tape : RecordedRun, optional
        The recorded run that it plays.
    is_strict : bool
        Whether a step that the tape has no result for is an error.

    Attributes
    ----------
    marks : dict of str to str
        ``"cached"`` or ``"taped"`` by address of a visit whose results were all taken from there.
    """

    def __init__(
        self, cache: CachedResults | None, refreshes: set[str] | None = None, tape: RecordedRun | None = None, *, is_strict: bool = False
    ) -> None:
        self.cache, self.refreshes, self.tape, self.is_strict = cache, refreshes, tape, is_strict
        self.marks: dict[str, str] = {}
        self.questions = QuestionCounts()
        self._said: set[object] = set()

    def mark(self, address: str, origin: str) -> None:
        """Remember where the results of a visit came from."""
        self.marks[address] = origin
        if len(self.marks) > _MARKS:
            del self.marks[next(iter(self.marks))]

    def say_once(self, frame: Frame, what: str, text: str) -> None:
        """A line in the lane of the node in flight, unless it was said of that node before."""
        place = frame.node, what
        if place not in self._said:
            self._said.add(place)
            frame.note("output", stream="log", text=f"{frame.node_id}: {text}")

    def lose_cache(self, frame: Frame, error: Exception) -> None:
        """Go on without the cache, which cannot be used any more."""
        self.cache = None
        frame.note("output", stream="log", text=f"goes on without the cache: {error}")

    def for_inner(self) -> Reuse | None:
        """The same for a run that a step begins: its results are cached, too; those of a tape are of this run alone."""
        return None if self.cache is None else Reuse(self.cache, self.refreshes)


def exec_asks(frame: Frame) -> None:
    """A step at `frame` asks a person: what the calls around it give is not cached."""
    walk: Frame | None = frame
    while walk is not None:
        if walk.call is not None and walk.call.is_kept:
            walk.call.withdraw()
        if walk.parent is not None:
            walk = walk.parent
        else:
            run: Lifecycle[Frame] = walk.lifecycle
            walk = run.outer
