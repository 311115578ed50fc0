"""Random programs for agents, on the test's own loop or on the engine thread: what both kinds of drivers share.

A program is a list of steps; what is written down in each is compared with what Erlang and Elixir wrote down for the same program.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from pocketflex_nb.agents import (
    IGNORE,
    Agent,
    AgentDown,
    AlreadyPresent,
    AlreadyStarted,
    CallingSelf,
    CallTimeout,
    Crash,
    Exit,
    MaxChildren,
    NotFound,
    NotRunning,
    Restarting,
    Shutdown,
    StartError,
    StillRunning,
    Stop,
    SupervisorExit,
    child,
)
from pocketflex_nb.agents.host.agent_host import host_for
from pocketflex_nb.concurrency.engine_thread import engine_thread

__all__ = [
    "Boom", "Gate", "Inline", "Thread", "Worker", "World", "asked", "error_text", "exit_text", "folded", "hit", "path", "reason",
    "reason_text", "worker_spec",
]

#: what begins a new step in a world's list
STEP = "STEP"


class Boom(Exception):
    """What crashes an agent of a program."""


class Inline:
    """Agents on the driver's own loop."""

    options: dict[str, Any] = {"engine": "inline"}

    async def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        """Await `coro` where the agents live."""
        return await coro

    def now(self, fn: Callable[[], Any]) -> Any:
        """Call `fn` where the agents live."""
        return fn()


class Thread(Inline):
    """Agents on the engine thread, the driver on a loop of its own."""

    options: dict[str, Any] = {}

    async def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        """Await `coro` where the agents live."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coro, engine_thread.loop))

    def now(self, fn: Callable[[], Any]) -> Any:
        """Call `fn` where the agents live."""
        return host_for().call_on_loop(fn)


def reason(text: str) -> Any:
    """The exit reason that a program's text means."""
    return Shutdown("x") if text == "shutdown_x" else text


def reason_text(found: Any) -> str:
    """An exit reason as OTP's side wrote it."""
    if found is IGNORE:
        return "ignored"
    if isinstance(found, str):
        return found
    if isinstance(found, Shutdown):
        term = found.term
        return f"failed({term.id},{reason_text(term.reason)})" if isinstance(term, StartError) else f"shutdown_{term}"
    if isinstance(found, Crash) and isinstance(found.error, (AgentDown, CallTimeout, CallingSelf, SupervisorExit)):
        return error_text(found.error)
    return "crash" if isinstance(found, Crash) else repr(found)


def error_text(error: BaseException) -> str:
    """What a call raised, as OTP's side wrote it."""
    if isinstance(error, NotRunning):
        return "noproc"
    if isinstance(error, CallingSelf):
        return "via:calling_self"
    if isinstance(error, AgentDown):
        return "via:" + reason_text(error.reason)
    return "timeout" if isinstance(error, CallTimeout) else "crash"


def exit_text(event: Any) -> str:
    """The reason of an exit event."""
    found = event["reason"]
    return "shutdown_x" if found == "shutdown: 'x'" else str(found)


def path(parts: Iterable[str]) -> str:
    """The address below the program's root."""
    return "/".join(["root", *parts])


def folded(lines: Iterable[str]) -> list[list[str]]:
    """The lines of each step."""
    steps: list[list[str]] = [[]]
    for line in lines:
        steps.append([]) if line == STEP else steps[-1].append(line)
    return steps


class Gate:
    """Holds one start up: `reached` when somebody stands before it, who goes on when it is `opened`."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self.ref: Any = None


class World:
    """One program under way."""

    def __init__(self, where: Inline) -> None:
        self.where = where
        self.lines: list[tuple[int, str]] = []
        self.attempts: dict[str, int] = {}
        self.gates: dict[str, Gate] = {}
        self.current: dict[str, Any] = {}
        self.refs: list[Any] = []
        self.root: Any = None

    def log(self, line: str) -> None:
        """Write a line down."""
        self.lines.append((time.perf_counter_ns(), line))

    def step(self) -> None:
        """Begin a step."""
        self.log(STEP)

    def _known(self) -> list[Any]:
        found, left = list(self.refs), [self.root.ref] if self.root is not None and self.root._life is not None else []
        while left:
            ref = left.pop()
            found.append(ref)
            left += [i.ref for i in ref.children() if i.type == "supervisor" and i.ref is not None] if ref.is_alive else []
        return found

    def is_quiet(self) -> bool:
        """Whether nobody has anything to do."""
        for ref in self._known():
            if ref.is_alive:
                stats = ref.stats()
                if (not stats["is_suspended"] and (stats["is_busy"] or stats["mailbox"])) or stats["status"] != "running":
                    return False
        return True

    async def settle(self, until: Callable[[], bool] = lambda: False) -> None:
        """Wait until everybody has done what there was to do, or until `until`."""
        await self.where.run(self._settle(until))
        self.refs = [ref for ref in self.refs if ref.is_alive]

    async def _settle(self, until: Callable[[], bool]) -> None:
        start, good = time.monotonic(), 0
        while good < 12 and not until():
            for _ in range(3):
                await asyncio.sleep(0)
            good = good + 1 if self.is_quiet() else 0
            if time.monotonic() - start > 8:
                self.log("HANG")
                return
            if not good and time.monotonic() - start > 0.003:
                await asyncio.sleep(0.001)

    async def gated(self, place: str, begin: Callable[[], Any]) -> Gate:
        """Have the next start at `place` wait at a gate, if there is one after `begin`."""
        gate = self.gates[place] = Gate()
        begin()
        await self.settle(gate.reached.is_set)
        self.gates.pop(place, None)
        self.log(f"gated {str(gate.reached.is_set()).lower()}")
        return gate

    async def behind(self, gate: Gate, requests: list[Coroutine[Any, Any, str]]) -> None:
        """Send `requests` while somebody stands before the gate; then open it."""
        tasks = [asyncio.ensure_future(request) for request in requests]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.where.now(gate.opened.set)
        for n, task in enumerate(tasks):
            try:
                self.log(f"q{n} " + await asyncio.wait_for(task, 5))
            except TimeoutError:
                self.log(f"q{n} timeout")


class Worker(Agent):
    """A child: starts, traps and ends as its spec says."""

    async def init(self, *args: Any) -> Any:
        *extra, world, parts, spec = args
        self.world, self.place, self.spec, self.is_own = world, path(parts), spec, False
        self.trap_exit = spec["trap"]
        n = world.attempts[self.place] = world.attempts.get(self.place, 0) + 1
        gate = world.gates.pop(self.place, None)
        if gate is not None:
            gate.ref = self.ref
            gate.reached.set()
            await gate.opened.wait()
        out = spec["inits"][n - 1] if n <= len(spec["inits"]) else "ok"
        world.log(f"init {self.place} {out}" + "".join(f" {one}" for one in extra))
        if out == "ok":
            world.current[self.place] = self.ref
            world.refs.append(self.ref)
            return None
        if out == "ignore":
            return IGNORE
        if out == "raise":
            raise Boom
        return Stop(reason(out[5:]))

    async def handle_cast(self, message: Any) -> Any:
        self.is_own = True
        if message == "raise":
            raise Boom
        return Stop(message[1])

    async def handle_info(self, message: Any) -> None:
        if isinstance(message, Exit):
            self.world.log(f"info {self.place} EXIT {reason_text(message.reason)}")

    async def terminate(self, why: Any) -> None:
        if not self.trap_exit and not self.is_own:
            return  # documented: here it runs at a supervisor's shutdown too
        self.world.log(f"term {self.place} {reason_text(why)}")
        if self.spec["term"] == "raise":
            raise Boom
        if self.spec["term"] == "slow" and why == "shutdown" and not self.is_own:
            await asyncio.sleep(1e6)


def worker_spec(world: World, parts: list[str], spec: dict[str, Any]) -> Any:
    """The child spec of a program's worker."""
    shutdown = spec["shutdown"]
    return child(
        Worker, world, parts, spec, id=spec["id"], restart=spec["restart"], significant=spec["significant"],
        shutdown=shutdown if shutdown in ("kill", None) else shutdown / 1000,
    )


def hit(ref: Any, how: str) -> None:
    """End an agent in one of the ways of a program."""
    kind, _, why = how.partition(":")
    if kind == "raise":
        ref.cast("raise")
    elif kind == "stop":
        ref.cast(("stop", reason(why)))
    else:
        ref.exit(reason(why))


_REFUSED = {
    AlreadyStarted: "already_started", AlreadyPresent: "error already_present", StillRunning: "error running",
    Restarting: "error restarting", NotFound: "error not_found", MaxChildren: "error max_children", NotRunning: "down noproc",
}


async def asked(request: Coroutine[Any, Any, Any], *, is_start: bool = False) -> str:
    """What a supervisor answered."""
    try:
        out = await request
    except tuple(_REFUSED) as exc:
        return next(text for kind, text in _REFUSED.items() if isinstance(exc, kind))
    except StartError as exc:
        return "error " + reason_text(exc.reason)
    except AgentDown as exc:
        return "down " + reason_text(exc.reason)
    return "ignored" if is_start and out is None else "ok"
