"""The info messages that agents get about others: Down, Exit, TaskDone, Registered, Unregistered."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from pocketflex_nb.agents.protocol.ref import Ref

__all__ = ["Down", "Exit", "Registered", "TaskDone", "Unregistered"]


@dataclass(frozen=True, slots=True)
class Exit:
    """The outcome of a task that failed; and the message that an agent with ``trap_exit`` gets from a link.

    Parameters
    ----------
    ref : AgentRef, TaskRef or None
        Who ended; None for an exit signal that plain code sent.
    reason : object
        Exit reason.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import stream
    >>> async def whole(text):
    ...     return int(text)
    >>> async def main():
    ...     return [outcome async for outcome in stream(whole, ["7", "x"])]
    >>> good, bad = asyncio.run(main())
    >>> good, bad.reason
    (Ok(value=7), Crash(ValueError("invalid literal for int() with base 10: 'x'")))
    """

    ref: Ref | None
    reason: object


@dataclass(frozen=True, slots=True)
class Down:
    """A monitored agent or task has ended. Exactly one comes per monitor.

    Parameters
    ----------
    ref : AgentRef
        Who.
    reason : object
        Exit reason; ``"noproc"`` if it was gone already.
    zombie : bool
        It was killed and its code still runs, fenced off.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent
    >>> class Idler(Agent):
    ...     pass
    >>> ref = Idler.start_sync()
    >>> ended = ref.monitor()
    >>> ref.exit("kill")
    >>> down = ended.wait(5)
    >>> down.ref is ref, down.reason
    (True, 'killed')
    """

    ref: Ref
    reason: object
    zombie: bool = False


@dataclass(frozen=True, slots=True)
class TaskDone:
    """The value of a task that is not linked, as a message to the agent that spawned it.

    Parameters
    ----------
    ref : TaskRef
        Which task.
    value : object
        What it returned.

    Examples
    --------
    >>> from pocketflex_nb.agents import NO_REPLY, Agent, TaskDone, spawn
    >>> class Desk(Agent):
    ...     async def handle_call(self, message, caller):
    ...         self.caller = caller
    ...         spawn(len, message, link=False)      # the agent is free for other messages meanwhile
    ...         return NO_REPLY
    ...     async def handle_info(self, message):
    ...         if isinstance(message, TaskDone):
    ...             self.caller.reply(message.value)
    >>> ref = Desk.start_sync()
    >>> ref.call_sync("draft")
    5
    >>> ref.stop_sync()
    """

    ref: Ref
    value: Any


@dataclass(frozen=True, slots=True)
class Registered:
    """To a registry's listeners: `ref` was registered under `key`.

    Parameters
    ----------
    registry : Registry
        Where.
    key : hashable
        Under which key.
    ref : AgentRef
        Who.
    value : object
        What it keeps there.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Registered, Registry
    >>> class Porter(Agent):
    ...     async def init(self):
    ...         self.seen = []
    ...     async def handle_info(self, message):
    ...         if isinstance(message, Registered):
    ...             self.seen.append(message.key)
    ...     async def handle_call(self, message, caller):
    ...         return self.seen
    >>> class Guest(Agent):
    ...     pass
    >>> porter = Porter.start_sync()
    >>> rooms = Registry(listeners=[porter])
    >>> guest = Guest.start_sync(name=rooms.via("room 7"))
    >>> porter.call_sync("who came?")
    ['room 7']
    >>> guest.stop_sync()
    >>> porter.stop_sync()
    """

    registry: object
    key: Hashable
    ref: Ref
    value: Any = None


@dataclass(frozen=True, slots=True)
class Unregistered:
    """To a registry's listeners: `ref` is no longer registered under `key` (with ``on_death=True``: because it ended).

    Parameters
    ----------
    registry : Registry
        Where.
    key : hashable
        Which key.
    ref : AgentRef
        Who.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Registry, Unregistered
    >>> class Porter(Agent):
    ...     async def init(self):
    ...         self.gone = []
    ...     async def handle_info(self, message):
    ...         if isinstance(message, Unregistered):
    ...             self.gone.append(message.key)
    ...     async def handle_call(self, message, caller):
    ...         return self.gone
    >>> class Guest(Agent):
    ...     pass
    >>> porter = Porter.start_sync()
    >>> rooms = Registry(listeners=[porter], on_death=True)
    >>> Guest.start_sync(name=rooms.via("room 7")).stop_sync()
    >>> porter.call_sync("who left?")
    ['room 7']
    >>> porter.stop_sync()
    """

    registry: object
    key: Hashable
    ref: Ref
