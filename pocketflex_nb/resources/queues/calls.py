"""Calls over a queue: the reply comes back on a topic at the same backend.

The caller has subscribed to the queue's replies before the message is put, and recognises its own by the name of the caller and a
number. A consumer that ends while it holds a message sends no reply: the message is delivered again, and once it has become a dead
letter the caller gets an error. A call hence ends with a reply, an error, or its timeout.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from hashlib import sha256
from typing import Any, Required, TypedDict, cast

from pocketflex_nb.concurrency.process_id import pid
from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.errors import CallFailed, DecodingError, ResourceError
from pocketflex_nb.core.wait_marks import waiting
from pocketflex_nb.resources.connections.stored_message import StoredMessage, new_id
from pocketflex_nb.resources.connections.urls import Address
from pocketflex_nb.resources.topics.open_topic import topic_at
from pocketflex_nb.resources.topics.subscription import Subscription
from pocketflex_nb.resources.topics.topic import Topic

__all__ = ["CALL", "CallReply", "Calls", "call_of"]

#: names of the headers that make a message a call
CALL = ("pfx_caller", "pfx_call")
#: seconds between two looks whether an answer can still come
_LOOK = 0.5
#: characters of the longest name
_LONGEST = 64


class CallReply(TypedDict, total=False):
    """A reply, as it is published: who called, the number of the call, and the encoded value or the error."""

    to: Required[str]
    call: Required[int]
    value: str
    error: str


class Calls:
    """The calls of one queue object, and the replies of its consumers.

    Parameters
    ----------
    address : Address
        Where the queue is.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._topic: Topic | None = None
        self._subscription: Subscription | None = None
        self._pid = 0
        self._begin()

    def _begin(self) -> None:
        self._caller = new_id()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[CallReply]] = {}
        self._turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()

    def _opened(self, *, to_listen: bool) -> Topic:
        """The topic of the replies; blocks some milliseconds the first time."""
        with self._lock:
            if self._pid != pid():  # a child of `fork`: its parent's connections are not its own
                self._topic = self._subscription = None
                self._pid = pid()
                self._begin()
            if self._topic is None:
                name = self._address.name
                beside = f"{name}.replies" if len(name) + 8 <= _LONGEST else f"{sha256(name.encode()).hexdigest()[:32]}.replies"
                self._topic = topic_at(replace(self._address, name=beside if name else ""))
            if to_listen and (self._subscription is None or self._subscription.is_closed):
                self._subscription = self._topic.subscribe(_Weakly(self))
            return self._topic

    # who calls -------------------------------------------------------------------------------------------------------
    async def call(
        self, put: Callable[[dict[str, str | int]], Coroutine[object, None, str]], timeout: float | None, is_open: Callable[[], bool]
    ) -> Any:
        """Put a message with the headers of a call, and wait for the reply.

        Parameters
        ----------
        put : coroutine function
            Puts the message, given its headers; its id.
        timeout : float or None
            Seconds.
        is_open : callable
            Whether the queue is.
        """
        until = None if timeout is None else time.monotonic() + timeout
        turn = self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with turn:  # first in line, first in the queue
            await asyncio.to_thread(self._opened, to_listen=True)
            number, answer = next(self._numbers), Future[CallReply]()
            self._waiting[number] = answer
            try:
                message = await put(dict(zip(CALL, (self._caller, number), strict=True)))
            except BaseException:
                self._waiting.pop(number, None)
                raise
        try:
            with waiting("reply", f"reply of queue {self._address.name or 'default'}", timeout=timeout):
                return _taken(await self._awaited(answer, until, is_open, message, timeout), message, self._address)
        finally:
            self._waiting.pop(number, None)

    async def _awaited(
        self, answer: Future[CallReply], until: float | None, is_open: Callable[[], bool], message: str, timeout: float | None
    ) -> CallReply:
        future = asyncio.wrap_future(answer)
        where = f"queue {self._address.name or 'default'!r} at {self._address.safe}"
        while True:
            left = _LOOK if until is None else min(_LOOK, until - time.monotonic())
            done, _ = await asyncio.wait({future}, timeout=max(left, 0))
            if done:
                return future.result()
            if not is_open():
                raise ResourceError(f"{where} was closed while message {message} was waiting for its reply", url=self._address.safe)
            if self._subscription is None or self._subscription.is_closed:
                raise ResourceError(
                    f"{where}: the connection on which the reply to message {message} would come has ended; it may still be handled",
                    url=self._address.safe,
                )
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(
                    f"no reply to message {message} of {where} within {timeout:g} s: nobody has taken it, or it is still being handled; "
                    "it stays in the queue, and a late reply is dropped"
                )

    def _answered(self, told: object) -> None:
        if not isinstance(told, dict) or told.get("to") != self._caller:
            return
        answer = self._waiting.pop(told.get("call", 0), None)
        if answer is not None and answer.set_running_or_notify_cancel():
            answer.set_result(cast(CallReply, told))  # published by `reply`

    # who answers -----------------------------------------------------------------------------------------------------
    async def reply(self, stored: StoredMessage, *, value: object = None, error: str = "") -> bool:
        """CallReply to the call in `stored`; False if it is not a call."""
        call = call_of(stored)
        if call is None:
            return False
        told = {"to": call[0], "call": call[1], **({"error": error} if error else {"value": encode(value, at=("reply",))})}
        topic = await asyncio.to_thread(self._opened, to_listen=False)
        await topic.publish(told)
        return True

    async def close(self) -> None:
        """End the connections."""
        with self._lock:
            topic, self._topic, mine = self._topic, None, self._pid == pid()
        if topic is not None and mine:
            await topic.close()


class _Weakly:
    """A topic's weak reference to the calls, so that those of an unused queue can be collected."""

    __slots__ = ("_reference",)

    def __init__(self, calls: Calls) -> None:
        self._reference = weakref.ref(calls)

    def __call__(self, told: object) -> None:
        calls = self._reference()
        if calls is not None:
            calls._answered(told)


def call_of(stored: StoredMessage) -> tuple[str, int] | None:
    """The caller of this message and the number of the call; None if it was only put."""
    if CALL[0] not in stored.headers:
        return None
    try:
        headers = decode(stored.headers)
        return str(headers[CALL[0]]), int(headers[CALL[1]])
    except (DecodingError, LookupError, TypeError, ValueError):
        return None


def _taken(told: CallReply, message: str, address: Address) -> Any:
    if "error" in told:
        raise CallFailed(
            f"message {message} of queue {address.name or 'default'!r} at {address.safe} is a dead letter, and nobody will reply: "
            f"{told['error']}", url=address.safe, reason=str(told["error"]),
        )
    return decode(told["value"])
