"""`exit`: ends the calling agent from within any function that its handler calls."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from pocketflex_nb.agents.actor.incarnation import Incarnation
from pocketflex_nb.agents.actor.termination import AgentExit
from pocketflex_nb.agents.protocol.directives import Stop
from pocketflex_nb.agents.protocol.errors import NotOwner
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["exit"]


def exit(reason: object = "normal") -> NoReturn:
    """End the current agent or task with `reason`, from anywhere inside of it: as if its handler had returned ``Stop(reason)``.

    Parameters
    ----------
    reason : object
        Exit reason, which `Agent.terminate`, links, monitors and the supervisor see.

    Raises
    ------
    NotOwner
        Called outside any agent.

    Notes
    -----
    It raises something that is no `Exception`, so that only ``except BaseException`` or a ``finally`` notice it. In a task or thread that
    the agent has made for itself it ends that, and the agent.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Shutdown, exit
    >>> def paid(purse, price):
    ...     if purse < price:
    ...         exit(Shutdown("out of money"))       # not here: in whatever agent calls it
    ...     return purse - price
    >>> class Shopper(Agent):
    ...     async def init(self):
    ...         self.purse = 5
    ...     async def handle_cast(self, price):
    ...         self.purse = paid(self.purse, price)
    >>> shopper = Shopper.start_sync()
    >>> ended = shopper.monitor()
    >>> shopper.cast(3)
    >>> shopper.cast(3)
    >>> ended.wait(5).reason
    Shutdown(term='out of money')
    """
    incarnation: Incarnation | None = CURRENT_AGENT.get()
    if incarnation is None:
        raise NotOwner("exit() was called outside any agent: call it in a handler, or use ref.exit(reason)")
    task = getattr(incarnation, "task", None)
    if task is not None and not _is_its_own(incarnation, task):
        incarnation.host.post(incarnation.leave, reason)
    raise AgentExit(Stop(reason))


def _is_its_own(incarnation: Incarnation, task: asyncio.Task[None]) -> bool:
    """Whether the running code is the agent's own task, which passes on by itself what is raised."""
    try:
        here = asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return False
    return here is task or bool(incarnation.reentrant_tasks and here in incarnation.reentrant_tasks)
