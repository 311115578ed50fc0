"""The agents that the tests talk to."""

from __future__ import annotations

import inspect
from typing import Any

from pocketflex_nb.agents import Agent, Supervisor, child, handles
from pocketflex_nb.testing import Recorder, settle

#: the usual way to start something in a test: on the test's own loop
HERE: dict[str, Any] = {"engine": "inline"}


class Counter(Agent):
    """Counts; ``"crash"`` crashes it, ``"stop"`` ends it normally."""

    async def init(self, n: int = 0) -> None:
        self.n = n

    async def handle_call(self, message: Any, caller: Any) -> Any:
        if message == "get":
            return self.n
        self.n += message
        return self.n

    async def handle_cast(self, message: Any) -> Any:
        if isinstance(message, BaseException):
            raise message
        if callable(message):
            out = message(self)
            return await out if inspect.isawaitable(out) else out
        self.n += message
        return None

    async def handle_info(self, message: Any) -> None:
        self.heard = [*getattr(self, "heard", []), message]

    @handles.call
    async def heard_so_far(self) -> list[Any]:
        return getattr(self, "heard", [])


class Boom(Exception):
    """What crashes an agent in tests."""


async def crash(ref: Any, error: BaseException | None = None) -> Any:
    """Crash an agent, and let everybody do what follows; gives the Down."""
    monitor = ref.monitor()
    ref.cast(error or Boom("crashed on purpose"))
    down = await monitor
    await settle()
    return down


def three(strategy: str = "one_for_one", **options: Any) -> Supervisor:
    """A supervisor of the counters a, b, c on this loop."""
    children = [child(Counter, id=name) for name in "abc"]
    return Supervisor(children, strategy=strategy, name="sup", **{**HERE, **options})


def order_of(seen: Recorder, *ids: str) -> list[str]:
    """The starts and exits of these children, with the reasons that matter: ``"exit c (shutdown)"``."""
    told = []
    for event in seen.events:
        if event.kind in ("start", "exit") and (not ids or event["id"] in ids):
            told.append(f"{event.kind} {event['id']}" + (f" ({event['reason']})" if event.kind == "exit" else ""))
    return told
