"""The start of an incarnation: name first, then `init`; a failed start leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import TypedDict

from pocketflex_nb.agents.actor.cell_scope import adopt, evict_namesake
from pocketflex_nb.agents.actor.incarnation import Incarnation
from pocketflex_nb.agents.actor.interpreter_exit import register_exit_handler
from pocketflex_nb.agents.actor.termination import FailedStart
from pocketflex_nb.agents.host.agent_host import AgentHost, Engine, host_for
from pocketflex_nb.agents.host.clock import Clock
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.name_table import registry_and_key
from pocketflex_nb.agents.messaging.registry import Via
from pocketflex_nb.agents.protocol.directives import IGNORE
from pocketflex_nb.agents.protocol.errors import BadSpec, StartError
from pocketflex_nb.agents.protocol.exit_reasons import DEAD
from pocketflex_nb.agents.protocol.tree_position import TreePosition
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.errors import nearest

__all__ = ["StartOptions", "bring_up", "named", "set_up", "start_lone"]


class StartOptions(TypedDict):
    """The options of `Agent.start`."""

    name: Hashable
    clock: Clock | None
    engine: Engine
    keep: bool
    isolation: str | None
    strict: bool | None
    persist: object


async def bring_up(incarnation: Incarnation, name: Hashable, args: tuple[object, ...], kwargs: dict[str, object]) -> Incarnation | None:
    """Register and start `incarnation` on this loop; None when `init` returned IGNORE.

    Raises
    ------
    AlreadyStarted
        The name is taken.
    StartError
        `init` failed; nothing is left.
    """
    if name is not None:
        registry, key = registry_and_key(name)
        registry._claim(key, incarnation)
    register_exit_handler()
    try:
        out = await incarnation.begin(*args, **kwargs)
    except BaseException:
        incarnation.kill()
        raise
    if out is True:
        return incarnation
    if out is IGNORE:
        return None
    raise StartError(incarnation.slot.id, out.reason if isinstance(out, FailedStart) else out)


def set_up(
    incarnation: Incarnation, isolation: str | None, strict: bool | None, persist: object = None, name: Hashable = None
) -> Incarnation:
    """Give `incarnation` the options of its class or start."""
    cls = incarnation.cls
    incarnation.isolation = isolation if isolation is not None else getattr(cls, "isolation", None)
    incarnation.is_strict = bool(strict if strict is not None else getattr(cls, "strict", False))
    if incarnation.isolation not in (None, "process"):
        raise BadSpec(f"isolation={incarnation.isolation!r}: no such isolation{nearest(str(incarnation.isolation), ['process'])}")
    persist = persist if persist is not None else getattr(cls, "persist", None)
    if persist is not None:
        if not isinstance(persist, (str, os.PathLike)):
            raise BadSpec(f"persist={persist!r}: the path of a file is needed, such as persist='state.sqlite'")
        if incarnation.isolation is not None:
            raise BadSpec(f"{cls.__name__}: persist= and isolation='process' exclude each other: the state is in the other process")
        incarnation.keep_state(persist, None if name is None else str(named(name)))
    return incarnation


def named(name: Hashable) -> Hashable:
    """The name of such an agent in messages to people."""
    if name is None:
        return None
    return name.key if isinstance(name, Via) else name


async def start_lone(
    cls: type, args: tuple[object, ...], kwargs: dict[str, object], options: StartOptions, linked_to: Incarnation | None = None
) -> AgentRef | None:
    """Start an agent without a supervisor, perhaps linked to another one."""
    host = host_for(options["engine"], options["clock"])
    if linked_to is not None and linked_to.host.loop is not host.loop:
        raise BadSpec(f"{cls.__name__}.start_link(): it would live on another loop; use start_monitor()")
    return await host.do(_start, host, cls, args, kwargs, options, linked_to)


async def _start(
    host: AgentHost, cls: type, args: tuple[object, ...], kwargs: dict[str, object], options: StartOptions, linked_to: Incarnation | None
) -> AgentRef | None:
    name = options["name"]
    await evict_namesake(name)
    incarnation = Incarnation(host, cls, TreePosition(named(name)))
    if name is None:
        incarnation.slot.id = f"{cls.__name__}-{incarnation.pid}"
    set_up(incarnation, options["isolation"], options["strict"], options["persist"], name)
    if CURRENT_AGENT.get() is None:
        adopt(incarnation, options["keep"])
    if await bring_up(incarnation, name, args, kwargs) is None:
        return None
    if linked_to is not None:
        _link_both(incarnation, linked_to)
    return incarnation.ref


def _link_both(incarnation: Incarnation, other: Incarnation) -> None:
    """Link two incarnations; if one has ended since its start, the other is notified now."""
    for one, two in ((incarnation, other), (other, incarnation)):
        if one.status is DEAD:
            two.on_exit_signal(one.reason, one, is_linked=True)
            return
    for one, two in ((incarnation, other), (other, incarnation)):
        one.links = one.links or set()
        one.links.add(two)
