"""Branches of a fork in parallel, each as a walk of its own, up to their join."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from collections.abc import Set as AbstractSet
from contextvars import copy_context
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.nodes import Fork
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.walk.batch_items import bounded_gather, ends_run, note_failure
from pocketflex_nb.engine.walk.steps import CALLER, mode_here

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow import Flow
    from pocketflex_nb.core.flow.item_failure import ItemFailure
    from pocketflex_nb.core.flow.nodes import BaseNode
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["Meeting", "Walker", "walk_fork"]

Walker = Callable[[Frame, Any, Any, Any, AbstractSet[Any]], Awaitable[tuple[Any, Any]]]

#: stands for the stop of a branch whose failure was collected
_FAILED = object()


class Meeting:
    """The join of the branches of one fork, while they are walked. It moves on when a list of actions starts branches at that very node."""

    __slots__ = ("former", "node", "since", "walks")

    def __init__(self, node: BaseNode | None) -> None:
        self.node, self.former = node, set[object]()
        self.walks = set[Frame]()  # those that it waits for
        self.since = 0  # when the first arrived or ended, monotonic ns

    def leave(self, walk: Frame) -> None:
        """`walk` has arrived, or has ended."""
        self.walks.discard(walk)
        self.since = self.since or perf_counter_ns()

    def move(self, node: BaseNode | None) -> None:
        """Make `node` the join instead; branches that wait already continue to it."""
        self.former.add(self.node)
        self.node = node


async def walk_fork(
    walker: Walker, frame: Frame, fork: Fork, shared: object, params: dict[str, Any], stops: AbstractSet[BaseNode]
) -> tuple[object, Any]:
    """Walk the branches of `fork` in parallel.

    Parameters
    ----------
    walker : coroutine function
        Walks from a node until it ends or reaches one of the stops; gives (last action, stop or None).
    stops : set
        Joins of the forks around this one.

    Returns
    -------
    action : object
        The last action of the last branch in written order.
    node : object or None
        Where to go on: the join when a branch arrived there, an outer stop when one arrived at that, else None.
    """
    origin, frame.node = frame.node, None  # the forking node's visit is over
    while True:
        action, node = await _walk_branches(walker, frame, origin, fork, shared, params, stops)
        if node.__class__ is not Fork or node in stops:
            return action, node
        fork = node  # branches that meet at a fan-out: ``[a, b] >> [c, d]``


async def _walk_branches(
    walker: Walker, frame: Frame, origin: BaseNode | None, fork: Fork, shared: object, params: dict[str, Any], stops: AbstractSet[BaseNode]
) -> tuple[object, object]:
    """Walk the branches of this one fork, which `origin` leads to; returns what `walk_fork` returns, where the join may be a fork."""
    run, given = frame.lifecycle, fork._pfx_each
    meeting = Meeting(run.join_of(fork) if given is None else fork._pfx_join)
    inner = {*stops} if meeting.node is None else {*stops, meeting.node}
    numbers = _numbers(fork)
    collects = frame.flow._pfx_on_branch_error == "collect"
    failures: list[ItemFailure] = []

    async def branch(head: BaseNode, index: int, start: BaseNode | None = None) -> tuple[object, Any]:
        walk = Frame(run, frame, frame.flow, branch=head, item=numbers.get(index))
        added = None if given is None or index >= len(given) else given[index]
        own = params if added is None else {**params, **added}
        walk.outer, walk.error = origin, frame.error
        walk.stops, walk.meeting = inner, meeting
        if index < len(fork.heads):  # not a detached one
            meeting.walks.add(walk)
        CURRENT_FRAME.set(walk)
        run.enter(walk)
        try:
            return await walker(walk, head if start is None else start, shared, own, inner)
        except Exception as exc:
            if not collects or ends_run(frame, exc):
                raise
            from pocketflex_nb.core.flow.item_failure import ItemFailure

            failures.append(ItemFailure(index, exc, run.log.path(frame, head).rsplit("/", 1)[-1]))
            note_failure(frame, failures[-1], run.log.path(frame, head))
            return None, _FAILED
        finally:
            run.leave(walk)
            meeting.leave(walk)

    begun = copy_context()

    async def apart(head: BaseNode, index: int, start: BaseNode | None = None) -> tuple[object, Any]:
        """One of several branches that a worker walks: in a task of its own, from the context of the fork, as if all began at once."""
        return await asyncio.get_running_loop().create_task(branch(head, index, start), context=begun.copy())

    async def further(index: int, _: int) -> tuple[object, Any]:
        return await apart(fork.heads[index], index, ends[index][1])

    if given is not None:
        frame.note("forked", branches=dict(Counter(run.log.path(frame, head) for head in fork.heads)))
    for index, head in enumerate(fork.detached, len(fork.heads)):
        _detach(run, branch(head, index))
    if not fork.heads:
        return None, None
    at_once = _at_once(run, frame.flow, len(fork.heads))
    ends = await bounded_gather(branch if at_once is None else apart, fork.heads, at_once, "branch")
    while early := [index for index, (_, stop) in enumerate(ends) if stop in meeting.former and stop not in inner]:
        for index, end in zip(early, await bounded_gather(further, early, at_once, "branch"), strict=True):
            ends[index] = end
    if collects:
        frame.failures = sorted(failures, key=lambda failure: failure.index)
    arrived = [stop for _, stop in ends if stop is not None and stop is not _FAILED]
    if meeting.node is not None and (meeting.node in arrived or (failures and not arrived)):
        return ends[-1][0], meeting.node
    return ends[-1][0], arrived[-1] if arrived else None


def _numbers(fork: Fork) -> dict[int, int]:
    """Which branches have a number in their address: a head that is named again, and every branch that a list of actions began."""
    if fork._pfx_each is not None:
        return dict(enumerate(range(len(fork.heads))))
    found, seen = {}, set()
    for index, head in enumerate([*fork.heads, *fork.detached]):
        if id(head) in seen:
            found[index] = index
        seen.add(id(head))
    return found


def _at_once(run: Lifecycle[Frame], flow: Flow, branches: int) -> int | None:
    limit = run.branches or flow._pfx_fork_limit
    if limit is None:
        return None
    return max(2, limit) if limit > 1 else min(branches, 1)


def _detach(run: Lifecycle[Frame], coro: Coroutine[object, object, object]) -> None:
    """Start a detached branch; it is cancelled when its run ends."""
    if mode_here() == CALLER:  # the private loop ends with the fork
        future: Any = engine_thread.submit(coro)
    else:
        future = asyncio.ensure_future(coro)
    run.detached = [*(run.detached or ()), future]
