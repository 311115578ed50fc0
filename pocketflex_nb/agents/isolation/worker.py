"""The program in an agent's own process: runs the agent's class, one message at a time; its refs send through the pipe."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable
from itertools import count
from types import CoroutineType
from typing import Any

from pocketflex_nb.agents.host.clock import Clock, LoopClock
from pocketflex_nb.agents.isolation.forwarded_prints import ForwardedStream
from pocketflex_nb.agents.isolation.framed_pipe import FramedPipe, PipeFrame, portable_error, unpack_frame
from pocketflex_nb.agents.messaging import portability_hooks as travel
from pocketflex_nb.agents.messaging.agent_ref import resolve_ref
from pocketflex_nb.agents.messaging.delayed_sends import Sending
from pocketflex_nb.agents.messaging.envelopes import MethodCall
from pocketflex_nb.agents.protocol.errors import NotPortable
from pocketflex_nb.agents.protocol.exit_reasons import short
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["RemoteRef", "Worker", "main"]


class _RemoteHost:
    """The part of a host that an agent's default handlers use."""

    is_here = False

    class log:
        """Describes messages by a short text."""

        @staticmethod
        def describe(message: object) -> str:
            """A short `repr`."""
            return short(message)


class _TimedHost:
    """The part of a host that a `Sending` uses; the timer runs in this process."""

    is_here = True
    clock: Clock = LoopClock()

    def post(self, fn: Callable[..., object], *args: object) -> None:
        """Call it: this is the loop."""
        fn(*args)


class _RemoteIncarnation:
    """The part of an incarnation that an agent sees of itself."""

    fenced = False
    cause = None
    status = "running"
    callers: tuple[Ref, ...] = ()
    ancestors: tuple[Ref, ...] = ()
    isolation = None
    host = _RemoteHost()

    def __init__(self, worker: Worker, me: tuple[int, str, str, str]) -> None:
        self._worker = worker
        self.pid, self.name, self.address, _ = me
        self.ref = RemoteRef(*me)
        self.agent: Any = None

    def note(self, kind: str, data: object = None, cause: int | None = None, by: object = None) -> int:
        """Record an event in the other process."""
        self._worker.send("note", 0, kind, data)
        return 0


class _Caller:
    """The caller, in the other process, that waits for a reply."""

    ref = None

    def __init__(self, worker: Worker, number: int, message: object) -> None:
        self._worker, self._number, self.message = worker, number, message

    def reply(self, value: object) -> None:
        """Answer the call."""
        self._worker.send("reply", self._number, value)


class RemoteRef:
    """The address of an agent of the other process."""

    __slots__ = ("_address", "_name", "_origin", "_pid")

    def __init__(self, pid: int, name: str, address: str, of: str = "") -> None:
        self._pid, self._name, self._address, self._origin = pid, name, address, of

    @property
    def pid(self) -> int:
        """Number of that incarnation."""
        return self._pid

    @property
    def name(self) -> str:
        """Its id as text."""
        return self._name

    @property
    def address(self) -> str:
        """Its path in the supervision tree."""
        return self._address

    async def call(self, message: object, *, timeout: float | None = 5.0) -> Any:
        """See `AgentRef.call`."""
        return await _worker().request(self, "call", (message,), {"timeout": timeout})

    def cast(self, message: object) -> None:
        """See `AgentRef.cast`."""
        _worker().request(self, "cast", (message,), {})

    def send(self, message: object) -> None:
        """See `AgentRef.send`."""
        _worker().request(self, "send", (message,), {})

    def send_after(self, message: object, seconds: float) -> Sending:
        """See `AgentRef.send_after`; the time runs in this process."""
        return Sending(_TimedHost(), lambda: self, message, seconds)

    async def stop(self, reason: object = "normal", timeout: float | None = None) -> None:
        """See `AgentRef.stop`."""
        await _worker().request(self, "stop", (reason, timeout), {})

    def exit(self, reason: object = "shutdown") -> None:
        """See `AgentRef.exit`."""
        _worker().request(self, "exit", (reason,), {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def ask(*args: object, **kwargs: object) -> asyncio.Future[Any]:
            return _worker().request(self, "named", (name, args, kwargs), {})

        return ask

    def __reduce__(self) -> tuple[object, ...]:
        return resolve_ref, (self._pid, self._name, self._address, self._origin)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteRef) and (other._pid, other._origin) == (self._pid, self._origin)

    def __hash__(self) -> int:
        return hash((self._pid, self._origin))

    def __repr__(self) -> str:
        return f"<RemoteRef {self._address} {self._pid}>"


class Worker:
    """The loop of this process."""

    loop: asyncio.AbstractEventLoop
    over: asyncio.Event

    def __init__(self, pipe: FramedPipe) -> None:
        self.pipe = pipe
        self.incarnation: _RemoteIncarnation | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._numbers = count(1)
        self._requests: dict[int, asyncio.Future[object]] = {}

    async def run(self) -> None:
        """Serve until the other side has closed."""
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        await self.over.wait()

    def _listen(self) -> None:
        try:
            while (frame := self.pipe.receive()) is not None:
                self.loop.call_soon_threadsafe(self._hear, frame)
        finally:
            self.loop.call_soon_threadsafe(self.over.set)

    def send(self, kind: str, number: int, *payload: object) -> None:
        """Send a frame to the other side."""
        self.pipe.send(kind, number, *payload)

    def said(self, name: str, text: str) -> None:
        """Send printed text to the other side."""
        self.send("said", 0, name, text)

    def request(self, ref: RemoteRef, verb: str, args: tuple[object, ...], kwargs: dict[str, object]) -> asyncio.Future[Any]:
        """Request something of an agent in the other process."""
        number = next(self._numbers)
        future: asyncio.Future[Any] = self.loop.create_future()
        self._requests[number] = future
        future.add_done_callback(_seen)
        self.send("request", number, ref._pid, ref._origin, ref._name, verb, args, kwargs)
        return future

    def _hear(self, frame: PipeFrame) -> None:
        verb, number = frame[:2]
        if verb == "cancel":
            task = self._tasks.get(number)
            if task is not None:
                task.cancel()
        elif verb in ("done", "failed"):
            self._answered(number, frame)
        else:
            self._tasks[number] = self.loop.create_task(self._serve(verb, number, frame))

    def _answered(self, number: int, frame: PipeFrame) -> None:
        future = self._requests.pop(number, None)
        if future is None or future.done():
            return
        try:
            value = unpack_frame(frame)[0]
        except NotPortable as exc:
            future.set_exception(exc)
        else:
            future.set_result(value) if frame[0] == "done" else future.set_exception(value)

    async def _serve(self, verb: str, number: int, frame: PipeFrame) -> None:
        try:
            if self.incarnation is not None:
                CURRENT_AGENT.set(self.incarnation)
            try:
                out = self._do(verb, unpack_frame(frame))
                value = await out if out.__class__ is CoroutineType else out
            finally:  # what it printed comes before what it gives
                sys.stdout.flush()
                sys.stderr.flush()
            self.send("done", number, value)
        except BaseException as exc:
            told = "".join(traceback.format_exception(exc)).rstrip()
            self.send("failed", number, portable_error(exc, told))
        finally:
            self._tasks.pop(number, None)

    def _do(self, verb: str, payload: tuple[Any, ...]) -> Any:
        if verb == "init":
            return self._init(*payload)
        agent: Any = self.incarnation.agent if self.incarnation is not None else None
        if verb == "call":
            message, number = payload
            return agent.handle_call(message, _Caller(self, number, message))
        if verb == "named":
            return MethodCall(payload[0], payload[1], payload[2]).on(agent)
        if verb == "state":
            return agent.redact({name: value for name, value in vars(agent).items() if not name.startswith("_pfx_")})
        if verb == "replace":
            return _replace(agent, payload[0])
        if verb == "upgrade":
            return _upgrade(agent, payload[0])
        return getattr(agent, "terminate" if verb == "terminate" else f"handle_{verb}")(*payload)

    def _init(self, cls: Any, args: tuple[object, ...], kwargs: dict[str, object], me: tuple[int, str, str, str]) -> object:
        self.incarnation = _RemoteIncarnation(self, me)
        CURRENT_AGENT.set(self.incarnation)
        self.incarnation.agent, out = cls._pfx_make(self.incarnation, args, kwargs)
        return out


def _replace(agent: object, fn: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    new = dict(fn(dict(vars(agent))))
    vars(agent).clear()
    vars(agent).update(new)
    return new


async def _upgrade(agent: Any, cls: type) -> None:
    old, agent.__class__ = type(agent), cls
    out = agent.code_change(old)
    if asyncio.iscoroutine(out):
        await out


def _seen(future: asyncio.Future[object]) -> None:
    if not future.cancelled():
        future.exception()  # a cast's failure is nobody's business


_workers: list[Worker] = []


def _worker() -> Worker:
    return _workers[0]


def main() -> None:
    """Serve one agent over this process's pipes; prints go to the other side, direct writes to the descriptors to stderr."""
    writing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    reading = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    travel.REMOTE_REFS.append(RemoteRef)
    worker = Worker(FramedPipe(reading, writing))
    _workers.append(worker)
    errors = sys.__stderr__ or sys.stderr
    sys.stdout, sys.stderr = (ForwardedStream(name, worker.said, errors) for name in ("stdout", "stderr"))
    try:
        asyncio.run(worker.run())
    except KeyboardInterrupt:  # the stop button reaches the whole process group; the other side decides
        pass
