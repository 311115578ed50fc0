"""Messages of a queue: `Message`, which a consumer holds until it has acknowledged it, and dead letters."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from pocketflex_nb.concurrency.blocking_form import blocking_form
from pocketflex_nb.core.codec.decoder import decode, is_whole
from pocketflex_nb.core.codec.tagged_json import UNREADABLE, Unloaded
from pocketflex_nb.resources.connections.stored_message import StoredMessage, begin_anew

__all__ = ["DeadLetter", "HoldingQueue", "Message", "delivery_error"]

_ERROR = 500  # characters of an error that are kept


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_anew)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody could handle, as `Queue.dead_letters` gives it.

    Attributes
    ----------
    id : str
        What `Queue.requeue` and `Queue.discard` take.
    key : str
        The idempotency key; the id when none was given.
    deliveries : int
        How often it was handed out.
    error : str
        What the last consumer raised.
    put_at : float
        Seconds since 1970, UTC.
    """

    id: str
    key: str
    deliveries: int
    error: str
    put_at: float
    _body: str = field(repr=False)
    _headers: str = field(repr=False)

    @classmethod
    def _of(cls, stored: StoredMessage) -> DeadLetter:
        """The dead letter made of `stored`."""
        return cls(stored.id, stored.key or stored.id, stored.deliveries, stored.error, stored.put_at, stored.body, stored.headers)

    @property
    def item(self) -> Any:
        """The item that was put."""
        return decode(self._body)

    @property
    def headers(self) -> dict[str, Any]:
        """The headers that were put with the item."""
        headers: dict[str, Any] = decode(self._headers)
        return headers


_UNREAD = object()


class HoldingQueue(Protocol):
    """The part of a queue that its messages use to be answered."""

    @property
    def name(self) -> str:
        """The queue's name, for messages."""

    async def _ack(self, message: Message) -> bool: ...

    async def _nack(self, message: Message, error: str, delay: float | None) -> bool: ...

    async def _reply(self, message: Message, value: object) -> bool: ...

    def _drop(self, stored: StoredMessage) -> None: ...


class Message:
    """A delivered message. Leaving ``async with`` (or ``with``) cleanly acknowledges it; an error gives it back.

    Made by `Queue.get`. A message that is dropped unanswered is delivered again when its lease ends.

    Attributes
    ----------
    id : str
        The same over every delivery.
    key : str
        The idempotency key that it was put with; the id when there was none.
    deliveries : int
        1 the first time.
    put_at : float
        Seconds since 1970, UTC.
    is_lost : bool
        Whether its lease ended while it was held: another consumer may have it by now.
    """

    __slots__ = ("__weakref__", "_item", "_queue", "_settled", "_stored", "is_lost")

    def __init__(self, queue: HoldingQueue, stored: StoredMessage) -> None:
        self._queue, self._stored, self._settled = queue, stored, False
        self._item: object = _UNREAD
        self.is_lost = False

    def _read(self) -> str:
        """Decode the item, or the reason why it is not one. An item whose class is not loaded here is decoded when it is asked for."""
        item = decode(self._stored.body, unloaded="keep")
        if item.__class__ is Unloaded and item.tag == UNREADABLE:
            return f"unreadable: {item.reason}"
        if '"$"' not in self._stored.body or is_whole(item):
            self._item = item
        if self._stored.headers != "{}":
            headers = decode(self._stored.headers, unloaded="keep")
            if not isinstance(headers, dict):
                return f"unreadable headers: {headers.reason if isinstance(headers, Unloaded) else f'a {type(headers).__name__}'}"
        return ""

    @property
    def item(self) -> Any:
        """The item that was put, decoded on first access: an item that cannot be decoded here is given back like any other failure."""
        if self._item is _UNREAD:
            self._item = decode(self._stored.body)
        return self._item

    @property
    def headers(self) -> dict[str, Any]:
        """The headers that were put with the item."""
        return {name: value for name, value in decode(self._stored.headers).items() if name not in ("pfx_caller", "pfx_call")}

    @property
    def id(self) -> str:
        """The id, the same over every delivery."""
        return self._stored.id

    @property
    def key(self) -> str:
        """The idempotency key that it was put with; the id when there was none."""
        return self._stored.key or self._stored.id

    @property
    def deliveries(self) -> int:
        """How often it was delivered, this time included."""
        return self._stored.deliveries

    @property
    def put_at(self) -> float:
        """Seconds since 1970, UTC."""
        return self._stored.put_at

    @property
    def is_settled(self) -> bool:
        """Whether it was acknowledged or given back."""
        return self._settled

    def __repr__(self) -> str:
        again = f", delivery {self.deliveries}" if self.deliveries > 1 else ""
        return f"<Message {self.key} of {self._queue.name!r}{again}{', settled' if self._settled else ''}>"

    # answers ---------------------------------------------------------------------------------------------------------
    async def ack(self) -> bool:
        """Acknowledge it: it is never delivered again.

        Returns
        -------
        bool
            False when it had been settled already, or was lost to another consumer.
        """
        if self._settled:
            return False
        self._settled = True
        return await self._queue._ack(self)

    async def nack(self, error: object = "", *, delay: float | None = None) -> bool:
        """Give it back: it is delivered again after `delay` seconds (default: the queue's `retry_delay`), or becomes a dead letter now.

        Parameters
        ----------
        error : object
            Why: an exception, or a text. Kept with the message, up to 500 characters.
        delay : float, optional
            Seconds.

        Returns
        -------
        bool
            False when it had been settled already, or was lost to another consumer.
        """
        if self._settled:
            return False
        self._settled = True
        return await self._queue._nack(self, delivery_error(error), delay)

    async def reply(self, value: object) -> bool:
        """Reply to the caller that waits in `Queue.call`, and acknowledge the message.

        Parameters
        ----------
        value : object
            What :func:`pocketflex_nb.core.codec.encoder.encode` can write.

        Returns
        -------
        bool
            False when the message had been settled, or was lost to another consumer: the caller takes the first reply.

        Raises
        ------
        ValueError
            It was put, not called: nobody waits.
        EncodingError
            With the path of what cannot be written; the message is still in hand.
        """
        return await self._queue._reply(self, value)

    reply_sync = blocking_form(reply)

    ack_sync = blocking_form(ack)

    nack_sync = blocking_form(nack)

    async def __aenter__(self) -> Message:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        await (self.ack() if exc is None else self.nack(exc))

    def __enter__(self) -> Message:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if exc is None:
            self.ack_sync()
        else:
            self.nack_sync(exc)

    def __del__(self) -> None:
        if not self._settled:
            self._queue._drop(self._stored)


def delivery_error(error: object) -> str:
    """The text of an error that is stored with a message."""
    text = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)
    return text[:_ERROR]
