"""The start of an incarnation: name first, then `init`; a failed start leaves nothing behind."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.agents.actor.cell_scope import adopt, make_room
from pocketflex_nb.agents.actor.incarnation import Life
from pocketflex_nb.agents.actor.interpreter_exit import part_at_exit
from pocketflex_nb.agents.host.agent_host import Home, home_for
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.name_table import place_of
from pocketflex_nb.agents.messaging.registry import Via
from pocketflex_nb.agents.protocol.directives import IGNORE
from pocketflex_nb.agents.protocol.errors import BadSpec, StartError
from pocketflex_nb.agents.protocol.exit_reasons import DEAD
from pocketflex_nb.agents.protocol.tree_position import Slot
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.errors import nearest

__all__ = ["bring_up", "named", "set_up", "start_lone"]


async def bring_up(life: Life, name: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Life | None:
    """Register and start `life` on this loop; None when `init` returned IGNORE.

    Raises
    ------
    AlreadyStarted
        The name is taken.
    StartError
        `init` failed; nothing is left.
    """
    if name is not None:
        registry, key = place_of(name)
        registry.claim(key, life)
    part_at_exit()
    try:
        out = await life.begin(*args, **kwargs)
    except BaseException:
        life.kill()
        raise
    if out is True:
        return life
    if out is IGNORE:
        return None
    raise StartError(life.slot.id, out[0])


def set_up(life: Life, isolation: str | None, strict: bool | None) -> Life:
    """Give `life` the options of its class or start."""
    cls = life.cls
    life.isolation = isolation if isolation is not None else getattr(cls, "isolation", None)
    life.is_strict = bool(strict if strict is not None else getattr(cls, "strict", False))
    if life.isolation not in (None, "process"):
        raise BadSpec(f"isolation={life.isolation!r}: no such isolation{nearest(str(life.isolation), ['process'])}")
    return life


def named(name: Any, cls: Any) -> Any:
    """The name of such an agent in messages to people."""
    if name is None:
        return None
    return name.key if isinstance(name, Via) else name


async def start_lone(
    cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any], linked_to: Life | None = None
) -> AgentRef | None:
    """Start an agent without a supervisor, perhaps linked to another one."""
    home = home_for(options["engine"], options["clock"])
    if linked_to is not None and linked_to.home.loop is not home.loop:
        raise BadSpec(f"{cls.__name__}.start_link(): it would live on another loop; use start_monitor()")
    return await home.do(_start, home, cls, args, kwargs, options, linked_to)


async def _start(
    home: Home, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any], linked_to: Life | None
) -> AgentRef | None:
    name = options["name"]
    await make_room(name)
    life = Life(home, cls, Slot(named(name, cls)))
    if name is None:
        life.slot.id = f"{cls.__name__}-{life.pid}"
    set_up(life, options["isolation"], options["strict"])
    if CURRENT_AGENT.get() is None:
        adopt(life, options["keep"])
    if await bring_up(life, name, args, kwargs) is None:
        return None
    if linked_to is not None:
        _tie(life, linked_to)
    return life.ref


def _tie(life: Life, other: Life) -> None:
    """Link two incarnations; if one has ended since its start, the other is notified now."""
    for one, two in ((life, other), (other, life)):
        if one.status is DEAD:
            two.hit(one.reason, one, is_linked=True)
            return
    for one, two in ((life, other), (other, life)):
        one.links = one.links or set()
        one.links.add(two)
