"""Messages to agents by name: `call`, `cast`, `send_after` and `whereis`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from pocketflex_nb.agents.host.agent_host import host_for
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.delayed_sends import Sending
from pocketflex_nb.agents.messaging.name_table import not_running, registry_and_key, wait_for_name

__all__ = ["call", "call_sync", "cast", "send_after", "whereis"]


def whereis(name: Hashable) -> AgentRef | None:
    """The running agent named `name` (a name or ``reg.via(key)``), or None.

    Parameters
    ----------
    name : hashable or Via
        Who.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, whereis
    >>> class Writer(Agent):
    ...     pass
    >>> ref = Writer.start_sync(name="writer")
    >>> whereis("writer") is ref
    True
    >>> ref.stop_sync()
    >>> whereis("writer") is None
    True
    """
    registry, key = registry_and_key(name)
    ref = registry.whereis(key)
    return ref if ref is not None and ref.is_alive else None


def _found(name: Hashable) -> AgentRef:
    if isinstance(name, AgentRef):
        return name
    ref = whereis(name)
    if ref is None:
        raise not_running(name)
    return ref


async def call(
    name: Hashable, message: object, *, timeout: float | None = 5.0, wait: float | None = None, cancel_on_timeout: bool = False
) -> Any:
    """`AgentRef.call` by name.

    Parameters
    ----------
    name : hashable, Via or AgentRef
        Who.
    message : object
        What the handler gets.
    timeout : float or None
        Seconds to wait for the reply; None: as long as it takes.
    wait : float or None
        Seconds to wait for somebody of that name.
    cancel_on_timeout : bool
        Cancel the handler (or take the message back) when time is over.

    Returns
    -------
    object
        The reply.

    Raises
    ------
    AgentDown, CallTimeout, CallingSelf
        As `AgentRef.call`.
    NotRunning
        Nobody has that name; at once, or after `wait`. The message tells the nearest name.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import Agent, call
    >>> class Writer(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return f"{message} is written"
    >>> async def main():
    ...     writer = await Writer.start(name="writer")
    ...     reply = await call("writer", "page 1")
    ...     await writer.stop()
    ...     return reply
    >>> asyncio.run(main())
    'page 1 is written'
    """
    ref = _found(name) if wait is None or isinstance(name, AgentRef) else await wait_for_name(name, wait)
    return await ref.call(message, timeout=timeout, wait=wait, cancel_on_timeout=cancel_on_timeout)


def call_sync(name: Hashable, message: object, *, timeout: float | None = 5.0) -> Any:
    """`call` from plain code.

    Parameters
    ----------
    name : hashable, Via or AgentRef
        Who.
    message : object
        What the handler gets.
    timeout : float or None
        Seconds to wait for the reply; None: as long as it takes.

    Returns
    -------
    object
        The reply.

    Raises
    ------
    NotRunning
        Nobody has that name. The message tells the nearest name.
    AgentDown, CallTimeout, CallingSelf
        As `AgentRef.call`.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, call_sync
    >>> class Writer(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return f"{message} is written"
    >>> ref = Writer.start_sync(name="writer")
    >>> call_sync("writer", "page 1")
    'page 1 is written'
    >>> ref.stop_sync()
    """
    return _found(name).call_sync(message, timeout=timeout)


def cast(name: Hashable, message: object) -> None:
    """`AgentRef.cast` by name; never fails, not even when no agent has that name.

    Parameters
    ----------
    name : hashable, Via or AgentRef
        Who.
    message : object
        What the handler gets.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, cast
    >>> class Diary(Agent):
    ...     async def init(self):
    ...         self.lines = []
    ...     async def handle_cast(self, message):
    ...         self.lines.append(message)
    ...     async def handle_call(self, message, caller):
    ...         return self.lines
    >>> ref = Diary.start_sync(name="diary")
    >>> cast("diary", "rain")
    >>> cast("diarist", "sun")               # nobody of that name: lost, and no error
    >>> ref.call_sync("read")
    ['rain']
    >>> ref.stop_sync()
    """
    ref = name if isinstance(name, AgentRef) else whereis(name)
    if ref is not None:
        ref.cast(message)


def send_after(name: Hashable, message: object, seconds: float) -> Sending:
    """Send a message for `handle_info` to the agent that has `name` when `seconds` are over; never fails.

    Parameters
    ----------
    name : hashable, Via or AgentRef
        Who; a name is looked up when time is over.
    message : object
        What the handler gets.
    seconds : float
        From now; by the agent's clock if a ref is given, else by the engine's.

    Returns
    -------
    Sending
        Its `cancel` takes the message back.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Stop, send_after
    >>> class Egg(Agent):
    ...     async def handle_info(self, message):
    ...         return Stop(message)
    >>> ended = Egg.start_sync(name="egg").monitor()
    >>> sending = send_after("egg", "done", 0.01)
    >>> ended.wait(5).reason
    'done'
    """
    if isinstance(name, AgentRef):
        return name.send_after(message, seconds)
    return Sending(host_for(), lambda: whereis(name), message, seconds)
