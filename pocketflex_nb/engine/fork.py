"""How are branches walked in parallel? Each as a walk of its own, up to where they meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pocketflex_nb.core.context import FRAME
from pocketflex_nb.core.nodes import Fork
from pocketflex_nb.engine.frame import Frame
from pocketflex_nb.engine.items import each
from pocketflex_nb.engine.steps import CALLER, mode_here
from pocketflex_nb.engine.thread import engine_thread

__all__ = ["Walker", "walk_fork"]

Walker = Callable[[Frame, Any, Any, Any, frozenset[Any]], Awaitable[tuple[Any, Any]]]


async def walk_fork(
    walker: Walker, frame: Frame, fork: Any, shared: Any, params: Any, stops: frozenset[Any]
) -> tuple[Any, Any]:
    """Walk the branches of `fork` in parallel.

    Parameters
    ----------
    walker : coroutine function
        Walks from a node until it ends or reaches one of the stops; gives (last action, stop or None).
    stops : frozenset
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
    walker: Walker, frame: Frame, origin: Any, fork: Any, shared: Any, params: Any, stops: frozenset[Any]
) -> tuple[Any, Any]:
    """Walk the branches of this one fork, which `origin` leads to; gives what `walk_fork` gives, where the join may be a fork."""
    run = frame.run
    join = run.join_of(fork)
    inner = stops if join is None else stops | {join}
    heads = [*fork.heads, *fork.detached]

    async def branch(head: Any, index: int) -> tuple[Any, Any]:
        # a head that is named twice is walked twice, at addresses of their own
        walk = Frame(run, frame, frame.flow, branch=head, item=index if head in heads[:index] else None)
        walk.outer = origin
        walk.error = frame.error
        FRAME.set(walk)
        run.enter(walk)
        try:
            return await walker(walk, head, shared, params, inner)
        finally:
            run.leave(walk)

    for index, head in enumerate(fork.detached, len(fork.heads)):
        _detach(run, branch(head, index))
    if not fork.heads:
        return None, None
    ends = await each(branch, fork.heads, _at_once(run, frame.flow, len(fork.heads)))
    arrived = [stop for _, stop in ends if stop is not None]
    node = join if join in arrived else arrived[-1] if arrived else None
    return ends[-1][0], node


def _at_once(run: Any, flow: Any, branches: int) -> int | None:
    limit = run.branches or flow._pfx_fork_limit
    if limit is None:
        return None
    return max(2, limit) if limit > 1 else min(branches, 1)


def _detach(run: Any, coro: Any) -> None:
    """Start a branch that nobody waits for; it is cancelled when its run ends."""
    if mode_here() == CALLER:  # the private loop ends with the fork
        future: Any = engine_thread.submit(coro)
    else:
        future = asyncio.ensure_future(coro)
    run.detached = [*(run.detached or ()), future]
