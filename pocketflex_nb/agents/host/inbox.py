"""The inbox of messages that other threads send to an agents' loop, drained fairly so that a flood at one agent delays no other.

Signals, starts and monitors go to one queue, which is drained first. Messages wait in a queue per agent; the number handled per agent
and in total is bounded: what is left comes after the loop's other work. Messages of one thread to one agent keep their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from pocketflex_nb.agents.host.agent_log import AgentLog

__all__ = ["TURN", "TURN_TIME", "Inbox", "Post", "Receiver"]

#: messages that one agent gets at a turn; seconds that a turn takes at most
TURN, TURN_TIME = 256, 0.004


#: a call to make on the loop: the function, and its arguments
Post = tuple[Callable[..., object], tuple[object, ...]]


class Receiver(Protocol):
    """An agent's incarnation as the inbox sees it.

    Attributes
    ----------
    inbound : deque of Post, or None
        What other threads have sent to it.
    is_listed : bool
        Whether it waits for its turn.
    """

    inbound: deque[Post] | None
    is_listed: bool

    @property
    def log(self) -> AgentLog:
        """The log of its host."""
        ...


class Inbox:
    """What other threads have sent to one loop and is not handled yet."""

    __slots__ = ("_control", "_is_woken", "_loop", "_ready")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._control: deque[Post] = deque()
        self._ready: deque[Receiver] = deque()  # incarnations with messages in `inbound`
        self._is_woken = False

    def post(self, fn: Callable[..., object], args: tuple[object, ...]) -> None:
        """Call ``fn(*args)`` before any message that is posted later; from any thread."""
        self._control.append((fn, args))
        self._wake()

    def post_to(self, incarnation: Receiver, fn: Callable[..., object], args: tuple[object, ...]) -> None:
        """Call ``fn(*args)`` after what was posted to `incarnation` before; from any thread."""
        queue = incarnation.inbound
        if queue is None:
            with incarnation.log.lock:  # two threads at once must not make two
                queue = incarnation.inbound = incarnation.inbound if incarnation.inbound is not None else deque()
        queue.append((fn, args))
        if not incarnation.is_listed:  # set twice by two threads, it only gets two turns
            incarnation.is_listed = True
            self._ready.append(incarnation)
        self._wake()

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            try:
                self._loop.call_soon_threadsafe(self._unpack)
            except RuntimeError:  # the loop is closed: whoever waits is told by the watchdog
                self._is_woken = False
                self._control.clear()
                self._ready.clear()

    def _unpack(self) -> None:
        self._is_woken = False
        try:
            turns = self._turns()  # before the look at the signals: what was posted before these messages is done first
            for _ in range(len(self._control)):
                self._do(*self._control.popleft())
            self._take(turns)
        finally:
            if (self._control or self._ready) and not self._is_woken:
                self._is_woken = True
                self._loop.call_soon(self._unpack)

    def _turns(self) -> list[tuple[Receiver, deque[Post], int]]:
        """The agents that have messages now, and how many of them are taken."""
        turns = []
        for _ in range(len(self._ready)):
            incarnation = self._ready.popleft()
            incarnation.is_listed = False  # before the look at the queue: what comes from now on lists it again
            if (queue := incarnation.inbound) is not None:
                turns.append((incarnation, queue, min(len(queue), TURN)))
        return turns

    def _take(self, turns: list[tuple[Receiver, deque[Post], int]]) -> None:
        until = perf_counter() + TURN_TIME
        for incarnation, queue, some in turns:
            if perf_counter() < until:
                for _ in range(some):
                    self._do(*queue.popleft())
            if queue and not incarnation.is_listed:
                incarnation.is_listed = True
                self._ready.append(incarnation)

    def _do(self, fn: Callable[..., object], args: tuple[object, ...]) -> None:
        try:
            fn(*args)
        except Exception as exc:
            self._loop.call_exception_handler({"message": f"a message to an agent failed in {fn!r}", "exception": exc})
