"""The registry of runs: all that are going on, and a bounded number of finished ones.

Finished runs are kept so that their events and stores can be inspected. A session of many days would keep every store that it ever
made; so the number is bounded, and `forget` empties it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from pocketflex_nb.core.errors import RunCancelled

__all__ = ["REMEMBERED", "RegisteredRun", "RunRegistry"]

#: finished runs that `runs()` remembers, unless said otherwise
REMEMBERED = 200


class RegisteredRun(Protocol):
    """What the registry asks of a run."""

    number: int
    task: asyncio.Task[object] | None

    @property
    def name(self) -> str:
        """Unique in this process."""
        ...

    def done(self) -> bool:
        """Whether it is over."""
        ...

    def finish(self, action: object = None, error: BaseException | None = None) -> None:
        """End it."""
        ...


R = TypeVar("R", bound=RegisteredRun)


class RunRegistry(Generic[R]):
    """The runs of one kind: those that go on, and the last ones that are over.

    Attributes
    ----------
    forgetting : list of callable
        Called with the runs that are forgotten, before they are: views let go of them.
    look_at : int
        Runs on loops of others, from which on closed loops are looked for among them.
    """

    def __init__(self, look_at: int = 64) -> None:
        self.forgetting: list[Callable[[list[R]], object]] = []
        self.look_at = self._next_look = look_at
        self._live: dict[R, None] = {}
        self._over: deque[R] = deque(maxlen=REMEMBERED)
        #: those of `_live` that are tasks on a loop that other code may close
        self._elsewhere: dict[R, None] = {}

    def __len__(self) -> int:
        return len(self._live)

    def live(self) -> list[R]:
        """The runs that go on, oldest first."""
        self._end_closed()
        return list(self._live)

    def all(self) -> list[R]:
        """All of them, oldest first."""
        going = self.live()
        return sorted([*self._over, *going], key=lambda run: run.number)

    def add(self, run: R) -> None:
        """Register `run`, which was made or walks."""
        self._live[run] = None

    def add_elsewhere(self, run: R) -> None:
        """Register `run`, which walks as a task on a loop that is not the engine's and may be closed under it."""
        self._live[run] = self._elsewhere[run] = None
        if len(self._elsewhere) > self._next_look:
            self._end_closed()
            self._next_look = max(self.look_at, 2 * len(self._elsewhere))

    def remove(self, run: R) -> None:
        """Unregister `run`, which does not continue."""
        self._live.pop(run, None)
        if self._elsewhere:
            self._elsewhere.pop(run, None)

    def end(self, run: R) -> None:
        """Move `run`, which is over, among the finished ones."""
        self._live.pop(run, None)
        if self._elsewhere:
            self._elsewhere.pop(run, None)
        self._over.append(run)

    def forget(self, which: Iterable[R] | None = None) -> int:
        """Drop those of `which` that are over, by default all that are; returns how many were known."""
        if which is None:
            dropped = list(self._over)
            number = len(dropped)
        else:
            dropped = [run for run in dict.fromkeys(which) if run.done()]
            known = set(self._over)
            number = sum(run in known for run in dropped)
        self._drop(dropped)
        return number

    def remember(self, keep: int) -> None:
        """Keep so many runs that are over from now on; those beyond are dropped now.

        Raises
        ------
        TypeError, ValueError
            `keep` is no whole number from 0.
        """
        if isinstance(keep, bool) or not isinstance(keep, int):
            raise TypeError(f"runs(keep={keep!r}): a whole number from 0 is needed")
        if keep < 0:
            raise ValueError(f"runs(keep={keep}): a whole number from 0 is needed")
        before, self._over = list(self._over), deque(self._over, maxlen=keep)
        self._drop(before[: max(len(before) - keep, 0)])

    def _drop(self, dropped: list[R]) -> None:
        if not dropped:
            return
        lost = set(dropped)
        for _ in range(len(self._over)):  # each step alone is safe from other threads, in which runs end meanwhile
            if (run := self._over.popleft()) not in lost:
                self._over.append(run)
        for tell in list(self.forgetting):
            tell(dropped)

    def _end_closed(self) -> None:
        """End the runs whose loop was closed, or whose task was stopped between two of our steps: nothing will ever continue them."""
        for run in list(self._elsewhere):
            task = run.task
            if task is not None and (task.done() or task.get_loop().is_closed()):
                self.end_left(run, f"the event loop that run {run.name!r} walked on was closed before its end")

    def end_left(self, run: R, why: str) -> None:
        """End a run that nothing walks any more."""
        run.finish(error=RunCancelled(why))
        run.task = None  # what it held goes with it
