"""`link` and `unlink`: ties along which exits spread."""

from __future__ import annotations

from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import Addressee
from pocketflex_nb.agents.protocol.errors import BadSpec, NotOwner
from pocketflex_nb.agents.protocol.exit_reasons import DEAD
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["link", "unlink"]


def _here(what: str) -> Addressee:
    incarnation: Addressee | None = CURRENT_AGENT.get()
    if incarnation is None:
        raise NotOwner(f"{what}() was called outside any agent: call it in a handler, or use ref.monitor()")
    return incarnation


def link(ref: AgentRef) -> None:
    """Link the current agent to `ref`: when one ends abnormally, the other gets an exit signal.

    An agent with ``trap_exit = True`` gets an `Exit` message instead. A dead `ref` hits at once, as ``"noproc"``.

    Parameters
    ----------
    ref : AgentRef
        The other.

    Raises
    ------
    NotOwner
        Called outside any agent.
    BadSpec
        `ref` runs on another loop.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, link
    >>> class Engine(Agent):
    ...     pass
    >>> class Gauge(Agent):
    ...     async def init(self, engine):
    ...         link(engine)
    >>> engine = Engine.start_sync()
    >>> gauge = Gauge.start_sync(engine)
    >>> ended = gauge.monitor()
    >>> engine.exit("overheated")        # the gauge goes with it
    >>> ended.wait(5).reason
    'overheated'
    """
    me, other = _here("link"), ref._incarnation
    if other is me:
        return
    if other.host.loop is not me.host.loop:
        raise BadSpec(f"link({ref!r}): it runs on another loop; use ref.monitor()")
    if other.status is DEAD:
        me.on_exit_signal("noproc", other)
        return
    for one, two in ((me, other), (other, me)):
        one.links = one.links or set()
        one.links.add(two)


def unlink(ref: AgentRef) -> None:
    """Remove the link between the current agent and `ref`.

    Parameters
    ----------
    ref : AgentRef
        The other.

    Raises
    ------
    NotOwner
        Called outside any agent.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, link, unlink
    >>> class Engine(Agent):
    ...     pass
    >>> class Gauge(Agent):
    ...     async def init(self, engine):
    ...         self.engine = engine
    ...         link(engine)
    ...     async def handle_call(self, message, caller):
    ...         unlink(self.engine)
    >>> engine = Engine.start_sync()
    >>> gauge = Gauge.start_sync(engine)
    >>> gauge.call_sync("let go")
    >>> ended = engine.monitor()
    >>> engine.exit("overheated")
    >>> ended.wait(5).reason, gauge.is_alive
    ('overheated', True)
    >>> gauge.stop_sync()
    """
    me, other = _here("unlink"), ref._incarnation
    for one, two in ((me, other), (other, me)):
        if one.links:
            one.links.discard(two)
