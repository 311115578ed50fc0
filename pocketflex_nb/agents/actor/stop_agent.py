"""The stop of a supervisor's child: shutdown first, kill when its time is over."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.agents.messaging.monitors import Gone
from pocketflex_nb.agents.protocol.exit_reasons import DEAD

__all__ = ["stop_life"]


async def stop_life(life: Any, shutdown: float | str | None, cause: int | None = None, *, is_told: bool = False) -> Any:
    """End `life` as ``"shutdown"`` within `shutdown` seconds (None: however long it takes; ``"kill"``: at once) and give its reason.

    `is_told`: its supervisor hears of it as of any other end.
    """
    if life.status is DEAD:
        return life.reason
    if not is_told:
        life.on_exit = None
    gone = Gone(life)
    timer = None
    if shutdown == "kill":
        life.kill(cause)
    else:
        life.shutdown(cause=cause)
        if shutdown is not None:
            timer = life.home.clock.call_later(shutdown, life.kill)
    try:
        reason, _ = await gone.future
    finally:
        gone.detach()
        if timer is not None:
            timer.cancel()
    return reason
