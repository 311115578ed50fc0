"""The stop of a supervisor's child: shutdown first, kill when its time is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pocketflex_nb.agents.messaging.envelopes import Addressee
from pocketflex_nb.agents.messaging.monitors import DeathFuture
from pocketflex_nb.agents.protocol.exit_reasons import DEAD

__all__ = ["Stoppable", "stop_incarnation"]


class Stoppable(Addressee, Protocol):
    """An incarnation as its supervisor sees it."""

    on_exit: Callable[[Addressee, object], object] | None

    def kill(self, cause: int | None = None) -> None:
        """End it as ``"killed"``."""
        ...

    def shutdown(self, reason: object = "shutdown", cause: int | None = None) -> None:
        """Request its end."""
        ...


async def stop_incarnation(
    incarnation: Stoppable, shutdown: float | str | None, cause: int | None = None, *, is_told: bool = False
) -> object:
    """End `incarnation` as ``"shutdown"`` within `shutdown` seconds (None: however long it takes; ``"kill"``: at once) and give its reason.

    `is_told`: its supervisor hears of it as of any other end.
    """
    if incarnation.status is DEAD:
        return incarnation.reason
    if not is_told:
        incarnation.on_exit = None
    gone = DeathFuture(incarnation)
    timer = None
    if isinstance(shutdown, str):
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
