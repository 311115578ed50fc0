"""The stop of a supervisor's child: shutdown first, kill when its time is over."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.agents.messaging.monitors import DeathFuture
from pocketflex_nb.agents.protocol.exit_reasons import DEAD

__all__ = ["stop_incarnation"]


async def stop_incarnation(incarnation: Any, shutdown: float | str | None, cause: int | None = None, *, is_told: bool = False) -> Any:
    """End `incarnation` as ``"shutdown"`` within `shutdown` seconds (None: however long it takes; ``"kill"``: at once) and give its reason.

    `is_told`: its supervisor hears of it as of any other end.
    """
    if incarnation.status is DEAD:
        return incarnation.reason
    if not is_told:
        incarnation.on_exit = None
    gone = DeathFuture(incarnation)
    timer = None
    if shutdown == "kill":
        incarnation.kill(cause)
    else:
        incarnation.shutdown(cause=cause)
        if shutdown is not None:
            timer = incarnation.host.clock.call_later(shutdown, incarnation.kill)
    try:
        reason, _ = await gone.future
    finally:
        gone.detach()
        if timer is not None:
            timer.cancel()
    return reason
