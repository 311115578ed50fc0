"""The registry of runs: all that are going on, and a bounded number of finished ones.

Finished runs are kept so that their events and stores can be inspected. A session of many days would keep every store that it ever
made; so the number is bounded, and `forget` empties it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from pocketflex_nb.core.errors import RunCancelled

__all__ = ["REMEMBERED", "began", "began_elsewhere", "end_left", "ended", "forget", "forgetting", "gone", "runs"]

#: finished runs that `runs()` remembers, unless said otherwise
REMEMBERED = 200
#: runs on loops of others before the first look for closed ones among them
_LOOK_AT = 64

#: called with the runs that are forgotten, before they are: views let go of them
forgetting: list[Callable[[list[Any]], Any]] = []

_live: dict[Any, None] = {}
_over: deque[Any] = deque(maxlen=REMEMBERED)
#: those of `_live` that are tasks on a loop that other code may close
_elsewhere: dict[Any, None] = {}
_look_at = _LOOK_AT


def runs(*, live: bool = False, keep: int | None = None) -> list[Any]:
    """The runs of this process, oldest first: all that are not over, and the last that are, 200 unless `keep` was given.

    Parameters
    ----------
    live : bool
        Only those that go on.
    keep : int, optional
        From now on, remember so many runs that are over; those beyond are dropped now. Each of them keeps its store and its events.

    Returns
    -------
    list of Run

    Raises
    ------
    TypeError, ValueError
        `keep` is no whole number from 0.

    See Also
    --------
    forget : Drop what is over now.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node, launch, runs
    >>> run = launch(Flow(Node()), name="nightly").wait(10)
    >>> run in runs(), run in runs(live=True)
    (True, False)
    >>> run in runs(keep=0)                             # nothing that is over is kept any more
    False
    >>> _ = runs(keep=200)
    """
    if keep is not None:
        _remember(keep)
    _end_closed()
    going = list(_live)
    if live:
        return going
    return sorted([*_over, *going], key=lambda run: run.number)


def forget(*which: Any) -> int:
    """Drop runs that are over, with their stores, from `runs()` and from the views that show them; returns how many.

    Parameters
    ----------
    *which : Run or RunGroup
        Only these; those that go on are passed over. Default: all that are over.

    Notes
    -----
    A view that shows only runs that are dropped stays on the page as it is, and looks into them no longer. What you have a name for
    yourself, IPython's ``Out[3]`` and ``_3`` among them, stays as long as the name does; ``%pf clear`` takes the runs out of ``Out`` too.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node, forget, launch, runs
    >>> run = launch(Flow(Node())).wait(10)
    >>> forget(run), run in runs()
    (1, False)
    """
    if which:
        named = [run for one in which for run in (one if isinstance(one, Iterable) else [one])]
        dropped = [run for run in dict.fromkeys(named) if run.done()]
        known = set(_over)
        number = sum(run in known for run in dropped)
    else:
        dropped = list(_over)
        number = len(dropped)
    _drop(dropped)
    return number


def _drop(dropped: list[Any]) -> None:
    if not dropped:
        return
    lost = set(dropped)
    for _ in range(len(_over)):  # each step alone is safe from other threads, in which runs end meanwhile
        if (run := _over.popleft()) not in lost:
            _over.append(run)
    for tell in list(forgetting):
        tell(dropped)


def _remember(keep: int) -> None:
    global _over
    if isinstance(keep, bool) or not isinstance(keep, int):
        raise TypeError(f"runs(keep={keep!r}): a whole number from 0 is needed")
    if keep < 0:
        raise ValueError(f"runs(keep={keep}): a whole number from 0 is needed")
    before, _over = list(_over), deque(_over, maxlen=keep)
    _drop(before[: max(len(before) - keep, 0)])


# for the engine ------------------------------------------------------------------------------------------------------
def began(run: Any) -> None:
    """Register `run`, which was made or walks."""
    _live[run] = None


def began_elsewhere(run: Any) -> None:
    """Register `run`, which walks as a task on a loop that is not the engine's and may be closed under it."""
    global _look_at
    _live[run] = _elsewhere[run] = None
    if len(_elsewhere) > _look_at:
        _end_closed()
        _look_at = max(_LOOK_AT, 2 * len(_elsewhere))


def gone(run: Any) -> None:
    """Unregister `run`, which does not continue."""
    _live.pop(run, None)
    if _elsewhere:
        _elsewhere.pop(run, None)


def ended(run: Any) -> None:
    """Unregister `run`, which is over, and keep it among the finished ones."""
    _live.pop(run, None)
    if _elsewhere:
        _elsewhere.pop(run, None)
    _over.append(run)


def _end_closed() -> None:
    """End the runs whose loop was closed, or whose task was stopped between two of our steps: nothing will ever continue them."""
    for run in list(_elsewhere):
        task = run.task
        if task is not None and (task.done() or task.get_loop().is_closed()):
            end_left(run, f"the event loop that run {run.name!r} walked on was closed before its end")


def end_left(run: Any, why: str) -> None:
    """End a run that nothing walks any more."""
    run.finish(error=RunCancelled(why))
    run.task = None  # what it held goes with it
