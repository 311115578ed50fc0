"""The proxy of an agent in a process of its own: keeps the mailbox here and runs each message there, one at a time.

Mailbox, supervision and names stay as they are; memory is separate and a kill is real: SIGKILL. A process that ends by itself (a
segfault, `os._exit`, the kernel's out-of-memory killer) ends the agent as ``"worker_lost"``.

A separate process is not a security boundary. It has the rights of this one, and the two unpickle what they send each other: code of
the agent can run code here. It isolates faults, not attackers.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import count
from typing import Any, Protocol

from pocketflex_nb.agents.isolation.forwarded_prints import print_forwarded
from pocketflex_nb.agents.isolation.framed_pipe import FramedPipe, PipeFrame, PipeWriter, portable_error, unpack_frame
from pocketflex_nb.agents.messaging.envelopes import Addressee, Caller, MethodCall
from pocketflex_nb.agents.messaging.monitors import Pending
from pocketflex_nb.agents.messaging.portability_hooks import find_incarnation, process_origin
from pocketflex_nb.agents.protocol.directives import NO_REPLY
from pocketflex_nb.agents.protocol.errors import NotPortable, NotRunning, ReplyError
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, is_reason
from pocketflex_nb.agents.protocol.ref import Ref

__all__ = ["DRAIN_TIME", "EXIT_GRACE", "Incarnated", "Proxy", "make_proxy"]

#: seconds a process gets to go by itself after its agent has ended
EXIT_GRACE = 2.0
#: seconds within which what a process has sent before its end is read
DRAIN_TIME = 0.3


class Incarnated(Addressee, Protocol):
    """The incarnation of an agent that has a process of its own.

    Attributes
    ----------
    context : contextvars.Context or None
        Of its task.
    """

    context: contextvars.Context | None

    def end(self, reason: object, *, polite: bool = False, cause: int | None = None) -> None:
        """End with `reason`."""
        ...


class Proxy:
    """The proxy of an agent in another process."""

    def __init__(self, incarnation: Incarnated, cls: type) -> None:
        self._incarnation, self._cls = incarnation, cls
        self.trap_exit = bool(getattr(cls, "trap_exit", False))
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._callers: dict[int, Caller] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from pocketflex_nb.agents.isolation.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipe = FramedPipe(self._process.stdout, self._process.stdin)  # type: ignore[arg-type]  # binary: no text mode was asked for
        self._writer = PipeWriter(self._pipe, f"pocketflex-to-{incarnation.pid}")
        incarnation.cleanups = [*(incarnation.cleanups or ()), self._end_process]
        self._listener = threading.Thread(target=self._listen, name=f"pocketflex-agent-{incarnation.pid}", daemon=True)
        self._listener.start()
        threading.Thread(target=self._watch, name=f"pocketflex-wait-{incarnation.pid}", daemon=True).start()

    @property
    def os_pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    # what the incarnation asks for ------------------------------------------------------------------------------------------
    async def init(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """Make the agent there."""
        me = (self._incarnation.pid, self._incarnation.name, self._incarnation.address, process_origin())
        return await self._ask("init", self._cls, args, kwargs, me)

    async def handle_call(self, message: object, caller: Caller) -> object:
        """Handle it there."""
        number = next(self._numbers)
        self._callers[number] = caller
        out = await self._ask("call", message, number)
        if out is not NO_REPLY:
            del self._callers[number]
        return out

    async def handle_cast(self, message: object) -> object:
        """Handle it there."""
        return await self._ask("cast", message)

    async def handle_info(self, message: object) -> object:
        """Handle it there."""
        return await self._ask("info", message)

    async def handle_continue(self, value: object) -> object:
        """Handle it there."""
        return await self._ask("continue", value)

    async def terminate(self, reason: object) -> None:
        """Run its `terminate` there."""
        await self._ask("terminate", reason)

    def __getattr__(self, name: str) -> Callable[..., Coroutine[None, None, object]]:
        if name.startswith("_") or not hasattr(getattr(self._cls, name, None), "_pfx_handles"):
            raise AttributeError(name)
        return partial(self._named, name)

    async def _named(self, name: str, *args: object, **kwargs: object) -> object:
        return await self._ask("named", name, args, kwargs)

    def pfx_state(self, ref: Ref) -> Pending:
        """Its attributes, to be awaited."""
        return self._later(ref, "state")

    def pfx_replace_state(self, ref: Ref, fn: object) -> Coroutine[None, None, object]:
        """Replace its attributes."""
        return self._ask("replace", fn)

    def pfx_upgrade(self, cls: type) -> Coroutine[None, None, object]:
        """Change its class."""
        return self._ask("upgrade", cls)

    def _later(self, ref: Ref, verb: str, *payload: object) -> Pending:
        waiting = Pending(ref, None)

        async def ask() -> None:
            try:
                waiting._settle(await self._ask(verb, *payload))
            except Exception as exc:
                waiting._fail(exc)

        def begin() -> None:
            waiting._attach(self._incarnation)
            self._keep(self._incarnation.host.loop.create_task(ask()))

        self._incarnation.host.post(begin)
        return waiting

    async def _ask(self, verb: str, *payload: object) -> object:
        number = next(self._numbers)
        future = self._waiting[number] = self._incarnation.host.loop.create_future()
        try:
            self._send(verb, number, *payload)
            return await future
        except NotPortable as exc:
            raise ReplyError(exc) from exc  # whoever sent it is told; the agent continues
        except asyncio.CancelledError:
            self._send("cancel", number)
            raise
        finally:
            del self._waiting[number]

    def _send(self, kind: str, number: int, *payload: object) -> None:
        self._writer.send(kind, number, *payload)

    # what comes from there -------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        """Read until the other side has closed; in a thread."""
        host = self._incarnation.host
        try:
            while (frame := self._pipe.receive()) is not None:
                host.post_to(self._incarnation, self._hear, frame)
        except Exception as exc:  # what is no frame: something else writes to the pipe, such as a child of its own
            host.post_to(self._incarnation, self._lost, f"{type(exc).__name__}: {exc}")

    def _watch(self) -> None:
        """Report the end of the process, also when children of its own keep its pipes open; in a thread."""
        self._process.wait()
        self._listener.join(DRAIN_TIME)  # what it sent before it ended comes first
        self._incarnation.host.post_to(self._incarnation, self._lost, "")
        self._listener.join()
        self._process.stdout.close()  # type: ignore[union-attr]  # it was asked for

    def _lost(self, why: str) -> None:
        if self._incarnation.status is not DEAD:
            self._incarnation.end("worker_lost")

    def _hear(self, frame: PipeFrame) -> None:
        kind, number = frame[:2]
        try:
            payload = unpack_frame(frame)
        except NotPortable as exc:
            self._unread(kind, number, frame[2], exc)
            return
        if kind == "reply":
            caller = self._callers.pop(number, None)
            if caller is not None:
                caller.reply(payload[0])
        elif kind == "said":
            print_forwarded(self._incarnation, *payload)
        elif kind == "note":
            self._incarnation.note(payload[0], payload[1], self._incarnation.cause)
        elif kind == "request":
            task = self._incarnation.host.loop.create_task(self._serve(number, *payload), context=self._incarnation.context)
            self._keep(task)
        else:
            self._settle(kind, number, payload[0])

    def _unread(self, kind: str, number: int, told: str, error: NotPortable) -> None:
        """Handle a payload that cannot be unpickled here: its waiter gets an error."""
        if kind == "reply":
            caller = self._callers.pop(number, None)
            if caller is not None:
                caller._fail(error)
        elif kind == "request":
            self._send("failed", number, error)
        elif kind == "failed":
            self._settle("failed", number, RuntimeError(told))
        elif kind == "done":
            self._settle("failed", number, error)

    def _settle(self, kind: str, number: int, value: Any) -> None:
        future = self._waiting.get(number)
        if future is None or future.done():
            return
        if kind == "done":
            future.set_result(value)
        else:
            future.set_exception(value)

    async def _serve(self, number: int, pid: int, of: str, name: str, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Do what the agent there requests of another agent here."""
        try:
            incarnation = find_incarnation(pid, of)
            if incarnation is None:
                raise NotRunning(name)
            out = _do_verb(incarnation.ref, verb, args, kwargs)
            self._send("done", number, await out if asyncio.iscoroutine(out) else out)
        except Exception as exc:
            self._send("failed", number, portable_error(exc, "raised in the process that asked"))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _end_process(self, incarnation: Addressee) -> None:
        """End the process of an agent that has ended."""
        for task in list(self._serving):
            task.cancel()
        self._writer.close()
        if is_reason(incarnation.reason, "killed") or is_reason(incarnation.reason, "worker_lost"):
            self._process.kill()
            return
        timer = threading.Timer(EXIT_GRACE, self._process.kill)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # the interpreter is ending: so will the process, when its pipe is closed
            pass


def _do_verb(ref: Ref, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    if verb == "named":
        kind = getattr(getattr(ref._incarnation.cls, args[0], None), "_pfx_handles", ("call", False))
        ask = MethodCall(args[0], tuple(args[1]), args[2], kind[1])
        if kind[0] == "call":
            return ref.call(ask, **kwargs)
        ref.cast(ask)
        return None
    return getattr(ref, verb)(*args, **kwargs)


def make_proxy(incarnation: Incarnated, cls: type, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[Proxy, object]:
    """The proxy of a new agent of class `cls`, and what its `init` will return."""
    proxy = Proxy(incarnation, cls)
    incarnation.agent = proxy
    return proxy, proxy.init(args, kwargs)
